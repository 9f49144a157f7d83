"""The simulation's calendar: from its first day to its far horizon, with working days and holidays.

Inside the simulation a day is an integer, 0 being the plan's first day.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from early_warning.settings import SimulationPlan

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]
Table = dict[str, NDArray[Any]]  # columns of one length

DAYS_AHEAD = 430  # the world is made once up to here, so no day can depend on which days were asked for

_EDITION = 3  # of the simulation: raised when the same plan makes another world, or its records get other columns

_WEEKDAYS = np.array([1.12, 1.08, 1.05, 1.05, 1.0, 0.25, 0.04])  # Monday first
_MONTHS = np.array([1.0, 0.95, 1.08, 1.04, 1.0, 0.98, 0.94, 0.95, 1.04, 1.0, 1.05, 1.0])  # January first
_SPRING_FESTIVALS = """2016-02-08 2017-01-28 2018-02-16 2019-02-05 2020-01-25 2021-02-12 2022-02-01 2023-01-22
2024-02-10 2025-01-29 2026-02-17 2027-02-06 2028-01-26 2029-02-13 2030-02-03 2031-01-23 2032-02-11"""
_FIXED_HOLIDAYS = {(1, 1): 1, (4, 4): 3, (5, 1): 5, (10, 1): 7}  # (month, day): days off


def made_from(plan: SimulationPlan) -> dict[str, Any]:
    """Return what a world follows from. It is written beside what the departments left: no other can go on there."""
    return plan.model_dump(mode="json") | {"edition": _EDITION}


def first_as_of(plan: SimulationPlan) -> date:
    """Return the last day of the plan's history."""
    return _months_later(plan.starts_on, plan.months) - timedelta(days=1)


def horizon(plan: SimulationPlan) -> date:
    """Return the last simulated day."""
    return first_as_of(plan) + timedelta(days=DAYS_AHEAD)


def day_count(plan: SimulationPlan) -> int:
    """Return the number of simulated days."""
    return (horizon(plan) - plan.starts_on).days + 1


def export_periods(plan: SimulationPlan) -> list[tuple[date, date]]:
    """Return first and last day of each export file: months, then, from the month of the first as-of date on, days."""
    daily_from = first_as_of(plan).replace(day=1)
    periods = []
    first = plan.starts_on
    while first <= horizon(plan):
        last = _months_later(first.replace(day=1), 1) - timedelta(days=1) if first < daily_from else first
        periods.append((first, last))
        first = last + timedelta(days=1)
    return periods


def dates(plan: SimulationPlan, days: NDArray[Any]) -> Times:
    """Turn day numbers into dates (datetime64[D]); NaN, never, becomes NaT."""
    known = np.isfinite(days)
    found = np.datetime64(plan.starts_on, "D") + np.where(known, days, 0).astype("timedelta64[D]")
    return np.where(known, found, np.datetime64("NaT", "D"))


def at(plan: SimulationPlan, seconds: NDArray[Any]) -> Times:
    """Turn seconds since the plan's first midnight into local times (datetime64[s]); NaN, never, becomes NaT."""
    known = np.isfinite(seconds)
    found = np.datetime64(plan.starts_on, "s") + np.where(known, seconds, 0).astype("timedelta64[s]")
    return np.where(known, found, np.datetime64("NaT", "s"))


def activity(plan: SimulationPlan) -> Floats:
    """Return how busy each day is, shape (days,), about 1 on average: weekdays, season, holidays."""
    days = dates(plan, np.arange(day_count(plan)))
    month = (days.astype("datetime64[M]").astype(np.int64)) % 12
    busy = _WEEKDAYS[weekday(days)] * _MONTHS[month]
    busy[np.isin(days, _holidays(plan))] *= 0.04
    return np.asarray(busy / busy.mean())


def weekday(days: Times) -> Ints:
    """Return the weekday of dates, Monday being 0."""
    return (days.astype("datetime64[D]").astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday


def joined(tables: Sequence[Table], moment: str) -> Table:
    """Put tables of the same columns together, in the order of the column `moment`."""
    whole = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    order = np.argsort(whole[moment], kind="stable")
    return {name: column[order] for name, column in whole.items()}


def _holidays(plan: SimulationPlan) -> Times:
    starts = [(np.datetime64(day, "D") - 2, 9) for day in _SPRING_FESTIVALS.split()]
    for year in range(plan.starts_on.year, horizon(plan).year + 1):
        starts += [(np.datetime64(date(year, *day), "D"), off) for day, off in _FIXED_HOLIDAYS.items()]
    return np.concatenate([start + np.arange(off) for start, off in starts])


def _months_later(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, day.day)
