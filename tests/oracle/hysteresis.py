"""Hysteresis: what consecutive runs make of the raw levels (D§4, 0002.23, 0002.24)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from .policy import Policy
from .run import CustomerResult, Run

NO_LEVEL = 4
"""Stands for no level where levels are compared: milder than level 3."""

Change = Literal["new", "escalated", "eased", "unchanged"]


@dataclass(frozen=True)
class Held:
    """What a judged customer holds after a run; without a level everything is null or empty."""

    warning_level: int | None
    level_since: date | None
    peak_level: int | None
    change: Change | None
    source_indicators: frozenset[str]
    indicator_codes: tuple[str, ...]
    """Breached indicators that fired rules rest on, and the level's source indicators (0002.22)."""


def follow(runs: Sequence[Run], policy: Policy) -> list[dict[str, Held]]:
    """Go through a chain of runs, each the previous one of the next, and hold levels with hysteresis (0002.23)."""
    held: list[dict[str, Held]] = []
    for position, run in enumerate(runs):
        horizon = run.as_of_date - timedelta(days=int(policy.settings["cooldown_days"]))
        recent = [past for past in reversed(runs[: position + 1]) if past.as_of_date > horizon]
        before = held[-1] if held else {}
        held.append(
            {
                customer_id: _hold(run, customer, before.get(customer_id), recent)
                for customer_id, customer in run.customers.items()
                if customer.is_judged
            }
        )
    return held


def _hold(run: Run, customer: CustomerResult, before: Held | None, recent: Sequence[Run]) -> Held:
    level, sources = _next_level(customer, before, recent)
    if level == NO_LEVEL:
        return Held(None, None, None, None, frozenset(), ())
    indicator_codes = tuple(sorted(customer.finding.breached_indicators | sources))
    if before is None or before.warning_level is None or before.peak_level is None:
        return Held(level, run.as_of_date, level, "new", sources, indicator_codes)
    change: Change = "unchanged"
    if level != before.warning_level:
        change = "escalated" if level < before.warning_level else "eased"
    since = before.level_since if change == "unchanged" else run.as_of_date
    return Held(level, since, min(level, before.peak_level), change, sources, indicator_codes)


def _next_level(customer: CustomerResult, before: Held | None, recent: Sequence[Run]) -> tuple[int, frozenset[str]]:
    """The level after this run and the indicators it rests on; `recent` are the runs of the cool-down, newest first."""
    findings = [
        past.customers[customer.customer_id].finding for past in recent if customer.customer_id in past.customers
    ]
    raw = customer.finding.raw_level or NO_LEVEL
    previous = before.warning_level if before and before.warning_level else NO_LEVEL
    gravest = min(finding.raw_level or NO_LEVEL for finding in findings)
    if raw <= previous:
        return raw, customer.finding.source_indicators
    assert before is not None
    cannot_tell = any(
        code in customer.indicators and customer.indicators[code].state == "unknown"
        for code in before.source_indicators
    )
    if cannot_tell or gravest <= previous:
        return previous, before.source_indicators
    if gravest == NO_LEVEL:
        return NO_LEVEL, frozenset()
    return gravest, next(finding.source_indicators for finding in findings if finding.raw_level == gravest)
