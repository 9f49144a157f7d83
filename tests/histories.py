"""Random small worlds in contract shape for property tests, thick with what rules and calendars easily get wrong.

A world is 10 to 40 customers; each lives through a few *chapters* (a rhythm of orders, a debt, a burst of complaints),
and every chapter aims at edges: exact thresholds, month ends, leap days, stamps near local midnight, things that
happened just after the cut-off.
Hypothesis draws the customers, chapters and a seed each, so a failing world shrinks to few customers with few chapters.
"""

from calendar import monthrange
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from oracle import Moment
from oracle.world import COLUMNS, row

SHANGHAI = ZoneInfo("Asia/Shanghai")

AS_OF_DATES = (
    date(2025, 6, 30),  # month end: June has just closed
    date(2025, 7, 1),
    date(2025, 5, 15),
    date(2024, 2, 29),  # leap day
    date(2024, 3, 1),
    date(2025, 2, 28),
    date(2024, 12, 31),
    date(2025, 3, 30),
)
SCALES = ((1, 5), (0, 10), (1, 7), (0, 100), (0, 3))
EXACT_AGES = (0, 1, 2, 9, 10, 11, 29, 30, 31, 60, 61, 89, 90, 91)
EXACT_SILENCES = (0, 59, 60, 61, 90, 91, 120, 121, 165, 166, 179, 180, 181, 240, 400)
OPTIONAL_DATA_SETS = tuple(data_set for data_set in COLUMNS if data_set != "sales.customers")


@dataclass(frozen=True)
class History:
    """A world, the moment to judge and the earlier as-of dates whose runs came before it, oldest first."""

    world: Mapping[str, list[dict[str, Any]]]
    moment: Moment
    earlier_dates: tuple[date, ...]

    @property
    def moments(self) -> list[Moment]:
        """The moments of all runs of the chain, the last one included."""
        zone = self.moment.time_zone
        return [*(Moment.midnight_after(day, zone) for day in self.earlier_dates), self.moment]


@dataclass
class Pen:
    """Writes one customer's rows; knows the moment that the world will be judged at."""

    customer_id: str
    moment: Moment
    random: Random
    rows: dict[str, list[dict[str, Any]]]
    written: int = field(default=0)

    def write(self, data_set: str, **values: Any) -> str:
        """Add a row with the next id of this customer and return the id."""
        self.written += 1
        key = f"{self.customer_id}-{self.written:03}"
        key_column = COLUMNS[data_set][0]
        self.rows[data_set].append(row(data_set, **{key_column: key, "customer_id": self.customer_id, **values}))
        return key

    def day(self, days_ago: int) -> date:
        """The local date so many days before the as-of date."""
        return self.moment.as_of_date - timedelta(days=days_ago)

    def instant(self, day: date) -> datetime:
        """An instant of that local day, in UTC: often its first or last second, where the UTC date is another one."""
        clock = self.random.choice((time(0, 0, 0), time(0, 0, 1), time(7, 59, 59), time(12), time(23, 59, 59)))
        return datetime.combine(day, clock, self.moment.time_zone).astimezone(UTC)

    def amount(self, highest: int = 500) -> Decimal:
        """An amount: round, with cents, tiny or zero."""
        cents = self.random.choice(
            (0, 1, 100, self.random.randrange(1, highest * 100), self.random.randrange(1, highest) * 100)
        )
        return Decimal(cents).scaleb(-2)

    def order(self, day: date, amount: Decimal | None = None) -> None:
        """Place an order; one in six is cancelled, before or (then it still counts) after the cut-off."""
        cancelled_at = None
        if self.random.random() < 1 / 6:
            cancelled_at = self.moment.cutoff + timedelta(seconds=self.random.choice((-86400, -1, 0, 86400)))
        self.write(
            "sales.orders",
            ordered_at=self.instant(day),
            amount=self.amount() if amount is None else amount,
            currency="CNY",
            cancelled_at=cancelled_at,
            cancelled_by=self.random.choice(("customer", "us")) if cancelled_at else None,
        )

    def invoice(self, due_days_ago: int, amount: Decimal, **values: Any) -> str:
        """Bill an amount that fell due so many days ago."""
        due_on = self.day(due_days_ago)
        issued_on = due_on - timedelta(days=self.random.choice((0, 14, 30, 60)))
        values = {"issued_on": issued_on, "due_on": due_on, "amount": amount, "currency": "CNY", **values}
        return self.write("finance.invoices", **values)

    def pay(self, invoice_id: str | None, days_ago: int, amount: Decimal, kind: str = "payment") -> None:
        """Pay, so many days ago (negative: after the as-of date)."""
        values = {"invoice_id": invoice_id, "paid_on": self.day(days_ago), "amount": amount, "kind": kind}
        self.write("finance.payments", **values)

    def ticket(self, kind: str, opened_at: datetime, answered_after: timedelta | None) -> None:
        """Open a ticket; answered after so long, or never."""
        self.write(
            "service.tickets",
            kind=kind,
            priority=self.random.choice(("urgent", "high", "normal", "low", None, "whenever")),
            opened_at=opened_at,
            first_responded_at=opened_at + answered_after if answered_after is not None else None,
        )

    def survey(self, answered_at: datetime, kind: str = "csat") -> None:
        """Answer a survey on one of several scales."""
        low, high = (0, 10) if kind == "nps" else self.random.choice(SCALES)
        score = self.random.choice((low, high, self.random.randint(low, high)))
        numbers = {"score": Decimal(score), "scale_min": Decimal(low), "scale_max": Decimal(high)}
        self.write("service.surveys", answered_at=answered_at, kind=kind, **numbers)


def month_before(day: date, months: int) -> tuple[date, date]:
    """First and last day of the month so many months before a day's."""
    index = day.year * 12 + day.month - 1 - months
    year, month = index // 12, index % 12 + 1
    return date(year, month, 1), date(year, month, monthrange(year, month)[1])


def orders_in_rhythm(pen: Pen) -> None:
    """Orders every so many days until a silence of an exact length."""
    gap, silence = pen.random.choice((1, 7, 15, 30, 45, 90)), pen.random.choice(EXACT_SILENCES)
    for step in range(pen.random.choice((1, 2, 3, 4, 8, 14))):
        pen.order(pen.day(silence + step * gap))


def orders_by_month(pen: Pen) -> None:
    """So many equal orders a month, then months at, just below and just above a share of them; stamps at month ends."""
    count, amount = pen.random.choice((1, 2, 5)), Decimal(pen.random.choice(("100", "99.99", "33.33")))
    fallen = Decimal(pen.random.choice(("0.40", "0.3999", "0.4001", "1", "0"))) * amount * count
    fallen_months, months = pen.random.choice((1, 2, 3)), pen.random.choice((3, 5, 6, 7, 12, 16, 20))
    for back in range(months):
        first, last = month_before(pen.moment.as_of_date + timedelta(days=1), back + 1)
        if back < fallen_months:
            if fallen or pen.random.random() < 1 / 2:
                pen.order(pen.random.choice((first, last)), fallen.quantize(Decimal("0.01")))
        else:
            for _ in range(count):
                pen.order(pen.random.choice((first, last, first + timedelta(days=13))), amount)


def orders_on_odd_days(pen: Pen) -> None:
    """A leap day, year ends, the as-of date's ends, and the first instants after the cut-off."""
    for day in (date(2024, 2, 29), date(2024, 2, 28), date(2023, 12, 31), date(2024, 1, 1)):
        if day <= pen.moment.as_of_date and pen.random.random() < 1 / 2:
            pen.order(day)
    for seconds in (-86400, -1, 0, 1, 86400):
        if pen.random.random() < 1 / 2:
            instant = pen.moment.cutoff + timedelta(seconds=seconds)
            pen.write("sales.orders", ordered_at=instant, amount=pen.amount(), currency="CNY")


def owes(pen: Pen) -> None:
    """Invoices at exact ages with partial, full, late, unseen, excess and reversed payments and credit notes."""
    for _ in range(pen.random.choice((1, 2, 4))):
        age, amount = (
            pen.random.choice((*EXACT_AGES, -20)),
            pen.random.choice((Decimal(1), Decimal("1.01"), pen.amount())),
        )
        invoice_id = pen.invoice(age, amount)
        match pen.random.randrange(7):
            case 0:
                pen.pay(invoice_id, max(age - 3, 0), amount)
            case 1:
                pen.pay(invoice_id, max(age, 0), (amount / 3).quantize(Decimal("0.01")))
            case 2:
                pen.pay(invoice_id, 0, amount + pen.amount())
            case 3:
                pen.pay(invoice_id, -1, amount)
            case 4:
                pen.pay(invoice_id, 5, amount)
                pen.pay(invoice_id, pen.random.choice((4, -1)), -amount)
            case 5:
                pen.pay(invoice_id, 2, pen.amount(), kind="credit_note")
            case _:
                pass


def owes_half_a_month(pen: Pen) -> None:
    """An overdue amount of exactly half, a quarter or a cent more of a steady monthly amount."""
    for back in range(12):
        pen.write(
            "sales.orders",
            ordered_at=pen.instant(month_before(pen.moment.as_of_date + timedelta(days=1), back + 1)[0]),
            amount=Decimal(400),
            currency="CNY",
        )
    pen.invoice(pen.random.choice(EXACT_AGES), Decimal(pen.random.choice(("200", "200.01", "100", "100.01"))))


def quarrels_over_invoices(pen: Pen) -> None:
    """Disputed, voided and written-off invoices, before, on and after the as-of date, with payments that name them."""
    for column in ("disputed_on", "voided_on", "written_off_on"):
        amount = pen.amount()
        invoice_id = pen.invoice(
            pen.random.choice(EXACT_AGES), amount, **{column: pen.day(pen.random.choice((-1, 0, 1, 9)))}
        )
        if pen.random.random() < 1 / 2:
            pen.pay(invoice_id, pen.random.choice((0, 1)), amount + pen.random.choice((-1, 0, 1)) * pen.amount(10))


def pays_ahead(pen: Pen) -> None:
    """Advances, refunds of advances and payments on invoices that are not there, with ties in due dates."""
    for _ in range(2):
        pen.pay(pen.random.choice((None, None, "nowhere")), pen.random.choice((0, 20, -1)), pen.amount())
    if pen.random.random() < 1 / 3:
        pen.pay(None, 3, -pen.amount())
    age = pen.random.choice(EXACT_AGES)
    for _ in range(2):
        pen.invoice(age, pen.amount())
    if pen.random.random() < 1 / 3:
        pen.invoice(age, pen.amount(), issued_on=pen.day(-1))


def complains(pen: Pen) -> None:
    """A burst of complaints around the edges of the 90 days, or one or more in every month."""
    if pen.random.random() < 1 / 2:
        for _ in range(pen.random.choice((1, 2, 3, 4))):
            pen.ticket("complaint", pen.instant(pen.day(pen.random.choice((0, 1, 45, 88, 89, 90)))), timedelta(hours=3))
        return
    for back in range(pen.random.choice((2, 3, 10))):
        first, last = month_before(pen.moment.as_of_date + timedelta(days=1), back + 1)
        for _ in range(pen.random.choice((0, 1, 1, 2))):
            pen.ticket("complaint", pen.instant(pen.random.choice((first, last))), timedelta(hours=1))


def asks_for_help(pen: Pen) -> None:
    """Tickets around the edges of the 30 days: answered exactly on the standard, late, after the cut-off or never."""
    for _ in range(pen.random.choice((1, 1, 2, 4))):
        opened_at = pen.instant(pen.day(pen.random.choice((0, 1, 3, 28, 29, 30))))
        hours = pen.random.choice((0, 4, 8, 24, 72, Decimal("4.8"), Decimal("28.8"), 31 * 24, None))
        kind = pen.random.choice(("inquiry", "complaint", "feedback"))
        pen.ticket(kind, opened_at, timedelta(hours=float(hours)) if hours is not None else None)


def answers_surveys(pen: Pen) -> None:
    """Scores on several scales, unexpired, expired, after the cut-off, two at the same instant, and an NPS."""
    for _ in range(pen.random.choice((1, 2, 2, 3))):
        answered_at = pen.instant(pen.day(pen.random.choice((-1, 0, 10, 90, 179, 180, 181, 300))))
        for _ in range(pen.random.choice((1, 1, 2))):
            pen.survey(answered_at)
    if pen.random.random() < 1 / 3:
        pen.survey(pen.instant(pen.day(1)), kind="nps")


def falls_out_with_us(pen: Pen) -> None:
    """Everything at once: amount collapses, complaints, bad scores, old debt; for the rules of several families."""
    for back in range(10):
        first, last = month_before(pen.moment.as_of_date + timedelta(days=1), back + 1)
        pen.order(pen.random.choice((first, last)), Decimal(30 if back < 3 else 300))
    for days_ago in (1, 20, pen.random.choice((60, 89, 90))):
        pen.ticket("complaint", pen.instant(pen.day(days_ago)), None)
    for days_ago in (2, 40):
        answered_at = pen.instant(pen.day(days_ago))
        score = Decimal(pen.random.choice(("2", "3.4", "3.5")))
        scale = {"scale_min": Decimal(1), "scale_max": Decimal(5)}
        pen.write("service.surveys", answered_at=answered_at, kind="csat", score=score, **scale)
    pen.invoice(pen.random.choice((30, 31, 60, 61, 90, 91)), Decimal(200))


Chapter = Callable[[Pen], None]
DEMAND: tuple[Chapter, ...] = (orders_in_rhythm, orders_by_month, orders_on_odd_days, falls_out_with_us)
OTHER: tuple[Chapter, ...] = (
    owes,
    owes_half_a_month,
    quarrels_over_invoices,
    pays_ahead,
    complains,
    asks_for_help,
    answers_surveys,
)


@st.composite
def histories(
    draw: st.DrawFn,
    *,
    least_customers: int = 10,
    most_customers: int = 40,
    time_zones: tuple[ZoneInfo, ...] = (SHANGHAI,),
    with_intraday: bool = False,
    with_absent_data_sets: bool = True,
    with_orphans: bool = False,
) -> History:
    """A random history; `with_intraday` adds cut-offs within a day, `with_orphans` rows of unknown customers."""
    zone = draw(st.sampled_from(time_zones))
    moment = Moment.midnight_after(draw(st.sampled_from(AS_OF_DATES)), zone)
    if with_intraday and draw(st.booleans()):
        moment = Moment.at(moment.cutoff - timedelta(minutes=draw(st.integers(1, 24 * 60 - 1))), zone)
    rows: dict[str, list[dict[str, Any]]] = {data_set: [] for data_set in COLUMNS}
    segments = draw(
        st.sampled_from(((None,), ("retail",), ("retail", "retail", "retail", "retail", None), ("a", "b", None)))
    )
    count = draw(st.integers(least_customers, most_customers))
    for number in range(count):
        pen = Pen(f"C{number:02}", moment, Random(draw(st.integers(0, 2**32 - 1))), rows)
        rows["sales.customers"].append(
            row(
                "sales.customers",
                customer_id=pen.customer_id,
                name=f"Customer {number}",
                segment=pen.random.choice(segments),
                customer_since=pen.random.choice((None, None, pen.day(700), pen.day(0), pen.day(-1))),
            )
        )
        _live(
            pen,
            draw(st.lists(st.sampled_from(DEMAND), max_size=2)) + draw(st.lists(st.sampled_from(OTHER), max_size=3)),
        )
    if with_orphans:
        _live(Pen("nobody", moment, Random(draw(st.integers(0, 2**32 - 1))), rows), [*DEMAND, *OTHER])
    return History(_delivered(draw, rows, with_absent_data_sets), moment, draw(_earlier_dates(moment.as_of_date)))


def _live(pen: Pen, chapters: list[Chapter]) -> None:
    for chapter in chapters:
        chapter(pen)


def _delivered(
    draw: st.DrawFn, rows: dict[str, list[dict[str, Any]]], with_absent: bool
) -> Mapping[str, list[dict[str, Any]]]:
    """Most worlds deliver everything; in some a data set is empty or, if allowed, absent."""
    empty = draw(st.one_of(st.just(set[str]()), st.sets(st.sampled_from(OPTIONAL_DATA_SETS), max_size=1)))
    absent = draw(st.one_of(st.just(set[str]()), st.sets(st.sampled_from(OPTIONAL_DATA_SETS), max_size=2)))
    return {
        data_set: [] if data_set in empty else records
        for data_set, records in rows.items()
        if not (with_absent and data_set in absent)
    }


def _earlier_dates(as_of_date: date) -> st.SearchStrategy[tuple[date, ...]]:
    """Up to four earlier runs, some just inside and some just outside the cool-down of seven days."""
    days_ago = st.sets(st.sampled_from((1, 2, 6, 7, 8, 14)), max_size=4)
    return days_ago.map(lambda each: tuple(as_of_date - timedelta(days=days) for days in sorted(each, reverse=True)))
