"""The families market and model: what happens around a customer, and what a model makes of everything."""

from fractions import Fraction

from ..exact import round_half_away
from ..policy import Grade
from .reading import Facts, Look, Reading, unknown


def competitor_activity(facts: Facts) -> Reading:
    """Competitors were seen at the customer; serious if it was interested (0002.38)."""
    code, policy, moment = "competitor_activity", facts.policy, facts.moment

    def branch(grade: Grade) -> Look:
        days, threshold = policy.count(code, "window_days", grade), policy.parameter(code, "count", grade)
        signals = [
            row for row in facts.rows["sales.competitor_signals"] if moment.days_since(row["observed_on"]) < days
        ]
        interested = sum(row.get("has_customer_interest") is True for row in signals)
        is_breached = (interested if grade == "serious" else len(signals)) >= threshold
        value = interested if grade == "serious" and is_breached else len(signals)
        return Look(is_breached, value, None, threshold, moment.last_days(days))

    return Reading([branch])


def policy_change(facts: Facts) -> Reading:
    """An adverse policy for the customer's industry took effect lately: a note, never serious (0002.39)."""
    code, policy, moment = "policy_change", facts.policy, facts.moment
    if facts.industry is None:
        return Reading([unknown("no_base")], grades=("watch",))
    ages = [
        moment.days_since(row.get("effective_on") or row["observed_on"])
        for row in facts.rows["sales.policy_signals"]
        if row["effect"] == "adverse"
    ]

    def branch(grade: Grade) -> Look:
        value = sum(0 <= age <= policy.count(code, "days", grade) for age in ages)
        return Look(value >= 1, value, None, Fraction(1))

    return Reading([branch], grades=("watch",))


def churn_probability(facts: Facts) -> Reading:
    """The latest probability of the model, unless it is too old to tell (0002.40)."""
    code, policy, moment = "churn_probability", facts.policy, facts.moment
    latest = max(facts.rows["model.churn_scores"], key=lambda row: row["scored_on"], default=None)
    if latest is None:
        return Reading([unknown("no_data")])
    if moment.days_since(latest["scored_on"]) > policy.count(code, "expires_days"):
        return Reading([unknown("expired")])
    value = round_half_away(Fraction(latest["probability"]))

    def branch(grade: Grade) -> Look:
        threshold = policy.parameter(code, "probability", grade)
        return Look(value > threshold, value, None, threshold)

    return Reading([branch])
