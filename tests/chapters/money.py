"""Chapters of money: invoices, payments, credit."""

from datetime import timedelta
from decimal import Decimal

from .pen import EXACT_AGES, Pen, month_before


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
    """Disputed, voided and written-off invoices, before, on and after the as-of date, with payments that name them.

    One is disputed first and written off later.
    """
    for columns in (("disputed_on",), ("voided_on",), ("written_off_on",), ("disputed_on", "written_off_on")):
        amount = pen.amount()
        days = {column: pen.day(pen.random.choice((-1, 0, 1, 9))) for column in columns}
        invoice_id = pen.invoice(pen.random.choice(EXACT_AGES), amount, **days)
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


def pays_late(pen: Pen) -> None:
    """Exactly a third, half or three tenths of the invoices late: in parts, by reversals, unseen; due at the edges."""
    pen.live_since(1)
    start = pen.moment.days_since(pen.month(6)[0])
    count, late = pen.random.choice(((2, 1), (3, 1), (3, 2), (4, 2), (4, 3), (10, 3), (10, 4), (3, 0)))
    for due in pen.random.choice(((), (), (0,), (start + 1, -5))):  # not due yet, or no longer looked at
        pen.invoice(due, Decimal(44))
    for number in range(count):
        due = pen.random.choice((start, start, start - 40, 30, 1, 1))
        amount = pen.random.choice((Decimal(100), Decimal("33.33"), Decimal(0)))
        (_pay_late if number < late else _pay_in_time)(pen, pen.invoice(due, amount), due, amount)
    if pen.random.random() < 1 / 4:
        pen.pay(None, pen.random.choice((0, start)), Decimal(pen.random.choice((50, 100, 1000))))


def _pay_late(pen: Pen, invoice_id: str, due: int, amount: Decimal) -> None:
    match pen.random.randrange(6):
        case 0:
            pen.pay(invoice_id, due - 1, amount)
        case 1:
            pen.pay(invoice_id, due, amount / 4)
            pen.pay(invoice_id, due - 1, amount - amount / 4)
        case 2:  # what was paid in time went back before the due date
            pen.pay(invoice_id, due + 2, amount)
            pen.pay(invoice_id, due + 1, -amount)
            pen.pay(invoice_id, due - 1, amount)
        case 3:
            pen.pay(invoice_id, due - 1, amount + 5, kind="credit_note")
        case 4:
            pen.pay(invoice_id, -1, amount)
        case _:
            pass


def _pay_in_time(pen: Pen, invoice_id: str, due: int, amount: Decimal) -> None:
    match pen.random.randrange(5):
        case 0:
            pen.pay(invoice_id, due, amount)
        case 1:
            pen.pay(invoice_id, due + 9, amount / 4)
            pen.pay(invoice_id, due, amount - amount / 4, kind="credit_note")
        case (
            2
        ):  # it went back after the due date, and came again: what was paid by the due date still reaches the amount
            pen.pay(invoice_id, due, amount)
            pen.pay(invoice_id, due - 1, -amount)
            pen.pay(invoice_id, due - 1, amount)
        case 3:  # the pool has no dates
            pen.pay(None, 0, amount)
        case _:
            pen.pay(invoice_id, due, amount + 7)


def is_scored(pen: Pen) -> None:
    """Credit scores at the thresholds, exact drops within and just beyond the days, scores of tomorrow."""
    pen.live_since(1)
    score = Decimal(pen.random.choice(("60", "59.99", "70", "69.99", "85")))
    for days_ago in pen.random.sample((-1, 0, 1, 30), pen.random.choice((1, 1, 2))):
        pen.write("credit.scores", scored_on=pen.day(days_ago), score=score)
    for days_ago in pen.random.sample((45, 89, 90, 91, 300), pen.random.choice((0, 1, 2, 3))):
        drop = Decimal(pen.random.choice(("15", "14.99", "8", "7.99", "0", "-5")))
        pen.write("credit.scores", scored_on=pen.day(days_ago), score=score + drop)


def has_a_limit(pen: Pen) -> None:
    """A balance at exactly nine tenths or the whole of a limit; limits of nothing, unlimited, raised, of tomorrow."""
    if pen.random.random() < 3 / 4:
        pen.live_since(1)
    for days_ago in pen.random.sample((-1, 0, 1, 29, 400), pen.random.choice((1, 1, 2, 3))):
        limit = pen.random.choice((Decimal(100), Decimal(100), Decimal(200), Decimal(0), Decimal(-1), None))
        pen.write("finance.credit_terms", valid_from=pen.day(days_ago), credit_limit=limit, payment_days=30)
    amounts = (("90",), ("90.01",), ("100",), ("60.01", "40"), ("300",), ("0",))
    for amount in pen.random.choice(amounts):
        values = {"disputed_on": pen.day(0)} if pen.random.random() < 1 / 4 else {}
        pen.invoice(pen.random.choice((-10, 0, 5)), Decimal(amount), **values)
