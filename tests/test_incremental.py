"""Runs on what days changed: published rows equal the oracle's every day, and a build from scratch at checkpoints."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import sql

import oracle
from dirty_days import ALL_APPEND, ALL_SNAPSHOT, ALL_STAMPED, DIRT, SOME_APPEND, Scene, Script, Sources, Troupe, settle
from early_warning import policy as policies
from early_warning import runs, transform
from early_warning.warehouse import Warehouse
from histories import SHANGHAI
from judged_by_sql import POLICY, differences, land, land_batch
from oracle import Batch, Moment, Run, follow, world_of

NEW_YORK = ZoneInfo("America/New_York")
MARTS = ("dim_customers", "fct_customer_levels", "fct_indicator_values")


@dataclass
class Chain:
    """Runs of one company, one after another: SQL judges what has landed, the oracle what has been accepted."""

    databases: Any = field(repr=False)
    warehouse: Warehouse
    sources: Sources = field(repr=False)
    policy_folder: Path
    zone: ZoneInfo = SHANGHAI
    absent: set[str] = field(default_factory=set)
    """Data sets of which nothing has been delivered yet."""
    story: list[str] = field(default_factory=list)
    _landed: dict[int, tuple[Batch, str]] = field(default_factory=dict, repr=False)
    _judged: dict[int, tuple[Run, int | None]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        land(self.warehouse, {}, self.zone)
        self._landing_run = self.warehouse.rows("select run_id from ops.run")[0]["run_id"]

    def deliver(self, state: str = "accepted", leaving_out: str | None = None) -> None:
        """Land what the sources send."""
        batches = [
            batch
            for data_set in self.sources.modes
            if data_set not in self.absent | {leaving_out} and (batch := self.sources.deliver(data_set))
        ]
        with self.warehouse.connect() as connection:
            for batch in batches:
                batch_id = land_batch(connection, self._landing_run, batch, state)
                self._landed[batch_id] = (batch, state)

    def accept_late(self) -> None:
        """Accept the batches that landed and that no gate had decided upon, after later ones were accepted."""
        self.warehouse.execute("update ops.batch set state = 'accepted' where state = 'landed'")
        self._landed = {
            batch_id: (batch, "accepted" if state == "landed" else state)
            for batch_id, (batch, state) in self._landed.items()
        }

    def judge(self, moment: Moment) -> int:
        """Build and publish a run; every figure is what the oracle says. Returns the run id."""
        run_id = self._open(moment)
        self.story.append(f"{moment.as_of_date} run {run_id}")
        transform.build(self.warehouse, run_id)
        runs.publish(self.warehouse, run_id)
        found = differences(self.warehouse, run_id, *self._by_oracle(run_id, moment))
        assert found == [], self._told("the oracle", found)
        return run_id

    def break_off(self, moment: Moment, random: Random) -> None:
        """Begin a run that dies where it would write some table: what came before is committed, the rest is not."""
        tables = self.warehouse.rows(
            "select schemaname, tablename from pg_tables where schemaname in ('staging', 'intermediate', 'marts')"
            " order by 1, 2"
        )
        table = random.choice(tables)
        run_id = self._open(moment)
        self.story.append(f"{moment.as_of_date} run {run_id} dies at {table['tablename']}")
        with _locked(self.warehouse, table["schemaname"], table["tablename"]), pytest.raises(transform.TransformFailed):
            transform.build(self.warehouse, run_id)
        runs.fail(self.warehouse, run_id, "transform: died")

    def check_from_scratch(self, run_id: int) -> None:
        """Build the run again from all that has landed, in a copy of the warehouse: not one row differs."""
        copy = self.databases.copy(self.warehouse)
        transform.build(copy, run_id, from_scratch=True)
        found = []
        for mart in MARTS:
            query = f"select * from marts.{mart} where run_id = %s"
            incremental, anew = (_by_key(each.rows(query, run_id)) for each in (self.warehouse, copy))
            found += [
                f"{mart} {key}: incremental {incremental.get(key)}, from scratch {anew.get(key)}"
                for key in sorted(incremental.keys() | anew.keys())
                if incremental.get(key) != anew.get(key)
            ]
        assert found == [], self._told("a build from scratch", found)
        self.databases.drop(copy)

    def _open(self, moment: Moment) -> int:
        policy = policies.load(self.policy_folder)
        policies.store(self.warehouse, policy)
        at = runs.Moment(moment.as_of_date, moment.cutoff)
        run_id = runs.open_run(self.warehouse, at, moment.time_zone, policy.policy_hash)
        runs.fix_batches(self.warehouse, run_id)
        return run_id

    def _by_oracle(self, run_id: int, moment: Moment) -> tuple[Run, Any]:
        world = world_of(batch for _, (batch, state) in sorted(self._landed.items()) if state == "accepted")
        policy = oracle.Policy.read(self.policy_folder)
        [row] = self.warehouse.rows("select previous_run_id from ops.run where run_id = %s", run_id)
        self._judged[run_id] = (oracle.judge(world, moment, policy), row["previous_run_id"])
        chain, at = [], run_id
        while at in self._judged:
            run, at = self._judged[at]
            chain.insert(0, run)
        return chain[-1], follow(chain, policy)[-1]

    def _told(self, other: str, found: list[str]) -> str:
        lines = "\n".join(found[:40])
        story = "\n".join(self.story[-60:])
        return f"{len(found)} figures differ from {other}:\n{lines}\n\nWhat happened:\n{story}"


def _by_key(rows: list[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    return {(row["customer_id"], row.get("indicator_code", "")): row for row in rows}


@contextmanager
def _locked(warehouse: Warehouse, schema: str, table: str) -> Iterator[None]:
    """Let nobody write a table, nor wait for it."""
    name = warehouse.parameters["dbname"]
    set_timeout = "alter role early_warning in database {} {} lock_timeout"
    with warehouse.connect(autocommit=True) as admin:
        admin.execute(sql.SQL(set_timeout + " = '100ms'").format(sql.Identifier(name), sql.SQL("set")))
    try:
        with psycopg.connect(warehouse.dsn) as holder:
            holder.execute(sql.SQL("lock table {} in share mode").format(sql.Identifier(schema, table)))
            yield
    finally:
        with warehouse.connect(autocommit=True) as admin:
            admin.execute(sql.SQL(set_timeout).format(sql.Identifier(name), sql.SQL("reset")))


def changed_policy(folder: Path, table: str = "indicator_parameters", **changes: str) -> Path:
    """Copy the shipped policy, with other serious values (or settings) of `indicator__parameter` (or `parameter`)."""
    if not folder.exists():
        shutil.copytree(POLICY, folder)
    path = folder / f"{table}.csv"
    with path.open(encoding="utf-8", newline="") as lines:
        header, *records = csv.reader(lines)
    value = header.index("serious") if "serious" in header else header.index("value")
    for record in records:
        record[value] = changes.pop("__".join(record[:value]), record[value])
    assert not changes, f"no such parameters: {changes}"
    with path.open("w", encoding="utf-8", newline="") as lines:
        csv.writer(lines, lineterminator="\n").writerows([header, *records])
    return folder


@pytest.fixture
def policy_folder(tmp_path: Path) -> Path:
    """The shipped policy, but that a segment of one customer has a rhythm of its own: scripts don't disturb another."""
    return changed_policy(tmp_path / "policy", "hysteresis_and_budget", min_segment_customers="1")


# --- each kind of dirt for customers of its own -----------------------------------------------------------------------

LEAP_DAYS = [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1), date(2024, 3, 2), date(2024, 3, 6)]


def play(chain: Chain, scripts: tuple[Script, ...]) -> None:
    """Play scripts side by side, each for a segment of its own, over a leap day and a month's end."""
    sources, random = chain.sources, Random(1)
    stages = [Scene(sources, random, each.__name__, f"{each.__name__}/other") for each in scripts]
    for stage in stages:
        settle(stage)
    playing = [script(stage) for script, stage in zip(scripts, stages, strict=True)]
    for day in LEAP_DAYS:
        sources.today = Moment.midnight_after(day, chain.zone)
        for script in playing:
            next(script, None)
        chain.deliver()
        run_id = chain.judge(sources.today)
    assert all(next(script, "over") == "over" for script in playing), "a script is longer than the days"
    chain.check_from_scratch(run_id)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("modes", "stamped"),
    [
        pytest.param(ALL_APPEND, ALL_STAMPED, id="append"),
        pytest.param(ALL_SNAPSHOT, ALL_STAMPED, id="snapshot"),
        pytest.param(SOME_APPEND, frozenset(), id="mixed-without-stamps"),
    ],
)
def test_dirt_of_every_kind_leaves_what_the_sources_hold(
    postgres: Any, warehouse: Warehouse, policy_folder: Path, modes: Any, stamped: frozenset[str]
) -> None:
    first = Moment.midnight_after(LEAP_DAYS[0], SHANGHAI)
    play(Chain(postgres, warehouse, Sources(modes, stamped, first), policy_folder), DIRT)
