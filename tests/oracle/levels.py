"""Level rules: which of them fire at one moment and what they rest on (D§4, 0002.21, 0002.22)."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from .indicators import IndicatorResult
from .policy import Condition, Policy, Rule

SEVERITY = {"unknown": -1, "clear": 0, "watch": 1, "serious": 2}
OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
}

Indicators = Mapping[str, IndicatorResult]


@dataclass(frozen=True)
class Finding:
    """What the rules find at one moment."""

    raw_level: int | None
    """After level caps."""
    uncapped_level: int | None
    rule_codes: tuple[str, ...]
    source_indicators: frozenset[str]
    """What the fired rules of the raw level rest on."""
    breached_indicators: frozenset[str]
    """The serious or watch ones that any fired rule rests on."""

    def at_level(self, level: int) -> "Finding":
        """The same with another raw level; 4, none, rests on nothing (0002.45)."""
        if level == 4:
            return replace(self, raw_level=None, source_indicators=frozenset(), breached_indicators=frozenset())
        return replace(self, raw_level=level)


def raw_finding(indicators: Indicators, policy: Policy) -> Finding:
    """Fire the level rules; the gravest one gives the raw level (0002.22)."""
    grounds = {rule: rests_on for rule in policy.rules if (rests_on := _grounds(rule, indicators, policy))}
    fired = sorted(grounds, key=lambda rule: (rule.warning_level, rule.rule_code))
    raw_level = fired[0].warning_level if fired else None
    rested_on = frozenset().union(*grounds.values())
    return Finding(
        raw_level=raw_level,
        uncapped_level=raw_level,
        rule_codes=tuple(rule.rule_code for rule in fired),
        source_indicators=frozenset().union(*(grounds[rule] for rule in fired if rule.warning_level == raw_level)),
        breached_indicators=frozenset(code for code in rested_on if SEVERITY[indicators[code].state] > 0),
    )


def _grounds(rule: Rule, indicators: Indicators, policy: Policy) -> frozenset[str]:
    """The indicators a fired rule rests on; none if it does not fire (0002.21)."""
    if rule.kind == "all_of":
        holds = all(_holds(condition, indicators) for condition in rule.conditions)
        return frozenset(condition.indicator_code for condition in rule.conditions) if holds else frozenset()
    counted = frozenset(
        code
        for code, result in indicators.items()
        if SEVERITY[result.state] >= SEVERITY[rule.least_state]
        and (policy.indicators[code].family in rule.among_families or not rule.among_families)
        and (policy.indicators[code].is_key or not rule.only_key_indicators)
    )
    families = {policy.indicators[code].family for code in counted}
    enough = len(counted) >= rule.how_many and len(families) >= rule.families
    included = bool(families & rule.must_include_families) or not rule.must_include_families
    return counted if enough and included else frozenset()


def _holds(condition: Condition, indicators: Indicators) -> bool:
    """Whether a condition holds; a missing indicator, an unknown state and a null measure satisfy none."""
    result = indicators.get(condition.indicator_code)
    compare = OPERATORS[condition.operator]
    if result is None:
        return False
    if condition.measure == "state":
        return result.state != "unknown" and compare(SEVERITY[result.state], SEVERITY[condition.value])
    measured = result.value if condition.measure == "value" else result.measures.get(condition.measure)
    return measured is not None and compare(Fraction(measured), Fraction(condition.value))
