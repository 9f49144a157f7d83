"""The family demand: how often, for how much and in what rhythm a customer orders."""

from fractions import Fraction

from ..exact import round_half_away
from ..policy import Grade
from .reading import (
    Facts,
    Look,
    Reading,
    UnknownReason,
    baseline,
    fallen_for_months,
    ratio,
    span,
    total,
    trend,
    unknown,
)


def order_frequency(facts: Facts) -> Reading:
    """Orders in each of the last n closed months below a share of the baseline (0002.11)."""
    return fallen_for_months(facts, "order_frequency", facts.orders.count_by_month)


def order_amount(facts: Facts) -> Reading:
    """Amount in each of the last n closed months below a share of the baseline (0002.11)."""
    return fallen_for_months(facts, "order_amount", facts.orders.amount_by_month)


def average_order_value(facts: Facts) -> Reading:
    """Amount per order over the last closed months below a share of the baseline (0002.27)."""
    code, policy = "average_order_value", facts.policy
    amounts, counts = facts.orders.amount_by_month, facts.orders.count_by_month
    usual = baseline(facts, code, amounts, policy.count(code, "months"), per=counts)

    def branch(grade: Grade) -> Look | UnknownReason:
        if isinstance(usual, str):
            return usual
        window = facts.moment.closed_months(policy.count(code, "months", grade))
        placed = total(counts, window)
        if usual == 0 or placed < max(1, policy.count(code, "min_orders", grade)):
            return "no_base"
        value = round_half_away(total(amounts, window) / placed)
        threshold = round_half_away(policy.parameter(code, "baseline_share", grade) * usual)
        return Look(value < threshold, value, usual, threshold, span(window))

    return Reading([branch], trend=trend(facts, code, ratio(amounts, counts), usual))


def days_since_last_order(facts: Facts) -> Reading:
    """Silent for longer than a number of days and than the customer's own rhythm allows (0002.12)."""
    code, policy = "days_since_last_order", facts.policy
    gap = facts.usual_gap
    if gap is None or len(facts.orders.days) < policy.count(code, "min_order_days"):
        return Reading([unknown("short_history")], dict.fromkeys(("silence_days", "usual_gap_days", "silence_ratio")))
    silence = facts.moment.days_since(facts.orders.days[-1])

    def branch(grade: Grade) -> Look:
        own_limit = round_half_away(policy.parameter(code, "gap_multiple", grade) * gap)
        threshold = max(policy.parameter(code, "days", grade), own_limit)
        return Look(silence > threshold, silence, gap, threshold)

    return Reading([branch], {"silence_days": silence, "usual_gap_days": gap, "silence_ratio": silence / gap})


def rhythm_break(facts: Facts) -> Reading:
    """A class A customer misses its own rhythm: an early notice, never serious (0002.28)."""
    code, policy = "rhythm_break", facts.policy
    measures: dict[str, Fraction | int | None] = {"is_class_a": int(facts.is_class_a)}
    gap = facts.usual_gap
    if gap is None or len(facts.orders.days) < policy.count(code, "min_order_days", "watch"):
        return Reading([unknown("short_history")], measures, grades=("watch",))
    silence = facts.moment.days_since(facts.orders.days[-1])

    def branch(grade: Grade) -> Look:
        days, own_limit = (
            policy.parameter(code, "days", grade),
            round_half_away(policy.parameter(code, "gap_multiple", grade) * gap),
        )
        is_breached = facts.is_class_a and silence >= days and silence > own_limit
        return Look(is_breached, silence, gap, max(days, own_limit))

    return Reading([branch], measures, grades=("watch",))
