"""Readers undisturbed: whoever reads the bi views neither holds up a day nor is held up by it.

Nor by a new version of the dbt project, but for moments.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from early_warning import quality, runs, transform
from early_warning.warehouse import Warehouse
from judged_by_sql import judge_by_sql, land
from oracle import Moment, read_world
from test_worked_example import EXAMPLE, TIME_ZONE

pytestmark = pytest.mark.slow
FIRST, SECOND, THIRD, FOURTH = (date(2025, 6, day) for day in (27, 28, 29, 30))
VIEWS = (
    *("customers", "gates", "indicator_values", "runs", "warnings"),
    *("company_health", "warning_kpis", "warning_outcomes"),
)


@pytest.fixture(scope="module")
def day_one(postgres: Any) -> Iterator[Warehouse]:
    """A warehouse whose first day is published, and where nobody but a reader waits for a lock for long."""
    warehouse = postgres.create()
    land(warehouse, read_world(EXAMPLE), TIME_ZONE)
    judge_by_sql(warehouse, Moment.midnight_after(FIRST, TIME_ZONE), TIME_ZONE)
    # a view without rows has no first one to fetch
    warehouse.execute(
        "insert into ops.gate_result (run_id, gate, result_no, expectation, severity, verdict)"
        " select run_id, 'test', 1, 'test', 'warning', 'pass' from ops.publication"
    )
    for limit in ("lock_timeout = '5s'", "statement_timeout = '1min'"):
        warehouse.execute(f"alter database {warehouse.parameters['dbname']} set {limit}")
    yield warehouse
    postgres.drop(warehouse)


@contextmanager
def long_select(warehouse: Warehouse) -> Iterator[dict[str, int]]:
    """SELECTs on all bi views that have begun and go on until the block ends; gives the rows each brought by then."""
    with psycopg.connect(warehouse.reader_dsn) as connection:
        connection.execute("set transaction isolation level repeatable read")
        for view in VIEWS:
            connection.execute(f"declare {view} cursor for select * from bi.{view}")
            connection.execute(f"fetch 1 from {view}")
        brought: dict[str, int] = {}
        yield brought
        for view in VIEWS:
            brought[view] = 1 + len(connection.execute(f"fetch all from {view}").fetchall())


@dataclass
class Polls:
    """What a reader saw who asks again and again: a day and its rows in customers, indicator_values, warnings."""

    seen: set[tuple[date, int, int, int]] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    count: int = 0


@contextmanager
def polling(warehouse: Warehouse, days: Sequence[date], patience: str) -> Iterator[Polls]:
    """Read all bi views all the time while the block runs, waiting for a lock no longer than `patience`."""
    polls, is_over = Polls(), threading.Event()
    look = (
        "select day, (select count(*) from bi.customers where as_of_date = day),"
        " (select count(*) from bi.indicator_values where as_of_date = day),"
        " (select count(*) from bi.warnings where as_of_date = day and reason <> '')"
        " from unnest(%s::date[]) as day"
        " where exists (select from bi.runs) and (select count(*) from bi.gates) >= 0"
    )

    def poll() -> None:
        dsn = make_conninfo(warehouse.reader_dsn, options=f"-c lock_timeout={patience}")
        with psycopg.connect(dsn, autocommit=True) as connection:
            while not is_over.wait(0.005):
                try:
                    polls.seen.update(connection.execute(look, [[*days]]).fetchall())
                    polls.count += 1
                except psycopg.Error as error:
                    polls.errors.append(str(error))

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield polls
    finally:
        is_over.set()
        thread.join()


def counts(warehouse: Warehouse, day: date) -> tuple[int, ...]:
    """Rows of a day in the views that `polling` counts."""
    return tuple(
        warehouse.rows(f"select count(*) as rows from bi.{view} where as_of_date = %s", day)[0]["rows"]
        for view in ("customers", "indicator_values", "warnings")
    )


def stored_views(warehouse: Warehouse) -> dict[str, dict[str, Any]]:
    """Identity of each view of readers: oid, and the transaction that wrote its definition."""
    rows = warehouse.rows(
        "select relname, pg_class.oid, pg_rewrite.xmin::text as written_by from pg_class"
        " inner join pg_rewrite on pg_rewrite.ev_class = pg_class.oid"
        " where relnamespace in ('bi'::regnamespace, 'marts'::regnamespace) and relkind = 'v'"
    )
    return {row.pop("relname"): row for row in rows}


def open_run(warehouse: Warehouse, day: date) -> int:
    """Open the run of a day, under the policy and over the batches of the one before."""
    [last] = warehouse.rows("select policy_hash, through_batch_id from ops.run order by run_id desc limit 1")
    run_id = runs.open_run(warehouse, runs.Moment.of_day(day, TIME_ZONE), TIME_ZONE, last["policy_hash"])
    warehouse.execute("update ops.run set through_batch_id = %s where run_id = %s", last["through_batch_id"], run_id)
    return run_id


def test_long_selects_and_whole_days_do_not_wait_for_each_other(day_one: Warehouse) -> None:
    """An ordinary day, and one that is built from scratch."""
    before = {view: day_one.rows(f"select count(*) as rows from bi.{view}")[0]["rows"] for view in VIEWS}
    views = stored_views(day_one)

    with long_select(day_one) as brought, polling(day_one, (SECOND, THIRD), "50ms") as polls:
        for day in (SECOND, THIRD):
            run_id = open_run(day_one, day)
            transform.build(day_one, run_id, from_scratch=day == THIRD)
            assert quality.check_marts(day_one, run_id).verdict != "fail"
            runs.publish(day_one, run_id)
        polled_before = polls.count
        while polls.count < polled_before + 2:
            time.sleep(0.01)

    assert polls.errors == []
    assert polls.seen == {(day, *numbers) for day in (SECOND, THIRD) for numbers in ((0, 0, 0), counts(day_one, day))}
    assert polls.count > 20
    assert brought == before, "the long SELECT saw what came after it began"
    assert stored_views(day_one) == views, "a view was replaced although it says the same"


# --- the dbt project itself changes --------------------------------------------------------------------------------


@pytest.fixture
def new_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A later version of the dbt project, in force from now on: seven changes that each concern readers."""
    project = tmp_path / "dbt_project"
    shutil.copytree(transform.DBT_PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    monkeypatch.setattr(transform, "DBT_PROJECT", project)
    monkeypatch.setenv("EARLY_WARNING_HOME", str(tmp_path / "home"))

    def change(file: str, old: str, new: str) -> None:
        path = project / file
        content = path.read_text(encoding="utf-8")
        assert content.count(old) >= 1, f"{file} has no {old!r}"
        path.write_text(content.replace(old, new, 1), encoding="utf-8")

    change("models/bi/warnings.sql", "select\n    levels.customer_id", "-- As before.\nselect\n    levels.customer_id")
    change("models/bi/gates.sql", "    message\n", "    message,\n    run_id as judged_run_id\n")
    gates = "What is wrong, where, and what to do; null on a pass.\n"
    change(
        "models/bi/bi.yml",
        gates,
        gates + "      - name: judged_run_id\n        data_type: bigint\n        description: The run, again.\n",
    )
    change("models/bi/runs.sql", "    run_id,\n    as_of_date,\n", "    as_of_date,\n    run_id,\n")
    change("models/marts/rpt_indicator_sentences.sql", "') }} as sentence", "') }} || '!' as sentence")
    change("seeds/punctuation.csv", "zh-CN,：", "zh-CN,→")
    words = project / "seeds/punctuation.csv"
    header, *lines = words.read_text(encoding="utf-8").splitlines()
    words.write_text("\n".join([f"{header},full_stop", *(f"{line},。" for line in lines), ""]), encoding="utf-8")
    change("seeds/seeds.yml", "semicolon: text}", "semicolon: text, full_stop: text}")
    change("models/marts/dim_customers.sql", "    run.run_id,\n", "    run.run_id,\n    run.run_id as told_by,\n")
    cases = "models/marts/fct_warning_cases.sql"  # each run reads those of the run before, which lack the column
    change(cases, " as is_told\nfrom raised", " as is_told,\n    true as is_counted\nfrom raised")
    change(cases, ") as is_told\nfrom going_on", ") as is_told,\n    true as is_counted\nfrom going_on")
    told = "      - name: is_told\n"
    change("models/marts/marts.yml", told, "      - name: is_counted\n        data_type: boolean\n" + told)
    run_id = "description: The run that wrote the row.\n"
    change("models/marts/marts.yml", run_id, run_id + "      - name: told_by\n        data_type: bigint\n")
    return project


def test_new_version_of_the_project_takes_effect_under_the_eyes_of_readers(
    day_one: Warehouse, new_version: Path
) -> None:
    before = stored_views(day_one)
    reader_left = threading.Event()

    def read_until_the_build_waits() -> None:
        with psycopg.connect(day_one.reader_dsn) as reader, psycopg.connect(day_one.dsn, autocommit=True) as owner:
            for view in ("gates", "runs"):
                reader.execute(f"select count(*) from bi.{view}")
            waits = "select from pg_locks where relation in ('bi.gates'::regclass, 'bi.runs'::regclass) and not granted"
            while owner.execute(waits).fetchone() is None:
                time.sleep(0.005)
            time.sleep(1)  # longer than the build waits in one go
            reader_left.set()

    reader = threading.Thread(target=read_until_the_build_waits, daemon=True)
    reader.start()
    with polling(day_one, [FIRST], "1s") as polls:
        judge_by_sql(day_one, Moment.midnight_after(FOURTH, TIME_ZONE), TIME_ZONE)
        assert reader_left.is_set(), "the build did not wait for the reader: it left the views as they were"
    reader.join()

    assert polls.errors == []
    assert polls.seen == {(FIRST, *counts(day_one, FIRST))}
    after = stored_views(day_one)
    hold_every_column_of_a_mart = {"customers", "warnings", "cases", "warning_outcomes"}
    changed = {"gates", "runs", "rpt_indicator_sentences", *hold_every_column_of_a_mart}
    assert {view for view in before if before[view] != after[view]} == changed
    assert {view for view in before if before[view]["oid"] != after[view]["oid"]} == {"runs"}
    with psycopg.connect(day_one.reader_dsn) as connection:
        columns = connection.execute("select * from bi.runs limit 0").description
        assert columns is not None
        assert [column.name for column in columns[:2]] == ["as_of_date", "run_id"]
        connection.execute("select judged_run_id from bi.gates")
        [(reason,)] = connection.execute("select reason from bi.warnings where as_of_date = %s limit 1", [FOURTH])
    assert "→" in reason, "the words are the old ones"
    assert {row["full_stop"] for row in day_one.rows("select full_stop from words.punctuation")} == {"。"}
    assert reason.endswith("!"), "the sentences are the old ones"
    [comments] = day_one.rows(
        "select obj_description('bi.runs'::regclass) as view, col_description('bi.runs'::regclass, 1) as moved,"
        " col_description('bi.gates'::regclass, 9) as appended"
    )
    assert comments["view"].startswith("One row a run")
    assert comments["moved"].startswith("The day judged")
    assert comments["appended"] == "The run, again."
    rows = day_one.rows("select as_of_date, told_by = run_id as says_it from marts.dim_customers group by 1, 2")
    says_it = {row["as_of_date"]: row["says_it"] for row in rows}
    assert says_it.pop(FOURTH)
    assert FIRST in says_it
    assert not any(says_it.values()), "rows of earlier runs have it too"
