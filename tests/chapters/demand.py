"""Chapters of orders: rhythm, amount, value; promised, fulfilled, cancelled, returned."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from .pen import EXACT_SILENCES, Pen, month_before


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


def orders_of_less_value(pen: Pen) -> None:
    """Average amounts at, just below and just above a share of what they were, of just enough orders or too few."""
    usual, share = pen.random.choice(("100", "33.33", "0")), pen.random.choice(("0.6", "0.8", "1", "0"))
    amount = (Decimal(usual) * Decimal(share)).quantize(Decimal("0.01")) + pen.random.choice((0, 0, -1, 1)) / Decimal(
        100
    )
    for back in range(4, pen.random.choice((6, 7, 8, 16))):
        for _ in range(pen.random.choice((0, 1, 1, 2)) if back < 15 else 1):
            pen.sell(pen.instant(pen.random.choice(pen.month(back))), usual)
    for back in (1, 2, 3, 3)[: pen.random.choice((2, 3, 3, 4))]:
        pen.sell(pen.instant(pen.random.choice(pen.month(back))), str(max(amount, Decimal(0))))


def orders_much_and_pauses(pen: Pen) -> None:
    """The few that make most of the revenue, many with the same one, silent for about 45 days or twice their gap."""
    gap, silence = pen.random.choice((7, 15, 20, 22)), pen.random.choice((43, 44, 45, 46, 47, 60, 75))
    amount = pen.random.choice(("2000", "2000", "8000"))
    for step in range(pen.random.choice((2, 3, 4, 9))):
        pen.sell(pen.instant(pen.day(silence + step * gap)), amount)
    for days_ago in pen.random.choice(((), (364,), (365,), (366, 380))):  # the first and the last day of twelve months
        pen.sell(pen.instant(pen.day(days_ago)), "20000")


def waits_for_deliveries(pen: Pen) -> None:
    """Orders promised for the edges of the window and of the day, fulfilled in time, a day late, unseen, not at all."""
    pen.live_since(1)
    count, late = pen.random.choice(((2, 0), (3, 0), (3, 1), (4, 1), (20, 3), (20, 4), (25, 2)))
    start = pen.month(3)[0]
    days = (start, start, start + timedelta(days=20), pen.day(40), pen.day(1), pen.day(0))
    for number in range(count):
        promised_on = pen.random.choice(days)
        fulfilled_on = promised_on + timedelta(days=pen.random.choice((-2, 0, 0)) if number >= late else 1)
        fulfilled_at = pen.instant(fulfilled_on) if number >= late or pen.random.random() < 2 / 3 else None
        ordered_at = pen.instant(min(promised_on, pen.day(0)) - timedelta(days=pen.random.choice((3, 10, 100))))
        pen.sell(ordered_at, promised_at=pen.instant(promised_on), fulfilled_at=fulfilled_at)
    for promised_on in (start - timedelta(days=1), pen.moment.day_of_cutoff, pen.day(2)):
        if pen.random.random() < 1 / 4:
            cancelled_at = pen.moment.cutoff + timedelta(seconds=pen.random.choice((-1, 0)))
            values = {"cancelled_at": cancelled_at, "cancelled_by": "us"} if pen.random.random() < 1 / 2 else {}
            pen.sell(pen.instant(pen.day(90)), promised_at=pen.instant(promised_on), **values)


def cancels_orders(pen: Pen) -> None:
    """Exactly a tenth or a fifth of the orders cancelled, by the customer, by us, by nobody we know, or not yet."""
    kept, cancelled = pen.random.choice(((8, 2), (7, 3), (9, 1), (18, 2), (17, 3), (4, 1), (1, 1), (0, 2), (0, 1)))
    start = pen.month(6)[0]
    days = (start, start, start + timedelta(days=50), pen.day(30), pen.day(0))
    is_plain = pen.random.random() < 1 / 2
    for number in range(kept + cancelled):
        values: dict[str, Any] = {}
        if number >= kept:
            seconds = pen.random.choice((-1,) if is_plain else (-1, -1, -3600, 0))
            by = pen.random.choice(("customer",) if is_plain else ("customer", "customer", "us", None))
            values = {"cancelled_at": pen.moment.cutoff + timedelta(seconds=seconds), "cancelled_by": by}
        pen.sell(pen.instant(pen.random.choice(days)), "80", **values)
    if not is_plain:
        before = pen.instant(start - timedelta(days=1))
        pen.sell(before, "80", cancelled_at=pen.instant(pen.day(20)), cancelled_by="customer")


def returns_goods(pen: Pen) -> None:
    """Returns per order at exactly a factor of the baseline, on a baseline of no returns or of too few months."""
    a_month, base_months, usual, lately = pen.random.choice(
        (
            (2, 3, 2, 3),
            (2, 3, 2, 3),
            (2, 3, 2, 4),
            (5, 3, 5, 6),
            (5, 3, 5, 6),
            (5, 3, 5, 7),
            (2, 3, 0, 1),
            (2, 3, 0, 2),
            (1, 3, 1, 1),
            (1, 2, 1, 2),
        )
    )
    pen.live_since(base_months + 3, a_month)
    days = [pen.random.choice(pen.month(back)) for back in range(4, 4 + base_months) for _ in range(usual)][:usual]
    days += [pen.random.choice(pen.month(pen.random.choice((1, 2, 3)))) for _ in range(lately)]
    days += pen.random.choice(((), (pen.day(0),), (pen.day(-1),), (pen.day(900),)))
    for day in days:
        pen.write("sales.returns", returned_at=pen.instant(day), reason="damaged")
