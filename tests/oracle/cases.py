"""Warning cases: what consecutive runs and people's actions make of the levels held (0002.46, 0002.48, 0002.49)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal

from .hysteresis import Held
from .policy import Policy
from .run import Run

Event = Literal["opened", "escalated", "eased", "handled", "reopened", "resolved", "churned"]
Key = tuple[str, str]
"""Customer and case."""


@dataclass(frozen=True)
class Case:
    """A case after a run, named as in marts.fct_warning_cases."""

    case_id: str
    event: Event | None
    opened_on: date
    raised_at: datetime
    step: int
    warning_level: int | None
    peak_level: int
    deadline_at: datetime
    is_of_lapsed: bool
    indicator_codes: tuple[str, ...]
    departments: tuple[str, ...]
    is_joint: bool
    money_at_risk_amount: Decimal | None
    handled_at: datetime | None = None
    handling_outcome: str | None = None
    follow_up_on: date | None = None
    was_handled: bool = False
    first_handled_at: datetime | None = None
    was_handled_in_time: bool | None = None
    closed_on: date | None = None
    outcome: str | None = None
    is_held_back: bool = False
    is_told: bool = False


@dataclass(frozen=True)
class _Warned:
    """A customer that holds a level in a run."""

    level: int
    deadline_at: datetime
    shown: Mapping[str, object]
    """What a case shows of the level as it is now."""


def follow_cases(runs: Sequence[Run], held: Sequence[Mapping[str, Held]], policy: Policy) -> list[dict[Key, Case]]:
    """Go through a chain of runs with the levels held after each; gives the cases open or kept after each."""
    told: list[dict[Key, Case]] = []
    for run, levels in zip(runs, held, strict=True):
        before = told[-1] if told else {}
        told.append(_after(run, _warned(run, levels, policy), before, policy))
    return told


def _after(run: Run, warned: Mapping[str, _Warned], before: Mapping[Key, Case], policy: Policy) -> dict[Key, Case]:
    known: dict[str, list[Case]] = {}
    for (customer_id, _), case in before.items():
        if case.closed_on is None or (run.as_of_date - case.closed_on).days <= policy.settings["reopen_days"]:
            known.setdefault(customer_id, []).append(case)
    after: dict[Key, Case] = {}
    for customer_id in known.keys() | warned.keys():
        state = run.customers[customer_id].state if customer_id in run.customers else None
        cases = _next(run, customer_id, state == "lapsed", warned.get(customer_id), known.get(customer_id, []), policy)
        after |= {(customer_id, case.case_id): case for case in cases}
    return after


def _next(
    run: Run, customer_id: str, is_lapsed: bool, warned: _Warned | None, known: list[Case], policy: Policy
) -> Iterable[Case]:
    """What becomes of a customer's cases, of which at most one is open."""
    going_on = next((case for case in known if case.closed_on is None), None)
    closed = sorted(
        (replace(case, event=None) for case in known if case.closed_on is not None),
        key=lambda case: (case.closed_on, case.opened_on, case.case_id),
    )
    if going_on is not None:
        case = _with_handling(run, customer_id, going_on, policy)
        if is_lapsed and not case.is_of_lapsed and case.opened_on < run.as_of_date:
            closed.append(_closed(case, run, "churned", "churned"))
        elif warned is None:
            is_handled = case.was_handled or case.handled_at is not None
            closed.append(_closed(case, run, "resolved", "recovered" if is_handled else "cleared"))
        else:
            return [*closed, _held_on(run, going_on, case, warned, is_lapsed)]
    elif warned is not None and closed and closed[-1].outcome != "churned":
        return [*closed[:-1], _raised_anew(run, closed[-1], warned, is_lapsed)]
    if warned is None:
        return closed
    opened = Case(
        case_id=f"{customer_id}-{run.as_of_date:%Y%m%d}",
        event="opened",
        opened_on=run.as_of_date,
        raised_at=run.moment.cutoff,
        step=1,
        warning_level=warned.level,
        peak_level=warned.level,
        deadline_at=warned.deadline_at,
        is_of_lapsed=is_lapsed,
        is_told=not warned.shown["is_held_back"],
        **warned.shown,  # type: ignore[arg-type]
    )
    return [*closed, opened]


def _held_on(run: Run, before: Case, case: Case, warned: _Warned, is_lapsed: bool) -> Case:
    """An open case whose customer still holds a level."""
    assert before.warning_level is not None
    if case.handled_at is not None:
        assert case.follow_up_on is not None
        if warned.level < before.warning_level or run.as_of_date >= case.follow_up_on:
            return _raised_anew(run, case, warned, is_lapsed)
    event: Event | None = None
    deadline_at = case.deadline_at
    if warned.level < before.warning_level:
        event, deadline_at = "escalated", min(deadline_at, warned.deadline_at)
    elif warned.level > before.warning_level:
        event = "eased"
    elif case.handled_at is not None and before.handled_at is None:
        event = "handled"
    return replace(
        case,
        event=event,
        warning_level=warned.level,
        peak_level=min(case.peak_level, warned.level),
        deadline_at=deadline_at,
        is_told=not warned.shown["is_held_back"] or (before.is_told and event != "escalated"),
        **warned.shown,  # type: ignore[arg-type]
    )


def _raised_anew(run: Run, case: Case, warned: _Warned, is_lapsed: bool) -> Case:
    return replace(
        case,
        event="reopened",
        raised_at=run.moment.cutoff,
        step=case.step + 1,
        warning_level=warned.level,
        peak_level=min(case.peak_level, warned.level),
        deadline_at=warned.deadline_at,
        is_of_lapsed=is_lapsed,
        was_handled=case.was_handled or case.handled_at is not None,
        handled_at=None,
        handling_outcome=None,
        follow_up_on=None,
        closed_on=None,
        outcome=None,
        is_told=not warned.shown["is_held_back"],
        **warned.shown,  # type: ignore[arg-type]
    )


def _closed(case: Case, run: Run, event: Event, outcome: str) -> Case:
    ended = replace(case, event=event, outcome=outcome, closed_on=run.as_of_date, warning_level=None)
    return replace(ended, is_held_back=False, is_told=False)


def _with_handling(run: Run, customer_id: str, case: Case, policy: Policy) -> Case:
    """The case with what people have done about it since it was raised; everything counts anew in every run."""
    done = sorted(
        (
            action
            for action in run.actions
            if action["customer_id"] == customer_id
            and action["case_id"] in (None, case.case_id)
            and action["taken_at"] >= case.raised_at
            and action["outcome"] != "note"
        ),
        key=lambda action: (action["taken_at"], action["action_id"]),
    )
    case = _with_first_handling(case, done[0]["taken_at"] if done else None)
    if not done:
        return replace(case, handled_at=None, handling_outcome=None, follow_up_on=None)  # a correction undoes it
    named = [action["follow_up_on"] for action in done if action["follow_up_on"] is not None]
    later = timedelta(days=int(policy.settings["follow_up_days"]))
    return replace(
        case,
        handled_at=done[0]["taken_at"],
        handling_outcome=done[-1]["outcome"],
        follow_up_on=named[-1] if named else run.moment.local_date(done[-1]["taken_at"]) + later,
    )


def _with_first_handling(case: Case, handled_at: datetime | None) -> Case:
    """What was handled before the case was raised anew stays the first."""
    if case.was_handled:
        return case
    is_in_time = None if handled_at is None else handled_at <= case.deadline_at
    return replace(case, first_handled_at=handled_at, was_handled_in_time=is_in_time)


def _warned(run: Run, levels: Mapping[str, Held], policy: Policy) -> dict[str, _Warned]:
    holding = {key: held for key, held in levels.items() if held.warning_level is not None}
    held_back = _held_back(run, holding, policy)
    found = {}
    for customer_id, held in holding.items():
        assert held.warning_level is not None
        indicators = [policy.indicators[code] for code in held.indicator_codes]
        families = {indicator.family for indicator in indicators}
        hours = policy.settings[f"level_{held.warning_level}_deadline_hours"]
        found[customer_id] = _Warned(
            level=held.warning_level,
            deadline_at=run.moment.cutoff + timedelta(hours=int(hours)),
            shown={
                "indicator_codes": held.indicator_codes,
                "departments": tuple(sorted({indicator.department for indicator in indicators})),
                "is_joint": {"demand", "arrears"} <= families,
                "money_at_risk_amount": run.customers[customer_id].money_at_risk_amount,
                "is_held_back": customer_id in held_back,
            },
        )
    return found


def _held_back(run: Run, holding: Mapping[str, Held], policy: Policy) -> frozenset[str]:
    """Whom the budget of their owners keeps back: level 1 goes first and always, then by money at risk."""
    budget = int(policy.settings["owner_budget"])
    by_owner: dict[str | None, list[tuple[int, Decimal, int, str]]] = {}
    for customer_id, held in holding.items():
        customer, level = run.customers[customer_id], held.warning_level
        assert level is not None
        place = (0 if level == 1 else 1, -(customer.money_at_risk_amount or Decimal()), level, customer_id)
        by_owner.setdefault(customer.owner_email, []).append(place)
    beyond = (place for places in by_owner.values() for place in sorted(places)[budget:] if budget)
    return frozenset(customer_id for is_other, _, _, customer_id in beyond if is_other)
