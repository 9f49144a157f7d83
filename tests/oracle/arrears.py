"""Who owes what: payments are laid on invoices, their excess and advances on the oldest due ones (D§3, 0002.13)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from .customers import Row
from .moment import Moment


@dataclass(frozen=True)
class Settlement:
    """How one collectable invoice came to be paid, or not."""

    due_on: date
    is_late: bool
    """A part is unpaid, or it was paid by payments that name it, and not in time (0002.30)."""


@dataclass(frozen=True)
class Arrears:
    """A customer's debt as of the moment."""

    open_balance: Fraction
    overdue_amount: Fraction
    oldest_due_on: date | None
    """Due date of the oldest overdue invoice."""
    overdue: tuple[tuple[date, Fraction], ...]
    """Due date and unpaid part of every overdue invoice."""
    settlements: tuple[Settlement, ...]
    """All collectable invoices, due or not."""

    @classmethod
    def of(cls, invoices: Iterable[Row], payments: Iterable[Row], moment: Moment) -> "Arrears":
        """Settle a customer's visible payments and credit notes against its visible invoices."""
        seen = [
            row for row in invoices if moment.has_seen(row["issued_on"]) and not moment.has_seen(row.get("voided_on"))
        ]
        due_on = {row["invoice_id"]: row["due_on"] for row in seen}
        paid: defaultdict[str | None, Fraction] = defaultdict(Fraction)
        paid_in_time: defaultdict[str, Fraction] = defaultdict(Fraction)
        for row in payments:
            if moment.has_seen(row["paid_on"]):
                invoice_id = row.get("invoice_id")
                paid[invoice_id] += Fraction(row["amount"])
                if invoice_id in due_on and row["paid_on"] <= due_on[invoice_id]:
                    paid_in_time[invoice_id] += Fraction(row["amount"])

        unpaid = {row["invoice_id"]: max(Fraction(row["amount"]) - paid[row["invoice_id"]], Fraction()) for row in seen}
        excess = sum((max(paid[row["invoice_id"]] - Fraction(row["amount"]), Fraction()) for row in seen), Fraction())
        elsewhere = sum((amount for invoice_id, amount in paid.items() if invoice_id not in due_on), Fraction())
        pool = max(excess + elsewhere, Fraction())

        standing = [row for row in seen if not moment.has_seen(row.get("written_off_on"))]
        collectable = [row for row in standing if not moment.has_seen(row.get("disputed_on"))]
        for row in sorted(collectable, key=lambda row: (row["due_on"], row["issued_on"], row["invoice_id"])):
            settled = min(pool, unpaid[row["invoice_id"]])
            unpaid[row["invoice_id"]] -= settled
            pool -= settled

        overdue = [
            row for row in collectable if unpaid[row["invoice_id"]] > 0 and moment.days_since(row["due_on"]) >= 1
        ]
        return cls(
            open_balance=sum((unpaid[row["invoice_id"]] for row in standing), Fraction()),
            overdue_amount=sum((unpaid[row["invoice_id"]] for row in overdue), Fraction()),
            oldest_due_on=min((row["due_on"] for row in overdue), default=None),
            overdue=tuple((row["due_on"], unpaid[row["invoice_id"]]) for row in overdue),
            settlements=tuple(
                Settlement(row["due_on"], _is_late(row, unpaid, paid, paid_in_time)) for row in collectable
            ),
        )


def _is_late(
    invoice: Row,
    unpaid: Mapping[str, Fraction],
    paid: Mapping[str | None, Fraction],
    paid_in_time: Mapping[str, Fraction],
) -> bool:
    """What the pool paid has no date and counts as in time (0002.30)."""
    key, amount = invoice["invoice_id"], Fraction(invoice["amount"])
    return unpaid[key] > 0 or (paid[key] >= amount > paid_in_time[key])
