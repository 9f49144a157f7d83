"""How an indicator is read: a customer's facts make branches that breach, do not, or can not tell (D§3)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from ..arrears import Arrears
from ..customers import Orders, Row
from ..exact import figure, round_half_away
from ..moment import Moment, first_day, last_day, month_of
from ..policy import Grade, Policy

IndicatorState = Literal["serious", "watch", "clear", "unknown"]
UnknownReason = Literal["no_data", "stale", "short_history", "no_base", "expired"]
Trend = Literal["worsening", "improving", "flat"]
Window = tuple[date, date] | tuple[None, None]
Series = Mapping[int, Fraction | int]
"""A figure by running month; a month that is not in it has zero."""
NO_WINDOW: Window = (None, None)
BOTH_GRADES: tuple[Grade, ...] = ("serious", "watch")
TREND_MONTHS = 6
TREND_LIMIT = Fraction(5, 100)
ALL_MONTHS = 12 * 200


@dataclass(frozen=True)
class Facts:
    """What is known of one customer as of the moment; all rows are visible ones."""

    moment: Moment
    policy: Policy
    orders: Orders
    usual_gap: Fraction | None
    is_class_a: bool
    arrears: Arrears
    industry: str | None
    rows: Mapping[str, Sequence[Row]]
    """The customer's rows by data set; the policy signals are those of its industry."""


@dataclass(frozen=True)
class Look:
    """One comparison: the value against what it is compared with, for one grade of breach."""

    is_breached: bool
    value: Fraction | int
    baseline: Fraction | None
    threshold: Fraction
    window: Window = NO_WINDOW


Branch = Callable[[Grade], Look | UnknownReason]


@dataclass(frozen=True)
class Reading:
    """What an indicator's function finds: its branches, measures, its trend if it has a series, and its grades."""

    branches: Sequence[Branch]
    measures: Mapping[str, Fraction | int | None] = field(default_factory=dict)
    trend: Trend | None = None
    grades: tuple[Grade, ...] = BOTH_GRADES


@dataclass(frozen=True)
class IndicatorResult:
    """One indicator of one customer as it is published; an unknown one has no figures, only its measures."""

    state: IndicatorState
    unknown_reason: UnknownReason | None = None
    value: Decimal | None = None
    baseline: Decimal | None = None
    threshold: Decimal | None = None
    trend: Trend | None = None
    window_start: date | None = None
    window_end: date | None = None
    measures: Mapping[str, Decimal | None] = field(default_factory=dict)


def decide(reading: Reading) -> IndicatorResult:
    """Serious before watch; any breached branch wins, else any unknown one does, else clear (D§3, 0002.11)."""
    measures = {name: figure(value) for name, value in reading.measures.items()}

    def publish(state: IndicatorState, look: Look) -> IndicatorResult:
        value, baseline, threshold = figure(look.value), figure(look.baseline), figure(look.threshold)
        start, end = look.window
        return IndicatorResult(state, None, value, baseline, threshold, reading.trend, start, end, measures)

    looks = [(grade, branch(grade)) for grade in reading.grades for branch in reading.branches]
    for grade, look in looks:
        if isinstance(look, Look) and look.is_breached:
            return publish(grade, look)
    for _, look in looks:
        if not isinstance(look, Look):
            return IndicatorResult("unknown", look, measures=measures)
    first = looks[0][1]
    assert isinstance(first, Look)
    return publish("clear", first)


def unknown(reason: UnknownReason) -> Branch:
    """A branch that can't tell, whatever the grade."""
    return lambda grade: reason


def span(months: range) -> Window:
    """First and last day of a window of whole months."""
    return first_day(months[0]), last_day(months[-1])


def total(series: Series, months: Sequence[int]) -> Fraction:
    """The sum of a series over months."""
    return sum((Fraction(series.get(month, 0)) for month in months), Fraction())


def ratio(series: Series, per: Series) -> Callable[[int], Fraction | None]:
    """A month's figure per unit of another series; null where that has none."""
    return lambda month: Fraction(series.get(month, 0)) / per[month] if per.get(month) else None


def fallen_for_months(facts: Facts, code: str, series: Series) -> Reading:
    """Each of the last n closed months below a share of the baseline: the greatest of them is (0002.11, 0002.29)."""
    policy = facts.policy
    usual = baseline(facts, code, series, policy.count(code, "months"))

    def branch(grade: Grade) -> Look | UnknownReason:
        if isinstance(usual, str):
            return usual
        least = policy.parameters.get((code, "least_baseline", grade), Fraction())
        if usual == 0 or round_half_away(usual) < least:
            return "no_base"
        window = facts.moment.closed_months(policy.count(code, "months", grade))
        value = max(series.get(month, 0) for month in window)
        threshold = round_half_away(policy.parameter(code, "baseline_share", grade) * usual)
        return Look(value < threshold, value, usual, threshold, span(window))

    return Reading([branch], trend=trend(facts, code, lambda month: Fraction(series.get(month, 0)), usual))


def baseline(
    facts: Facts, code: str, series: Series, window: int, per: Mapping[int, int] | None = None
) -> Fraction | UnknownReason:
    """The customer's own mean over closed months before the window, per month or per another series' sum (0002.10)."""
    months = _months_since_first_order(facts, facts.policy.count(code, "baseline_months") or ALL_MONTHS, window)
    if len(months) < max(1, facts.policy.count(code, "min_baseline_months")):
        return "short_history"
    base = total(per, months) if per is not None else len(months)
    return total(series, months) / base if base else "no_base"


def trend(
    facts: Facts, code: str, series: Callable[[int], Fraction | None], usual: Fraction | UnknownReason
) -> Trend | None:
    """Direction of the least-squares slope of the last six closed months, relative to the baseline (0002.20)."""
    months = _months_since_first_order(facts, TREND_MONTHS, before=0)
    points = [(month, value) for month in months if (value := series(month)) is not None]
    if len(points) < TREND_MONTHS or isinstance(usual, str) or usual == 0:
        return None
    middle = Fraction(sum(month for month, _ in points), TREND_MONTHS)
    slope = sum(((month - middle) * value for month, value in points), Fraction())
    slope /= sum((month - middle) ** 2 for month, _ in points)
    change = round_half_away(slope / usual)
    if abs(change) <= TREND_LIMIT:
        return "flat"
    return "worsening" if (change > 0) == (facts.policy.indicators[code].direction == "high") else "improving"


def _months_since_first_order(facts: Facts, count: int, before: int) -> list[int]:
    first_ordered_on = facts.orders.days[0] if facts.orders.days else facts.moment.as_of_date
    return [month for month in facts.moment.closed_months(count, before) if month >= month_of(first_ordered_on)]
