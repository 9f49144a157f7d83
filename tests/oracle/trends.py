"""What a warned customer's orders came to month by month, and below how much a month they are seriously few."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from .exact import figure
from .indicators import Facts, IndicatorResult
from .moment import first_day, month_of

MONTHS = 12


@dataclass(frozen=True)
class MonthlyTrend:
    """Amounts of the last closed months, oldest first; null before the month of the first order."""

    first_month: date
    amounts: tuple[Decimal | None, ...]
    threshold_amount: Decimal | None
    """The share of the published baseline below which order_amount is serious; null where that is unknown."""


def monthly_trend(facts: Facts, order_amount: IndicatorResult | None) -> MonthlyTrend:
    """Read a customer's months off its orders; `order_amount` is None for whom it is not judged."""
    months = facts.moment.closed_months(MONTHS)
    begins = month_of(facts.orders.days[0]) if facts.orders.days else months[-1] + 1
    amounts = tuple(figure(facts.orders.amount_by_month.get(month, 0)) if month >= begins else None for month in months)
    share = facts.policy.parameters.get(("order_amount", "baseline_share", "serious"))
    usual = order_amount.baseline if order_amount else None
    threshold = None if usual is None or share is None else figure(share * Fraction(usual))
    return MonthlyTrend(first_day(months[0]), amounts, threshold)
