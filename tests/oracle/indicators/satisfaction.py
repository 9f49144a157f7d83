"""The family satisfaction: what customers say when asked, and what they say unasked."""

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

from ..exact import round_half_away
from ..moment import month_of
from ..policy import Grade
from .reading import Facts, Look, Reading, UnknownReason, baseline, trend, unknown


@dataclass(frozen=True)
class Answers:
    """A customer's scores of one kind of survey, rescaled, newest first, the unexpired ones."""

    scores: list[Fraction]
    if_too_few: UnknownReason
    """What it means that there are fewer than needed: all have expired, or too few were given."""

    @classmethod
    def of(cls, facts: Facts, kind: str, top: int, expires_days: int) -> "Answers":
        """Read visible surveys of a kind onto a scale from 0 to `top` (0002.18)."""
        answers = sorted(
            (
                row
                for row in facts.rows["service.surveys"]
                if row["kind"] == kind and row["scale_max"] > row["scale_min"]
            ),
            key=lambda row: (row["answered_at"], row["survey_id"]),
            reverse=True,
        )
        scores = [
            round_half_away(
                top * Fraction(row["score"] - row["scale_min"]) / Fraction(row["scale_max"] - row["scale_min"])
            )
            for row in answers
            if facts.moment.days_since(facts.moment.local_date(row["answered_at"])) <= expires_days
        ]
        return cls(scores, "expired" if answers and not scores else "short_history")


def satisfaction(facts: Facts) -> Reading:
    """The last two satisfaction scores both low, on a scale of 0 to 100 (0002.18)."""
    code, policy = "satisfaction", facts.policy
    answers = Answers.of(facts, "csat", 100, policy.count(code, "expires_days"))
    scores = answers.scores

    def branch(grade: Grade) -> Look | UnknownReason:
        needed = policy.count(code, "scores", grade)
        if len(scores) < needed:
            return answers.if_too_few
        value, threshold = max(scores[:needed]), policy.parameter(code, "score", grade)
        return Look(value < threshold, value, None, threshold)

    return Reading([branch], {"latest_score": scores[0] if scores else None})


def net_promoter(facts: Facts) -> Reading:
    """The latest recommendation is a detractor's; serious after a satisfied one or after another such (0002.36)."""
    code, policy = "net_promoter", facts.policy
    answers = Answers.of(facts, "nps", 10, policy.count(code, "expires_days"))
    if not answers.scores:
        return Reading([unknown(answers.if_too_few)])
    value, before = answers.scores[0], answers.scores[1] if len(answers.scores) > 1 else None

    def branch(grade: Grade) -> Look:
        threshold = policy.parameter(code, "score", grade)
        is_grave = before is not None and (before <= threshold or before >= policy.parameter(code, "satisfied_score"))
        return Look(value <= threshold and (grade == "watch" or is_grave), value, before, threshold)

    return Reading([branch])


def negative_feedback(facts: Facts) -> Reading:
    """Negative feedback of the last days above the monthly baseline (0002.37)."""
    code, policy, moment = "negative_feedback", facts.policy, facts.moment
    opened_on = [
        moment.local_date(row["opened_at"])
        for row in facts.rows["service.tickets"]
        if row["kind"] == "feedback" and row.get("sentiment") == "negative"
    ]
    by_month = Counter(map(month_of, opened_on))
    # The days of the window lie in so many closed months at most, since no month is shorter than 28 days.
    touched_months = -(-policy.count(code, "window_days") // 28)
    usual = baseline(facts, code, by_month, touched_months)

    def branch(grade: Grade) -> Look | UnknownReason:
        if isinstance(usual, str):
            return usual
        days = policy.count(code, "window_days", grade)
        value = sum(moment.days_since(day) < days for day in opened_on)
        if usual == 0 and value >= policy.count(code, "count", "watch"):
            return "no_base"
        threshold = round_half_away(policy.parameter(code, "baseline_factor", grade) * usual)
        is_breached = usual > 0 and value > threshold and value >= policy.count(code, "count", grade)
        return Look(is_breached, value, usual, threshold, moment.last_days(days))

    def is_breached(grade: Grade) -> bool:
        look = branch(grade)
        return isinstance(look, Look) and look.is_breached

    told: Grade = "watch" if is_breached("watch") and not is_breached("serious") else "serious"
    return Reading(
        [branch],
        {"least_feedback": policy.count(code, "count", told)},
        trend(facts, code, lambda month: Fraction(by_month[month]), usual),
    )
