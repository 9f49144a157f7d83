"""The family arrears: what is overdue, for how long, and whether a customer pays in time."""

from fractions import Fraction

from ..exact import round_half_away
from ..policy import Grade
from .reading import Facts, Look, Reading, UnknownReason, baseline, unknown


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
    usual: Fraction | UnknownReason = "no_base"
    if facts.orders.days:
        usual = baseline(facts, code, facts.orders.amount_by_month, window=0)
    if isinstance(usual, str):
        return Reading([unknown(usual)], {code: None})
    if usual == 0 and overdue > 0:
        return Reading([unknown("no_base")], {code: None})
    share = round_half_away(overdue / usual) if overdue else Fraction()

    def branch(grade: Grade) -> Look:
        threshold = facts.policy.parameter(code, "ratio", grade)
        return Look(share > threshold, share, usual, threshold)

    return Reading([branch], {code: share})


def late_payment_rate(facts: Facts) -> Reading:
    """Share of the invoices that fell due lately which were paid late or are still open (0002.30)."""
    code, policy, moment = "late_payment_rate", facts.policy, facts.moment

    def due_lately(grade: Grade) -> tuple[int, int]:
        """How many fell due, and how many of them are late."""
        start, _ = moment.months_up_to_now(policy.count(code, "months", grade))
        due = [each for each in facts.arrears.settlements if start <= each.due_on < moment.as_of_date]
        return len(due), sum(each.is_late for each in due)

    def branch(grade: Grade) -> Look | UnknownReason:
        due, late = due_lately(grade)
        if due < max(1, policy.count(code, "min_invoices", grade)):
            return "no_base"
        value, threshold = round_half_away(Fraction(late, due)), policy.parameter(code, "share", grade)
        window = moment.months_up_to_now(policy.count(code, "months", grade))
        return Look(value > threshold, value, None, threshold, window)

    return Reading([branch], {"late_invoices": due_lately("serious")[1]})
