"""The eight indicators: each reads a customer's facts into branches that breach, do not, or can not tell (D§3)."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from .arrears import Arrears
from .customers import Orders, Row
from .exact import figure, round_half_away
from .moment import Moment, first_day, hours_between, last_day, month_of
from .policy import Grade, Policy

IndicatorState = Literal["serious", "watch", "clear", "unknown"]
UnknownReason = Literal["no_data", "stale", "short_history", "no_base", "expired"]
Trend = Literal["worsening", "improving", "flat"]
Window = tuple[date, date] | tuple[None, None]
NO_WINDOW: Window = (None, None)
TREND_MONTHS = 6
TREND_LIMIT = Fraction(5, 100)
ALL_MONTHS = 12 * 200


@dataclass(frozen=True)
class Facts:
    """What is known of one customer as of the moment; tickets and surveys are the visible ones."""

    moment: Moment
    policy: Policy
    orders: Orders
    usual_gap: Fraction | None
    arrears: Arrears
    tickets: Sequence[Row]
    surveys: Sequence[Row]


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
    """What an indicator's function finds: its branches, measures and, for a monthly one, its trend."""

    branches: Sequence[Branch]
    measures: Mapping[str, Fraction | int | None] = field(default_factory=dict)
    trend: Trend | None = None


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

    grades: tuple[Grade, ...] = ("serious", "watch")
    looks = [(grade, branch(grade)) for grade in grades for branch in reading.branches]
    for grade, look in looks:
        if isinstance(look, Look) and look.is_breached:
            return publish(grade, look)
    for _, look in looks:
        if not isinstance(look, Look):
            return IndicatorResult("unknown", look, measures=measures)
    first = looks[0][1]
    assert isinstance(first, Look)
    return publish("clear", first)


def order_frequency(facts: Facts) -> Reading:
    """Orders in each of the last n closed months below a share of the baseline (0002.11)."""
    return _fallen_for_months(facts, "order_frequency", facts.orders.count_by_month)


def order_amount(facts: Facts) -> Reading:
    """Amount in each of the last n closed months below a share of the baseline (0002.11)."""
    return _fallen_for_months(facts, "order_amount", facts.orders.amount_by_month)


def _fallen_for_months(facts: Facts, code: str, series: Mapping[int, Fraction | int]) -> Reading:
    baseline = _baseline(facts, code, series, facts.policy.count(code, "months"))

    def branch(grade: Grade) -> Look | UnknownReason:
        if isinstance(baseline, str):
            return baseline
        if baseline == 0:
            return "no_base"
        window = facts.moment.closed_months(facts.policy.count(code, "months", grade))
        value = max(series.get(month, 0) for month in window)
        threshold = round_half_away(facts.policy.parameter(code, "baseline_share", grade) * baseline)
        return Look(value < threshold, value, baseline, threshold, _dates(window))

    return Reading([branch], trend=_trend(facts, code, lambda month: Fraction(series.get(month, 0)), baseline))


def days_since_last_order(facts: Facts) -> Reading:
    """Silent for longer than a number of days and than the customer's own rhythm allows (0002.12)."""
    code, policy = "days_since_last_order", facts.policy
    gap = facts.usual_gap
    if gap is None or len(facts.orders.days) < policy.count(code, "min_order_days"):
        return Reading([_unknown("short_history")], dict.fromkeys(("silence_days", "usual_gap_days", "silence_ratio")))
    silence = facts.moment.days_since(facts.orders.days[-1])

    def branch(grade: Grade) -> Look:
        own_limit = round_half_away(policy.parameter(code, "gap_multiple", grade) * gap)
        threshold = max(policy.parameter(code, "days", grade), own_limit)
        return Look(silence > threshold, silence, gap, threshold)

    return Reading([branch], {"silence_days": silence, "usual_gap_days": gap, "silence_ratio": silence / gap})


def overdue_days(facts: Facts) -> Reading:
    """Age of the oldest overdue invoice, once the overdue amount is worth a call (0002.14)."""
    code, arrears = "overdue_days", facts.arrears
    matters = arrears.overdue_amount > facts.policy.parameter(code, "least_amount")
    age = facts.moment.days_since(arrears.oldest_due_on) if matters and arrears.oldest_due_on else 0

    def branch(grade: Grade) -> Look:
        threshold = facts.policy.parameter(code, "days", grade)
        return Look(age > threshold, age, None, threshold)

    return Reading([branch], {"overdue_days": age})


def overdue_ratio(facts: Facts) -> Reading:
    """Overdue amount against the baseline monthly order amount (0002.15)."""
    code, overdue = "overdue_ratio", facts.arrears.overdue_amount
    baseline: Fraction | UnknownReason = "no_base"
    if facts.orders.days:
        baseline = _baseline(facts, code, facts.orders.amount_by_month, window=0)
    if isinstance(baseline, str):
        return Reading([_unknown(baseline)], {code: None})
    if baseline == 0 and overdue > 0:
        return Reading([_unknown("no_base")], {code: None})
    ratio = round_half_away(overdue / baseline) if overdue else Fraction()

    def branch(grade: Grade) -> Look:
        threshold = facts.policy.parameter(code, "ratio", grade)
        return Look(ratio > threshold, ratio, baseline, threshold)

    return Reading([branch], {code: ratio})


def complaint_rate(facts: Facts) -> Reading:
    """Complaints per order in each of the last months above the baseline, or many complaints at once (0002.16)."""
    code, policy, moment = "complaint_rate", facts.policy, facts.moment
    opened_on = [moment.local_date(row["opened_at"]) for row in facts.tickets if row["kind"] == "complaint"]
    complaints, orders = Counter(map(month_of, opened_on)), facts.orders.count_by_month
    baseline = _baseline(facts, code, complaints, policy.count(code, "months"), per=orders)

    def opened_in_last(days: int) -> int:
        return sum(moment.days_since(day) < days for day in opened_on)

    def rate_of(month: int) -> Fraction | None:
        return Fraction(complaints[month], orders[month]) if orders.get(month) else None

    def rate(grade: Grade) -> Look | UnknownReason:
        if isinstance(baseline, str):
            return baseline
        window = moment.closed_months(policy.count(code, "months", grade))
        rates = [rate for month in window if (rate := rate_of(month)) is not None]
        if len(rates) < len(window):
            return "no_base"
        value = round_half_away(min(rates))
        if baseline == 0 and value > 0:
            return "no_base"
        threshold = round_half_away(policy.parameter(code, "baseline_factor", grade) * baseline)
        return Look(value > threshold, value, baseline, threshold, _dates(window))

    def count(grade: Grade) -> Look:
        days = policy.count(code, "count_days", grade)
        value, threshold = opened_in_last(days), policy.parameter(code, "count", grade)
        return Look(value >= threshold, value, None, threshold, moment.last_days(days))

    return Reading([rate, count], {"complaints_90d": opened_in_last(90)}, _trend(facts, code, rate_of, baseline))


def response_time(facts: Facts) -> Reading:
    """Mean first response against the standard for the priority; unanswered tickets age to the cut-off (0002.17)."""
    code, policy, moment = "response_time", facts.policy, facts.moment
    days = policy.count(code, "window_days")
    shares = []
    for row in facts.tickets:
        if moment.days_since(moment.local_date(row["opened_at"])) < days:
            responded_at: datetime | None = row.get("first_responded_at")
            until = responded_at if responded_at and moment.has_seen(responded_at) else moment.cutoff
            age_hours = hours_between(row["opened_at"], until)
            standard = policy.standard_hours.get(row.get("priority") or "normal", policy.standard_hours["normal"])
            shares.append(age_hours / standard)
    if not shares:
        return Reading([_unknown("no_base")])
    value = round_half_away(sum(shares, Fraction()) / len(shares))

    def branch(grade: Grade) -> Look:
        threshold = policy.parameter(code, "ratio", grade)
        return Look(value > threshold, value, Fraction(1), threshold, moment.last_days(days))

    return Reading([branch])


def satisfaction(facts: Facts) -> Reading:
    """The last two satisfaction scores both low, on a scale of 0 to 100 (0002.18)."""
    code, policy, moment = "satisfaction", facts.policy, facts.moment
    answers = sorted(
        (row for row in facts.surveys if row["kind"] == "csat" and row["scale_max"] > row["scale_min"]),
        key=lambda row: (row["answered_at"], row["survey_id"]),
        reverse=True,
    )
    scores = [
        round_half_away(100 * Fraction(row["score"] - row["scale_min"]) / Fraction(row["scale_max"] - row["scale_min"]))
        for row in answers
        if moment.days_since(moment.local_date(row["answered_at"])) <= policy.count(code, "expires_days")
    ]

    def branch(grade: Grade) -> Look | UnknownReason:
        needed = policy.count(code, "scores", grade)
        if len(scores) < needed:
            return "expired" if answers and not scores else "short_history"
        value, threshold = max(scores[:needed]), policy.parameter(code, "score", grade)
        return Look(value < threshold, value, None, threshold)

    return Reading([branch], {"latest_score": scores[0] if scores else None})


def _unknown(reason: UnknownReason) -> Branch:
    return lambda grade: reason


def _dates(months: range) -> Window:
    return first_day(months[0]), last_day(months[-1])


def _baseline(
    facts: Facts,
    code: str,
    series: Mapping[int, Fraction | int],
    window: int,
    per: Mapping[int, int] | None = None,
) -> Fraction | UnknownReason:
    """The customer's own mean over closed months before the window, per month or per another series' sum (0002.10)."""
    months = _months_since_first_order(facts, facts.policy.count(code, "baseline_months") or ALL_MONTHS, window)
    if len(months) < max(1, facts.policy.count(code, "min_baseline_months")):
        return "short_history"
    base = sum(per.get(month, 0) for month in months) if per is not None else len(months)
    return sum((Fraction(series.get(month, 0)) for month in months), Fraction()) / base if base else "no_base"


def _trend(
    facts: Facts, code: str, series: Callable[[int], Fraction | None], baseline: Fraction | UnknownReason
) -> Trend | None:
    """Direction of the least-squares slope of the last six closed months, relative to the baseline (0002.20)."""
    months = _months_since_first_order(facts, TREND_MONTHS, before=0)
    points = [(month, value) for month in months if (value := series(month)) is not None]
    if len(points) < TREND_MONTHS or isinstance(baseline, str) or baseline == 0:
        return None
    middle = Fraction(sum(month for month, _ in points), TREND_MONTHS)
    slope = sum(((month - middle) * value for month, value in points), Fraction())
    slope /= sum((month - middle) ** 2 for month, _ in points)
    change = round_half_away(slope / baseline)
    if abs(change) <= TREND_LIMIT:
        return "flat"
    return "worsening" if (change > 0) == (facts.policy.indicators[code].direction == "high") else "improving"


def _months_since_first_order(facts: Facts, count: int, before: int) -> list[int]:
    first_ordered_on = facts.orders.days[0] if facts.orders.days else facts.moment.as_of_date
    return [month for month in facts.moment.closed_months(count, before) if month >= month_of(first_ordered_on)]


@dataclass(frozen=True)
class Definition:
    """An indicator's function, the data sets it can't do without, and its measures, all null without them (0002.19)."""

    read: Callable[[Facts], Reading]
    needs: frozenset[str]
    measures: tuple[str, ...] = ()


ORDERS, TICKETS, SURVEYS = frozenset({"sales.orders"}), frozenset({"service.tickets"}), frozenset({"service.surveys"})
ARREARS = frozenset({"finance.invoices", "finance.payments"})

DEFINITIONS: Mapping[str, Definition] = {
    "order_frequency": Definition(order_frequency, ORDERS),
    "order_amount": Definition(order_amount, ORDERS),
    "days_since_last_order": Definition(
        days_since_last_order, ORDERS, ("silence_days", "usual_gap_days", "silence_ratio")
    ),
    "overdue_days": Definition(overdue_days, ARREARS, ("overdue_days",)),
    "overdue_ratio": Definition(overdue_ratio, ARREARS | ORDERS, ("overdue_ratio",)),
    "complaint_rate": Definition(complaint_rate, TICKETS | ORDERS, ("complaints_90d",)),
    "response_time": Definition(response_time, TICKETS),
    "satisfaction": Definition(satisfaction, SURVEYS, ("latest_score",)),
}
