"""The family quality: whether we deliver in time, and what comes back."""

from collections import Counter
from fractions import Fraction

from ..exact import round_half_away
from ..moment import month_of
from ..policy import Grade
from .reading import Facts, Look, Reading, UnknownReason, baseline, ratio, span, total, trend


def delivery_punctuality(facts: Facts) -> Reading:
    """Share of the orders promised for the latest days, all of them over, that were fulfilled by then (0002.34)."""
    code, policy, moment = "delivery_punctuality", facts.policy, facts.moment

    def promised_lately(grade: Grade) -> tuple[int, int]:
        """How many orders were promised, and how many of them came late or have not come."""
        start, _ = moment.months_up_to_now(policy.count(code, "months", grade))
        due = [each for each in facts.orders.promises if start <= each.promised_on < moment.day_of_cutoff]
        return len(due), sum(each.fulfilled_on is None or each.fulfilled_on > each.promised_on for each in due)

    def branch(grade: Grade) -> Look | UnknownReason:
        due, late = promised_lately(grade)
        if due < max(1, policy.count(code, "min_orders", grade)):
            return "no_base"
        value, threshold = round_half_away(Fraction(due - late, due)), policy.parameter(code, "share", grade)
        window = moment.months_up_to_now(policy.count(code, "months", grade))
        return Look(value < threshold, value, None, threshold, window)

    return Reading([branch], {"late_orders": promised_lately("serious")[1]})


def return_rate(facts: Facts) -> Reading:
    """Returns per order over the last closed months above the baseline (0002.35)."""
    code, policy, moment = "return_rate", facts.policy, facts.moment
    orders = facts.orders.count_by_month
    returns = Counter(month_of(moment.local_date(row["returned_at"])) for row in facts.rows["sales.returns"])
    serious_window = moment.closed_months(policy.count(code, "months"))
    usual = baseline(facts, code, returns, len(serious_window), per=orders)
    returned = total(returns, serious_window)

    def branch(grade: Grade) -> Look | UnknownReason:
        if isinstance(usual, str):
            return usual
        window = moment.closed_months(policy.count(code, "months", grade))
        if not total(orders, window) or (usual == 0 and returned >= policy.count(code, "min_returns")):
            return "no_base"
        value = round_half_away(total(returns, window) / total(orders, window))
        threshold = round_half_away(policy.parameter(code, "baseline_factor", grade) * usual)
        enough = usual > 0 and total(returns, window) >= policy.count(code, "min_returns", grade)
        return Look(value > threshold and enough, value, usual, threshold, span(window))

    return Reading([branch], {"return_count": returned}, trend(facts, code, ratio(returns, orders), usual))
