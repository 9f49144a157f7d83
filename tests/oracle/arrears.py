"""Who owes what: payments are laid on invoices, their excess and advances on the oldest due ones (D§3, 0002.13)."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from .customers import Row
from .moment import Moment


@dataclass(frozen=True)
class Arrears:
    """A customer's debt as of the moment."""

    open_balance: Fraction
    overdue_amount: Fraction
    oldest_due_on: date | None
    """Due date of the oldest overdue invoice."""

    @classmethod
    def of(cls, invoices: Iterable[Row], payments: Iterable[Row], moment: Moment) -> "Arrears":
        """Settle a customer's visible payments and credit notes against its visible invoices."""
        seen = [
            row for row in invoices if moment.has_seen(row["issued_on"]) and not moment.has_seen(row.get("voided_on"))
        ]
        paid: defaultdict[str | None, Fraction] = defaultdict(Fraction)
        for row in payments:
            if moment.has_seen(row["paid_on"]):
                paid[row.get("invoice_id")] += Fraction(row["amount"])

        unpaid: dict[str, Fraction] = {}
        pool = Fraction()
        for row in seen:
            rest = Fraction(row["amount"]) - paid.pop(row["invoice_id"], Fraction())
            unpaid[row["invoice_id"]] = max(rest, Fraction())
            pool += max(-rest, Fraction())
        pool = max(pool + sum(paid.values()), Fraction())

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
        )
