"""The family engagement: whether a customer still gets in touch."""

from collections import Counter

from ..moment import month_of
from .reading import Facts, Reading, fallen_for_months

SPOKEN_OR_WRITTEN = frozenset({"phone", "email", "visit", "social"})


def interaction_frequency(facts: Facts) -> Reading:
    """Conversations and inquiries in each of the last closed months below a share of the baseline (0002.29)."""
    months = _months_of_interactions(facts, SPOKEN_OR_WRITTEN)
    inquiries = (row for row in facts.rows["service.tickets"] if row["kind"] == "inquiry")
    months.update(month_of(facts.moment.local_date(row["opened_at"])) for row in inquiries)
    return fallen_for_months(facts, "interaction_frequency", months)


def web_activity(facts: Facts) -> Reading:
    """Web visits in each of the last closed months below a share of the baseline (0002.29)."""
    return fallen_for_months(facts, "web_activity", _months_of_interactions(facts, frozenset({"web"})))


def _months_of_interactions(facts: Facts, channels: frozenset[str]) -> Counter[int]:
    return Counter(
        month_of(facts.moment.local_date(row["occurred_at"]))
        for row in facts.rows["sales.interactions"]
        if row["channel"] in channels
    )
