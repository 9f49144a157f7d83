"""What became of warnings and of customers nobody warned of, settled run by run (0002.56 to 0002.59)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Literal

from .cases import Case, Key
from .exact import figure, round_half_away
from .hysteresis import Held
from .moment import month_of
from .policy import Policy
from .run import CustomerResult, Run

OutcomeName = Literal["churned", "recovered", "cleared", "open"]


@dataclass(frozen=True)
class Outcome:
    """A warning whose horizon has ended, named as in marts.fct_warning_outcomes."""

    opened_on: date
    horizon_on: date
    segment: str | None
    owner_name: str | None
    owner_email: str | None
    warning_level: int
    peak_level: int
    is_service_fluctuation: bool
    indicator_codes: tuple[str, ...]
    departments: tuple[str, ...]
    money_at_risk_amount: Decimal | None
    was_active: bool
    baseline_amount: Decimal | None
    collapsed_amount: Decimal | None
    ordered_amount: Decimal | None
    is_churned: bool | None
    lead_days: int | None
    handled_at: datetime | None
    is_handled_in_time: bool
    recovery_on: date | None
    outcome: OutcomeName


@dataclass(frozen=True)
class Recovery:
    """A handled warning whose recovery days are over, named as in marts.fct_warning_recoveries."""

    handled_on: date
    recovery_on: date
    recovered_amount: Decimal
    ordered_amount: Decimal
    is_won_back: bool


@dataclass(frozen=True)
class Lost:
    """A customer active on the last day of a month that churned, named as in marts.fct_lost_customers."""

    horizon_on: date
    segment: str | None
    owner_name: str | None
    owner_email: str | None
    warning_level: int | None
    is_service_fluctuation: bool
    is_warned: bool
    indicator_codes: tuple[str, ...]
    departments: tuple[str, ...]
    last_ordered_on: date | None
    revenue_12m_amount: Decimal | None
    money_at_risk_amount: Decimal | None
    baseline_amount: Decimal | None
    ordered_amount: Decimal
    nearest_indicator_code: str | None
    nearest_value: Decimal | None
    nearest_threshold: Decimal | None
    nearness: Decimal | None


@dataclass(frozen=True)
class Settled:
    """What one run settles."""

    outcomes: Mapping[Key, Outcome]
    recoveries: Mapping[Key, Recovery]
    lost: Mapping[tuple[str, date], Lost]
    """By customer and the day it was active on."""


def settle(
    runs: Sequence[Run], held: Sequence[Mapping[str, Held]], cases: Sequence[Mapping[Key, Case]], policy: Policy
) -> list[Settled]:
    """Go through a chain of runs with the levels and cases after each; gives what each run settles."""
    horizon = timedelta(days=int(policy.settings["horizon_days"]))
    outcomes: list[dict[Key, Outcome]] = [{} for _ in runs]
    recoveries: list[dict[Key, Recovery]] = [{} for _ in runs]
    lost: list[dict[tuple[str, date], Lost]] = [{} for _ in runs]
    for said, run in enumerate(runs):
        at = _settled_by(runs, said, run.as_of_date + horizon)
        for key, case in cases[said].items() if at is not None else ():
            if case.event == "opened" and not any(key in earlier for earlier in outcomes):
                assert at is not None
                latest = next(after[key] for after in reversed(cases[: at + 1]) if key in after)
                outcomes[at][key] = _outcome(run, runs[at], key, case, latest, held[said], policy)
                _add_recovery(runs, at, key, outcomes[at][key], recoveries, policy)
        at = _settled_by(runs, said, max(run.as_of_date + horizon, _month_end(run.as_of_date)))
        if at is not None and not any(_same_month(run, later) for later in runs[said + 1 : at + 1]):
            lost[at] |= dict(_lost(run, runs[at], held[said], policy))
    return [Settled(*each) for each in zip(outcomes, recoveries, lost, strict=True)]


def day_over(run: Run) -> date:
    """The last day that is over for a run (0002.56)."""
    return run.moment.day_of_cutoff - timedelta(days=1)


def _settled_by(runs: Sequence[Run], first: int, due_on: date) -> int | None:
    """The first run from one on for which a day is over and that sees orders which don't stand still."""
    return next(
        (
            position
            for position, run in enumerate(runs)
            if position >= first and "sales.orders" not in run.stale and due_on <= day_over(run)
        ),
        None,
    )


def _month_end(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def _same_month(one: Run, other: Run) -> bool:
    return month_of(one.as_of_date) == month_of(other.as_of_date)


def ordered_ahead(run: Run, customer_id: str, after: date, until: date) -> dict[date, Fraction]:
    """What a customer ordered on the days after one up to another, as a run knows it."""
    found: dict[date, Fraction] = {}
    for row in run.world.get("sales.orders", ()):
        if row["customer_id"] == customer_id and run.moment.has_seen(row["ordered_at"]):
            day = run.moment.local_date(row["ordered_at"])
            if after < day <= until and not run.moment.has_seen(row.get("cancelled_at")):
                found[day] = found.get(day, Fraction()) + Fraction(row["amount"])
    return found


def _usual(share: Fraction, baseline: Decimal | None, days: int) -> Decimal | None:
    """A share of the usual amount of so many days."""
    return None if baseline is None else figure(share * Fraction(baseline) * days * 12 / Fraction(1461, 4))


def _baseline(customer: CustomerResult) -> Decimal | None:
    amount = customer.indicators.get("order_amount")
    return amount.baseline if amount else None


def _reaches(ordered: Decimal, usual: Decimal | None) -> bool:
    return usual is None or ordered >= usual


@dataclass(frozen=True)
class _Fate:
    """What became of a customer that was active on a day (0002.57)."""

    baseline: Decimal | None
    collapsed: Decimal | None
    ordered: Decimal
    is_churned: bool
    lead_days: int


def _fate(said: Run, known: Run, customer: CustomerResult, policy: Policy) -> _Fate:
    horizon = int(policy.settings["horizon_days"])
    until = said.as_of_date + timedelta(days=horizon)
    ahead = ordered_ahead(known, customer.customer_id, said.as_of_date, until)
    baseline = _baseline(customer)
    collapsed = _usual(policy.settings["collapsed_share"], baseline, horizon)
    ordered = figure(sum(ahead.values(), Fraction()))
    assert ordered is not None
    assert customer.usual_gap_days is not None
    assert customer.last_ordered_on is not None
    limit = max(
        policy.settings["inactive_days"],
        round_half_away(policy.settings["inactive_gap_multiple"] * Fraction(customer.usual_gap_days)),
    )
    last = max(ahead, default=customer.last_ordered_on)
    lead = (last - said.as_of_date).days + floor(limit) + 1
    return _Fate(baseline, collapsed, ordered, not ahead or not _reaches(ordered, collapsed), lead)


def is_service_fluctuation(customer: CustomerResult, held: Held | None) -> bool:
    """Whether the level is that of today's rules, of which service_fluctuation alone fired (0002.58)."""
    finding = customer.finding
    level = held.warning_level if held else None
    return level is not None and level == finding.raw_level and finding.rule_codes == ("service_fluctuation",)


def _outcome(
    said: Run, known: Run, key: Key, opened: Case, latest: Case, held: Mapping[str, Held], policy: Policy
) -> Outcome:
    """What became of a warning, by what the run knows that settles it (0002.58)."""
    customer = said.customers[key[0]]
    fate = _fate(said, known, customer, policy) if customer.state == "active" else None
    horizon_on = said.as_of_date + timedelta(days=int(policy.settings["horizon_days"]))
    handled_at = latest.first_handled_at
    if handled_at is not None and known.moment.local_date(handled_at) > horizon_on:
        handled_at = None
    name: OutcomeName = "recovered" if handled_at else "cleared"
    if fate and fate.is_churned:
        name = "churned"
    elif latest.closed_on is None:
        name = "open"
    assert opened.warning_level is not None
    recovery = timedelta(days=int(policy.settings["recovery_days"]))
    return Outcome(
        opened_on=said.as_of_date,
        horizon_on=horizon_on,
        segment=customer.segment,
        owner_name=customer.owner_name,
        owner_email=customer.owner_email,
        warning_level=opened.warning_level,
        peak_level=latest.peak_level,
        is_service_fluctuation=is_service_fluctuation(customer, held.get(key[0])),
        indicator_codes=opened.indicator_codes,
        departments=opened.departments,
        money_at_risk_amount=opened.money_at_risk_amount,
        was_active=fate is not None,
        baseline_amount=fate.baseline if fate else None,
        collapsed_amount=fate.collapsed if fate else None,
        ordered_amount=fate.ordered if fate else None,
        is_churned=fate.is_churned if fate else None,
        lead_days=fate.lead_days if fate and fate.is_churned else None,
        handled_at=handled_at,
        is_handled_in_time=bool(handled_at and latest.was_handled_in_time),
        recovery_on=known.moment.local_date(handled_at) + recovery if handled_at else None,
        outcome=name,
    )


def _add_recovery(
    runs: Sequence[Run],
    at: int,
    key: Key,
    outcome: Outcome,
    recoveries: list[dict[Key, Recovery]],
    policy: Policy,
) -> None:
    if outcome.recovery_on is None or outcome.baseline_amount is None:
        return
    assert outcome.handled_at is not None
    by = _settled_by(runs, at, outcome.recovery_on)
    if by is not None:
        handled_on = runs[by].moment.local_date(outcome.handled_at)
        days = (outcome.recovery_on - handled_on).days
        usual = _usual(policy.settings["recovered_share"], outcome.baseline_amount, days)
        ordered = figure(sum(ordered_ahead(runs[by], key[0], handled_on, outcome.recovery_on).values(), Fraction()))
        assert usual is not None
        assert ordered is not None
        recoveries[by][key] = Recovery(handled_on, outcome.recovery_on, usual, ordered, ordered >= usual)


def _lost(said: Run, known: Run, held: Mapping[str, Held], policy: Policy) -> Iterator[tuple[tuple[str, date], Lost]]:
    for key, customer in said.customers.items():
        if customer.state != "active":
            continue
        fate = _fate(said, known, customer, policy)
        if fate.is_churned:
            its = held[key]
            is_fluctuation = is_service_fluctuation(customer, its)
            is_warned = its.warning_level is not None and not is_fluctuation
            near = None if is_warned else _nearest(customer, policy)
            yield (
                (key, said.as_of_date),
                Lost(
                    horizon_on=said.as_of_date + timedelta(days=int(policy.settings["horizon_days"])),
                    segment=customer.segment,
                    owner_name=customer.owner_name,
                    owner_email=customer.owner_email,
                    warning_level=its.warning_level,
                    is_service_fluctuation=is_fluctuation,
                    is_warned=is_warned,
                    indicator_codes=its.indicator_codes,
                    departments=tuple(sorted({policy.indicators[code].department for code in its.indicator_codes})),
                    last_ordered_on=customer.last_ordered_on,
                    revenue_12m_amount=customer.revenue_12m_amount,
                    money_at_risk_amount=customer.money_at_risk_amount,
                    baseline_amount=fate.baseline,
                    ordered_amount=fate.ordered,
                    nearest_indicator_code=near[2] if near else None,
                    nearest_value=customer.indicators[near[2]].value if near else None,
                    nearest_threshold=customer.indicators[near[2]].threshold if near else None,
                    nearness=figure(-near[1]) if near else None,
                ),
            )


def _nearest(customer: CustomerResult, policy: Policy) -> tuple[bool, Fraction, str] | None:
    """Whether it is clear, minus its nearness, and the code of the indicator that came nearest (0002.59)."""
    found = []
    for code, result in customer.indicators.items():
        indicator = policy.indicators[code]
        if result.state in ("watch", "clear") and indicator.family not in ("market", "model"):
            parts = (result.value, result.threshold)
            part, whole = parts if indicator.direction == "high" else reversed(parts)
            if part is not None and whole:
                found.append((result.state == "clear", -round_half_away(Fraction(part) / Fraction(whole)), code))
    return min(found, default=None)
