"""The family service: how much a customer complains, and how long we take to answer."""

from collections import Counter
from datetime import datetime
from fractions import Fraction

from ..exact import round_half_away
from ..moment import hours_between, month_of
from ..policy import Grade
from .reading import Facts, Look, Reading, UnknownReason, baseline, ratio, span, trend, unknown


def complaint_rate(facts: Facts) -> Reading:
    """Complaints per order in each of the last months above the baseline, or many complaints at once (0002.16)."""
    code, policy, moment = "complaint_rate", facts.policy, facts.moment
    opened_on = [
        moment.local_date(row["opened_at"]) for row in facts.rows["service.tickets"] if row["kind"] == "complaint"
    ]
    complaints, orders = Counter(map(month_of, opened_on)), facts.orders.count_by_month
    usual = baseline(facts, code, complaints, policy.count(code, "months"), per=orders)
    rate_of = ratio(complaints, orders)

    def opened_in_last(days: int) -> int:
        return sum(moment.days_since(day) < days for day in opened_on)

    def rate(grade: Grade) -> Look | UnknownReason:
        if isinstance(usual, str):
            return usual
        window = moment.closed_months(policy.count(code, "months", grade))
        rates = [rate for month in window if (rate := rate_of(month)) is not None]
        if len(rates) < len(window):
            return "no_base"
        value = round_half_away(min(rates))
        if usual == 0 and value > 0:
            return "no_base"
        threshold = round_half_away(policy.parameter(code, "baseline_factor", grade) * usual)
        return Look(value > threshold, value, usual, threshold, span(window))

    def count(grade: Grade) -> Look:
        days = policy.count(code, "count_days", grade)
        value, threshold = opened_in_last(days), policy.parameter(code, "count", grade)
        return Look(value >= threshold, value, None, threshold, moment.last_days(days))

    return Reading([rate, count], {"complaints_90d": opened_in_last(90)}, trend(facts, code, rate_of, usual))


def response_time(facts: Facts) -> Reading:
    """Mean first response against the standard for the priority; unanswered tickets age to the cut-off (0002.17)."""
    code, policy, moment = "response_time", facts.policy, facts.moment
    days = policy.count(code, "window_days")
    shares = []
    for row in facts.rows["service.tickets"]:
        if moment.days_since(moment.local_date(row["opened_at"])) < days:
            responded_at: datetime | None = row.get("first_responded_at")
            until = responded_at if responded_at and moment.has_seen(responded_at) else moment.cutoff
            age_hours = hours_between(row["opened_at"], until)
            standard = policy.standard_hours.get(row.get("priority") or "normal", policy.standard_hours["normal"])
            shares.append(age_hours / standard)
    if not shares:
        return Reading([unknown("no_base")])
    value = round_half_away(sum(shares, Fraction()) / len(shares))

    def branch(grade: Grade) -> Look:
        threshold = policy.parameter(code, "ratio", grade)
        return Look(value > threshold, value, Fraction(1), threshold, moment.last_days(days))

    return Reading([branch])
