"""A policy on trial: the past judged by it, scored by what became of the customers (spec: domain, § 1 and § 8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.resources import files
from typing import Any

from psycopg.rows import dict_row

from early_warning.backtest.replay import Replay, replay
from early_warning.runs import Moment
from early_warning.warehouse import Connection, Warehouse

NORMAL_95 = 1.96
GROUPS = ("1", "2", "3", "none", "1-2", "1-3")
"""Levels and sums of them. Who is in level 3 by `service_fluctuation` alone is left out: it counts as not warned."""


@dataclass(frozen=True)
class Backtest:
    """What a policy said on past days, and what came of it.

    Days are scored once their horizon lies behind what is known of orders; `days` are all that were replayed.
    Rows are dicts by the column names of the queries in sql/. `before`: the policy it is held against, if another;
    `effect`: what it does beside that one (see `effect`), empty without one or without scored days.
    """

    policy_hash: str
    before: str | None
    horizon_days: int
    days: Sequence[Replay]
    cells: Sequence[dict[str, Any]]
    groups: Sequence[dict[str, Any]]
    groups_before: Sequence[dict[str, Any]]
    errors: Sequence[dict[str, Any]]
    leads: Sequence[dict[str, Any]]
    cohorts: Sequence[dict[str, Any]]
    parts: Sequence[dict[str, Any]]
    pace: dict[str, Any]
    differences: Sequence[dict[str, Any]]
    effect: dict[str, dict[str, float | None]]

    @property
    def knowledge(self) -> str:
        """Whether days were judged by what had landed by then, or by what later data say of then."""
        published = [day.as_of_date for day in self.days if day.is_as_published]
        if not published:
            return "business dates"
        if len(published) == len(self.days):
            return "landing times"
        return "landing times where the day has a run of its time, business dates otherwise"

    def of_day(self, day: date) -> dict[str, dict[str, Any]]:
        """The groups of one scored day by name."""
        return {row["name"]: row for row in self.groups if row["as_of_date"] == day}


def backtest(
    warehouse: Warehouse,
    policy_hash: str,
    moments: Sequence[Moment],
    *,
    horizon_days: int,
    in_force: str,
    tell: Callable[[str], None],
) -> Backtest:
    """Judge past moments by a stored policy, and by the one in force if that is another, and score what they said.

    `tell` hears, line by line, what is being judged: a day takes seconds.

    Raises:
        TransformFailed: when a day can't be judged anew.
    """
    before = in_force if in_force != policy_hash else None
    replays = replay(warehouse, [policy_hash, before] if before else [policy_hash], moments, tell)
    days, truth = replays[policy_hash], replays[in_force]
    newest = known_through(warehouse)

    def scored(replayed: Sequence[Replay]) -> list[int]:
        return [day.run_id for day in replayed if newest and day.as_of_date + timedelta(days=horizon_days) <= newest]

    with warehouse.connect() as connection:
        groups_before = []
        if before:
            score(connection, scored(truth), scored(truth), horizon_days)
            groups_before = _rows(connection, "groups")
            connection.execute("drop table scored, placed")
        score(connection, scored(days), scored(truth), horizon_days)
        [pace] = _rows(connection, "pace")
        gain = {}
        if before and scored(truth):
            connection.execute(_script("beside"), {"before": scored(truth)})
            gain = effect(connection)
        return Backtest(
            policy_hash=policy_hash,
            before=before,
            horizon_days=horizon_days,
            days=days,
            cells=_rows(connection, "cells"),
            groups=_rows(connection, "groups"),
            groups_before=groups_before,
            errors=_rows(connection, "errors"),
            leads=_rows(connection, "leads"),
            cohorts=_rows(connection, "cohorts"),
            parts=_rows(connection, "parts"),
            pace=pace,
            differences=_rows(connection, "differences", run_ids=_ids(days), before=_ids(truth)) if before else [],
            effect=gain,
        )


def known_through(warehouse: Warehouse) -> date | None:
    """The last day of which all orders are known: published, over, and not by orders that stood still."""
    known: list[dict[str, date | None]] = warehouse.rows(
        "select max((as_of_at at time zone company_time_zone)::date - 1) as day from ops.run"
        " join ops.publication using (run_id) where not 'sales.orders' = any(stale_data_sets)"
    )
    return known[0]["day"]


def _ids(days: Sequence[Replay]) -> list[int]:
    return [day.run_id for day in days]


def month_ends(first: date, last: date) -> list[date]:
    """Last days of the months from that of `first` to that of `last`."""
    months = range(first.year * 12 + first.month, last.year * 12 + last.month + 1)
    return [date(month // 12, month % 12 + 1, 1) - timedelta(days=1) for month in months]


def week_ends(first: date, last: date) -> list[date]:
    """Sundays from the first of the month of `first` to the end of the month of `last`."""
    end = month_ends(last, last)[0]
    sunday = first.replace(day=1) + timedelta(days=6 - first.replace(day=1).weekday())
    return [sunday + timedelta(weeks=number) for number in range((end - sunday).days // 7 + 1)]


def score(connection: Connection, run_ids: list[int], truth: list[int], horizon_days: int) -> None:
    """Make the temporary tables `scored` and `placed` (sql/) of replays, by what the replays in `truth` know."""
    connection.execute(_script("scored"), {"run_ids": run_ids, "truth": truth, "horizon": horizon_days})
    connection.execute(_script("placed"))


def effect(connection: Connection) -> dict[str, dict[str, float | None]]:
    """What a change does at levels 1 and 2, by the temporary table `compared`.

    By figure (precision, recall, revenue_caught: shares; warnings_a_day): before, after, difference, and low and high,
    the 95 % interval of the difference; None where there is nothing to tell by.
    """
    return {row["name"]: _with_interval(row) for row in _rows(connection, "effect")}


def _with_interval(row: dict[str, Any]) -> dict[str, float | None]:
    difference, error = row["difference"], row["error"]
    is_known = difference is not None and error is not None
    figures = {
        "before": row["before"],
        "after": row["after"],
        "difference": difference,
        "low": difference - NORMAL_95 * error if is_known else None,
        "high": difference + NORMAL_95 * error if is_known else None,
    }
    return {name: None if figure is None else round(figure, 6) + 0.0 for name, figure in figures.items()}


def _rows(connection: Connection, name: str, **named: Any) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_script(name), named or None).fetchall()


def _script(name: str) -> bytes:
    return files(__package__).joinpath(f"sql/{name}.sql").read_bytes()
