"""The figures by month: those of the regulation as written, and honest ones beside them (0002.60)."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from statistics import median
from typing import Any

from .cases import Case, Key
from .exact import figure
from .hysteresis import Held
from .moment import first_day, last_day, month_of
from .outcomes import Lost, Outcome, Settled, is_service_fluctuation
from .run import CustomerResult, Run

Cut = tuple[date, str, str]
"""First day of the month, dimension and value."""


@dataclass(frozen=True)
class Warned:
    """A warning, settled or not, with what is known of it after the last run."""

    customer_id: str
    opened_on: date
    cuts: frozenset[tuple[str, str]]
    owner: str
    was_active: bool
    is_matured: bool
    outcome: str
    is_churned: bool
    lead_days: int | None
    is_handled: bool
    is_handled_in_time: bool
    is_won_back: bool


def kpis(
    runs: Sequence[Run],
    held: Sequence[Mapping[str, Held]],
    cases: Sequence[Mapping[Key, Case]],
    settled: Sequence[Settled],
    policy_hash: str,
) -> dict[Cut, dict[str, Any]]:
    """The figures after a chain of runs, named as in bi.warning_kpis."""
    warned = list(_warned(runs, held, cases, settled, policy_hash))
    lost = [(key[1], each) for step in settled for key, each in step.lost.items()]
    told: dict[Cut, dict[str, Any]] = {}
    for month in {month_of(each.opened_on) for each in warned} | {month_of(day) for day, _ in lost}:
        opened = [each for each in warned if month_of(each.opened_on) == month]
        gone = [each for day, each in lost if month_of(day) == month]
        cuts = {cut for each in opened for cut in each.cuts} | {
            cut for each in gone for cut in _cuts(each, policy_hash)
        }
        for dimension, value in cuts:
            under = [each for each in opened if (dimension, value) in each.cuts]
            own = [each for each in gone if (dimension, value) in _cuts(each, policy_hash)]
            against = own if dimension in ("all", "owner", "policy") else gone
            told[first_day(month), dimension, value] = _figures(under, own, against, month)
    return told


def _warned(
    runs: Sequence[Run],
    held: Sequence[Mapping[str, Held]],
    cases: Sequence[Mapping[Key, Case]],
    settled: Sequence[Settled],
    policy_hash: str,
) -> Iterator[Warned]:
    outcomes = {key: outcome for step in settled for key, outcome in step.outcomes.items()}
    recoveries = {key: recovery for step in settled for key, recovery in step.recoveries.items()}
    seen = set()
    for run, levels, after in zip(runs, held, cases, strict=True):
        for key, case in after.items():
            if case.event != "opened" or key in seen:
                continue
            seen.add(key)
            outcome, customer = outcomes.get(key), run.customers[key[0]]
            latest = next(later[key] for later in reversed(cases) if key in later)
            handled_at = outcome.handled_at if outcome else latest.first_handled_at
            yield Warned(
                customer_id=key[0],
                opened_on=case.opened_on,
                cuts=_cuts(outcome or _Opened.of(case, customer, levels[key[0]]), policy_hash),
                owner=_owner(customer),
                was_active=customer.state == "active",
                is_matured=outcome is not None,
                outcome=outcome.outcome if outcome else "open",
                is_churned=bool(outcome and outcome.is_churned),
                lead_days=outcome.lead_days if outcome else None,
                is_handled=handled_at is not None,
                is_handled_in_time=outcome.is_handled_in_time if outcome else bool(latest.was_handled_in_time),
                is_won_back=key in recoveries and recoveries[key].is_won_back,
            )


@dataclass(frozen=True)
class _Opened:
    """What a warning that is not settled is counted under."""

    owner_name: str | None
    owner_email: str | None
    warning_level: int | None
    is_service_fluctuation: bool
    departments: Collection[str]
    indicator_codes: Collection[str]

    @classmethod
    def of(cls, case: Case, customer: CustomerResult, held: Held) -> "_Opened":
        return cls(
            customer.owner_name,
            customer.owner_email,
            case.warning_level,
            is_service_fluctuation(customer, held),
            case.departments,
            case.indicator_codes,
        )


def _cuts(told: Outcome | Lost | _Opened, policy_hash: str) -> frozenset[tuple[str, str]]:
    cuts = {("all", "all"), ("owner", _owner(told)), ("policy", policy_hash)}
    if told.warning_level is not None:
        cuts.add(("level", "service_fluctuation" if told.is_service_fluctuation else str(told.warning_level)))
    cuts |= {("department", department) for department in told.departments}
    return frozenset(cuts | {("indicator", code) for code in told.indicator_codes})


def _owner(of: Outcome | Lost | _Opened | CustomerResult) -> str:
    return of.owner_email or of.owner_name or "–"


def _figures(warned: Sequence[Warned], own: Sequence[Lost], against: Sequence[Lost], month: int) -> dict[str, Any]:
    def customers(chosen: Iterable[Warned]) -> int:
        return len({each.customer_id for each in chosen})

    matured = [each for each in warned if each.is_matured and each.was_active]
    churned = [each for each in matured if each.is_churned]
    handled = [each for each in matured if each.is_handled]
    false_alarms = [each for each in matured if each.outcome in ("cleared", "open")]
    owners = {each.owner for each in warned if each.is_matured}
    weeks = Fraction((last_day(month) - first_day(month)).days + 1, 7)
    leads = [each.lead_days for each in churned if each.lead_days is not None]
    counts = {
        "warning_count": len(warned),
        "warned_count": customers(warned),
        "warned_active_count": customers(each for each in warned if each.was_active),
        "churned_count": customers(churned),
        "handled_count": customers(each for each in warned if each.is_handled),
        "handled_in_time_count": customers(each for each in warned if each.is_handled_in_time),
        "won_back_count": customers(each for each in warned if each.is_won_back),
        "matured_warning_count": sum(each.is_matured for each in warned),
        "matured_count": customers(matured),
        "false_alarm_warning_count": len(false_alarms),
        "lost_count": len(against),
        "caught_count": sum(each.is_warned for each in own),
    }
    return {
        **counts,
        "accuracy_ratio": _share(counts["churned_count"], counts["warned_active_count"]),
        "timely_handling_ratio": _share(counts["handled_in_time_count"], counts["warned_count"]),
        "win_back_ratio": _share(counts["won_back_count"], counts["warned_count"]),
        "matured_accuracy_ratio": _share(counts["churned_count"], counts["matured_count"]),
        "adjusted_accuracy_ratio": _share(
            customers(each for each in matured if each.outcome in ("churned", "recovered")), counts["matured_count"]
        ),
        "handled_churn_ratio": _share(customers(each for each in handled if each.is_churned), customers(handled)),
        "unhandled_churn_ratio": _share(
            customers(each for each in churned if not each.is_handled),
            customers(each for each in matured if not each.is_handled),
        ),
        "recall_ratio": _share(counts["caught_count"], counts["lost_count"]),
        "lead_days_median": figure(Fraction(median(leads)), 1) if leads else None,
        "false_alarms_per_owner_week": figure(len(false_alarms) / weeks / len(owners)) if owners else None,
    }


def _share(part: int, whole: int) -> Decimal | None:
    return figure(Fraction(part, whole)) if whole else None
