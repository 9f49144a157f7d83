"""The family credit: whether a customer is good for what it is given."""

from datetime import date, timedelta
from fractions import Fraction

from ..exact import round_half_away
from ..moment import month_of
from ..policy import Grade
from .reading import Facts, Look, Reading, UnknownReason, unknown


def credit_score(facts: Facts) -> Reading:
    """The score in force is low, or has dropped within some days (0002.31)."""
    code, policy, today = "credit_score", facts.policy, facts.moment.as_of_date
    scored = sorted((row["scored_on"], round_half_away(Fraction(row["score"]))) for row in facts.rows["credit.scores"])
    if not scored:
        return Reading([unknown("no_data")])
    score = scored[-1][1]

    def low(grade: Grade) -> Look:
        threshold = policy.parameter(code, "score", grade)
        return Look(score < threshold, score, None, threshold)

    def drop(grade: Grade) -> Look:
        start = today - timedelta(days=policy.count(code, "drop_days", grade))
        greatest = max(_in_force_between(scored, start, today))
        threshold = greatest - policy.parameter(code, "drop", grade)
        return Look(score <= threshold, score, greatest, threshold, (start, today))

    return Reading([low, drop])


def _in_force_between(scored: list[tuple[date, Fraction]], start: date, end: date) -> list[Fraction]:
    """The scores in force on any of these days: those made on one of them, and the last one made before."""
    within = [score for day, score in scored if start < day <= end]
    return within + [score for day, score in scored if day <= start][-1:]


def credit_utilization(facts: Facts) -> Reading:
    """What a customer owes against the limit that is in force (0002.32)."""
    code, policy = "credit_utilization", facts.policy
    terms = max(facts.rows["finance.credit_terms"], key=lambda row: row["valid_from"], default=None)
    limit = Fraction(terms["credit_limit"] or 0) if terms else Fraction()
    if limit <= 0:
        return Reading([unknown("no_base")], {"credit_limit": None})
    value = round_half_away(facts.arrears.open_balance / limit)

    def branch(grade: Grade) -> Look:
        threshold = policy.parameter(code, "ratio", grade)
        return Look(value > threshold, value, None, threshold)

    return Reading([branch], {"credit_limit": limit})


def order_fulfilment(facts: Facts) -> Reading:
    """Share of its latest orders that the customer itself cancelled: its reliability, not ours (0002.33)."""
    code, policy, moment = "order_fulfilment", facts.policy, facts.moment

    def placed_lately(grade: Grade) -> tuple[int, int]:
        """How many orders it kept, and how many it cancelled; who else cancelled tells nothing about it."""
        first = month_of(moment.months_up_to_now(policy.count(code, "months", grade))[0])
        kept, cancelled = facts.orders.count_by_month, facts.orders.cancelled_by_customer
        return (
            sum(count for month, count in kept.items() if month >= first),
            sum(count for month, count in cancelled.items() if month >= first),
        )

    def branch(grade: Grade) -> Look | UnknownReason:
        kept, cancelled = placed_lately(grade)
        if kept + cancelled == 0:
            return "no_base"
        value, threshold = (
            round_half_away(Fraction(cancelled, kept + cancelled)),
            policy.parameter(code, "share", grade),
        )
        is_breached = value > threshold and cancelled >= policy.count(code, "min_cancelled", grade)
        return Look(is_breached, value, None, threshold, moment.months_up_to_now(policy.count(code, "months", grade)))

    return Reading([branch], {"cancelled_orders": placed_lately("serious")[1]})
