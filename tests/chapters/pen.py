"""Writes a customer's rows for a chapter of its life; who knows the moment can aim at the edges of days and months."""

from calendar import monthrange
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from oracle import Moment
from oracle.world import COLUMNS, KEYS, key_of, row

SCALES = ((1, 5), (0, 10), (1, 7), (0, 100), (0, 3))
EXACT_AGES = (0, 1, 2, 9, 10, 11, 29, 30, 31, 60, 61, 89, 90, 91)
EXACT_SILENCES = (0, 44, 45, 46, 59, 60, 61, 90, 91, 120, 121, 165, 166, 179, 180, 181, 240, 400)


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
        given = {} if len(KEYS[data_set]) > 1 else {KEYS[data_set][0]: key}
        given |= {"customer_id": self.customer_id} if "customer_id" in COLUMNS[data_set] else {}
        record = row(data_set, **{**given, **values})
        others = self.rows[data_set] if len(KEYS[data_set]) > 1 else ()
        if all(key_of(data_set, each) != key_of(data_set, record) for each in others):  # two chapters may hit one day
            self.rows[data_set].append(record)
        return key

    def day(self, days_ago: int) -> date:
        """The local date so many days before the as-of date."""
        return self.moment.as_of_date - timedelta(days=days_ago)

    def month(self, months_ago: int) -> tuple[date, date]:
        """First and last day of a closed month; 0 is the open one."""
        return month_before(self.moment.day_of_cutoff, months_ago)

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

    def sell(self, ordered_at: datetime, amount: str = "100", **values: Any) -> None:
        """Place an order that is as it is told."""
        self.write("sales.orders", ordered_at=ordered_at, amount=Decimal(amount), currency="CNY", **values)

    def live_since(self, months_ago: int, orders_a_month: int = 1, amount: str = "100") -> None:
        """So many orders in every closed month of the last ones, and one lately: active, and with a baseline."""
        lately = self.day(3)
        self.sell(self.instant(lately), amount)
        for back in range(1, months_ago + 1):
            first, last = self.month(back)
            for _ in range(orders_a_month - (first <= lately <= last)):
                self.sell(self.instant(self.random.choice((first, last, first + timedelta(days=9)))), amount)

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

    def ticket(self, kind: str, opened_at: datetime, answered_after: timedelta | None, **values: Any) -> None:
        """Open a ticket; answered after so long, or never."""
        self.write(
            "service.tickets",
            kind=kind,
            priority=self.random.choice(("urgent", "high", "normal", "low", None, "whenever")),
            opened_at=opened_at,
            first_responded_at=opened_at + answered_after if answered_after is not None else None,
            **values,
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
