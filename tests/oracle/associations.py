"""Which indicators are breached together more often than by chance (关联分析; 0002.50)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import combinations

from .exact import figure
from .indicators import IndicatorResult

BREACHED = ("serious", "watch")


@dataclass(frozen=True)
class Association:
    """Two indicators, counted over the customers for whom both are known."""

    judged_both: int
    breached_a: int
    breached_b: int
    breached_both: int
    expected_both: Decimal | None
    lift: Decimal | None
    deviations: Decimal | None


def associations(
    codes: Collection[str], customers: Collection[Mapping[str, IndicatorResult]]
) -> dict[tuple[str, str], Association]:
    """Every pair of indicators, the first by code first; `customers` are the indicators of each."""
    return {(a, b): _associate(a, b, customers) for a, b in combinations(sorted(codes), 2)}


def _associate(a: str, b: str, customers: Collection[Mapping[str, IndicatorResult]]) -> Association:
    known = [
        (each[a].state in BREACHED, each[b].state in BREACHED)
        for each in customers
        if a in each and b in each and "unknown" not in (each[a].state, each[b].state)
    ]
    count = len(known)
    of_a, of_b, of_both = (sum(x for x, _ in known), sum(y for _, y in known), sum(x and y for x, y in known))
    expected = Fraction(of_a * of_b, count) if count else Fraction()
    return Association(
        judged_both=count,
        breached_a=of_a,
        breached_b=of_b,
        breached_both=of_both,
        expected_both=figure(expected),
        lift=figure(of_both / expected) if expected else None,
        deviations=_deviations(count, of_a, of_b, of_both),
    )


def _deviations(count: int, of_a: int, of_b: int, of_both: int) -> Decimal | None:
    """How many standard deviations of the hypergeometric distribution the count lies above its mean."""
    if count < 2:
        return None
    mean = Fraction(of_a * of_b, count)
    variance = mean * Fraction(count - of_a, count) * Fraction(count - of_b, count - 1)
    if variance == 0:
        return None
    with localcontext(prec=60):
        root = (Decimal(variance.numerator) / variance.denominator).sqrt()
        above = of_both - mean
        return figure(Fraction(Decimal(above.numerator) / above.denominator / root), digits=2)
