"""Upkeep: what goes, what stays, and that neither readers nor runs nor a kill in the middle make a difference."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from dirty_days import ALL_STAMPED, DIRT, SOME_APPEND, Scene, Sources, settle
from early_warning import landing, runs, transform, upkeep
from early_warning.digest import UnknownMail, outbox_resend, outbox_show
from early_warning.embedded.postgres import airflow_dsn, running_postgres
from early_warning.problems import ConfigurationError
from early_warning.settings import PROJECT, Retention, load_company
from early_warning.warehouse import Warehouse, migrate
from histories import SHANGHAI
from homes import Home, demo_company, environment, postbox, published
from judged_by_sql import changed_policy
from oracle import Moment
from test_incremental import LEAP_DAYS, Chain
from test_landing import contents, deliver, order, sales

ZONE = ZoneInfo("Asia/Shanghai")
TODAY = date(2026, 6, 30)
SHORT = Retention(daily_days=40, month_end_months=6, detail_days=10)
Row = dict[str, Any]


@pytest.fixture
def judged(warehouse: Warehouse) -> Warehouse:
    """A warehouse with marts and a view as dbt builds them, of one column: upkeep asks the catalog what there is."""
    warehouse.execute("create schema marts")
    for table in ("dim_customers", "fct_levels"):
        warehouse.execute(f"create table marts.{table} (customer_id text, run_id bigint)")
        warehouse.execute(f"create index on marts.{table} (run_id)")
    warehouse.execute("create table marts.not_by_run (customer_id text)")
    warehouse.execute(
        "create view bi.levels as select as_of_date, fct_levels.* from marts.fct_levels join ops.publication"
        " using (run_id)"
    )
    warehouse.execute("grant select on bi.levels to early_warning_reader")
    return warehouse


def publish_days(warehouse: Warehouse, first: date, last: date) -> None:
    """Publish the days, each going on from the one before, three customers a day; everything is told."""
    warehouse.execute(
        "with opened as (insert into ops.run (as_of_date, as_of_at, company_time_zone, policy_hash, state, is_backfill,"
        " opened_at, published_at, composed_at, finished_at) select day, day + interval '16 hours', 'Asia/Shanghai',"
        " 'p', 'published', false, day + interval '16 hours', now(), now(), now()"
        " from generate_series(%s::date, %s::date, interval '1 day') as day"
        " returning run_id, as_of_date) insert into ops.publication (as_of_date, run_id) select as_of_date, run_id"
        " from opened",
        first,
        last,
    )
    warehouse.execute("update ops.run set previous_run_id = run_id - 1 where previous_run_id is null and run_id > 1")
    write_rows(warehouse)


def write_rows(warehouse: Warehouse) -> None:
    """Give every run that has none rows in the marts, and what the ledgers say of it."""
    for table in ("dim_customers", "fct_levels"):
        warehouse.execute(
            f"insert into marts.{table} select 'C' || n, run_id from ops.run cross join generate_series(1, 3) as n"
            f" where run_id not in (select run_id from marts.{table})"
        )
    warehouse.execute(
        "insert into ops.gate_result (run_id, gate, result_no, expectation, severity, verdict)"
        " select run_id, 'marts', 1, 'e', 'critical', 'pass' from ops.run on conflict do nothing"
    )
    warehouse.execute(
        "insert into ops.run_step (run_id, step, state, started_at)"
        " select run_id, 'publish', 'done', '2026-01-01' from ops.run on conflict do nothing"
    )
    warehouse.execute(
        "insert into ops.problem (run_id, source, is_critical, message, remedy)"
        " select run_id, 's', false, 'm', 'r' from ops.run where run_id not in (select run_id from ops.problem)"
    )


def open_run(warehouse: Warehouse, day: date, state: str = "running", opened_on: date | None = None) -> int:
    """Open the run of a day as a task does, on that day unless said otherwise, and leave it in a state."""
    run_id = runs.open_run(warehouse, runs.Moment.of_day(day, ZONE), ZONE, "p")
    warehouse.execute("update ops.run set opened_at = %s where run_id = %s", opened_on or day, run_id)
    if state == "published":
        runs.publish(warehouse, run_id)
        runs.finish(warehouse, run_id)
    else:
        warehouse.execute("update ops.run set state = %s where run_id = %s", state, run_id)
    write_rows(warehouse)
    return run_id


def values(warehouse: Warehouse, query: str, *parameters: Any) -> list[Any]:
    return [next(iter(row.values())) for row in warehouse.rows(query, *parameters)]


def shown_days(warehouse: Warehouse) -> list[date]:
    """Days that a reader sees, each with all its rows."""
    with psycopg.connect(warehouse.reader_dsn) as reader:
        days = reader.execute("select as_of_date, count(*) from bi.levels group by 1 order by 1").fetchall()
    assert {count for _, count in days} <= {3}
    return [day for day, _ in days]


def days_between(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def runs_with_rows(warehouse: Warehouse) -> set[int]:
    found = [
        set(values(warehouse, f"select run_id from {table}"))
        for table in ("marts.dim_customers", "marts.fct_levels", "ops.gate_result", "ops.run_step", "ops.problem")
    ]
    assert all(found[0] == other for other in found)
    return found[0]


# --- days and runs ------------------------------------------------------------------------------------------------


def test_old_days_leave_their_month_ends_and_these_go_in_their_turn(judged: Warehouse) -> None:
    publish_days(judged, date(2025, 6, 1), TODAY)
    outcome = upkeep.tidy(judged, SHORT)
    month_ends = [date(2025, 12, 31), date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30)]
    assert shown_days(judged) == [*month_ends, *days_between(TODAY - timedelta(days=39), TODAY)]
    kept = set(values(judged, "select run_id from ops.publication"))
    assert runs_with_rows(judged) == kept
    assert set(values(judged, "select run_id from ops.run where dropped_at is null")) == kept
    days = (TODAY - date(2025, 6, 1)).days + 1
    assert judged.rows("select count(*) as n from ops.run") == [{"n": days}], "the ledger stays"
    gone = days - len(kept)
    assert outcome.dropped["ops.publication"].rows == gone
    assert outcome.dropped["marts.fct_levels"].rows == 3 * gone
    assert outcome.dropped["marts.fct_levels"].bytes > 3 * gone * 30


def test_last_published_day_stands_for_a_month_whose_end_was_not_published(judged: Warehouse) -> None:
    publish_days(judged, date(2026, 3, 1), date(2026, 3, 29))
    publish_days(judged, date(2026, 4, 2), TODAY)
    upkeep.tidy(judged, SHORT)
    assert shown_days(judged)[:2] == [date(2026, 3, 29), date(2026, 4, 30)]


def test_every_day_stays_while_it_is_younger_than_daily_days(judged: Warehouse) -> None:
    publish_days(judged, date(2026, 6, 1), TODAY)
    outcome = upkeep.tidy(judged, SHORT)
    assert outcome.dropped == {}
    assert shown_days(judged) == days_between(date(2026, 6, 1), TODAY)


def test_newest_day_stays_when_nothing_was_published_for_years(judged: Warehouse) -> None:
    publish_days(judged, date(2023, 6, 1), date(2023, 6, 2))
    new = open_run(judged, TODAY, "stopped")
    assert upkeep.tidy(judged, SHORT).dropped == {}
    assert judged.rows("select previous_run_id from ops.run where run_id = %s", new) == [{"previous_run_id": 2}]


def test_day_ahead_of_the_clock_makes_nothing_old(judged: Warehouse) -> None:
    publish_days(judged, date(2026, 4, 1), TODAY)
    open_run(judged, date(2062, 6, 30), "published", opened_on=TODAY)
    outcome = upkeep.tidy(judged, Retention())
    assert (outcome.today, outcome.dropped) == (TODAY, {})


def test_runs_that_no_day_shows_go_when_they_are_old(judged: Warehouse) -> None:
    publish_days(judged, date(2026, 6, 1), date(2026, 6, 5))
    old = [open_run(judged, date(2026, 6, 4), "published"), open_run(judged, date(2026, 6, 5), "stopped")]
    superseded, failed = 4, open_run(judged, date(2026, 6, 6), "failed")
    publish_days(judged, date(2026, 6, 7), TODAY)
    young = [open_run(judged, TODAY, "stopped"), open_run(judged, date(2026, 6, 28), "failed")]
    upkeep.tidy(judged, SHORT)
    kept = runs_with_rows(judged)
    assert kept & {superseded, failed, *old} == {old[0]}, "the run that shows 4 June now"
    assert set(young) <= kept
    assert shown_days(judged) == [
        *days_between(date(2026, 6, 1), date(2026, 6, 5)),
        *days_between(date(2026, 6, 7), TODAY),
    ]


def test_what_hysteresis_looks_back_on_stays(judged: Warehouse) -> None:
    """A day judged twice: the run after it went on from the first of the two, which no day shows any more."""
    judged.execute("insert into policy.policy (policy_hash) values ('p')")
    judged.execute("insert into policy.hysteresis_and_budget values ('p', 'cooldown_days', 21)")
    publish_days(judged, date(2026, 6, 1), date(2026, 6, 15))
    again = [open_run(judged, date(2026, 6, day), "published") for day in (8, 12)]
    publish_days(judged, date(2026, 6, 16), TODAY)
    upkeep.tidy(judged, SHORT)
    kept = runs_with_rows(judged)
    assert {12, *again} <= kept, "12 June lies within the cool-down of 30 June"
    assert 8 not in kept


def test_runs_that_are_open_or_owe_mails_keep_their_rows_and_the_run_before(judged: Warehouse) -> None:
    publish_days(judged, date(2026, 1, 1), TODAY)
    back_fill = open_run(judged, date(2026, 2, 10))
    owing = judged.rows("select run_id from ops.run where as_of_date = '2026-03-10'")[0]["run_id"]
    judged.execute("update ops.run set finished_at = null where run_id = %s", owing)
    upkeep.tidy(judged, Retention(daily_days=40, month_end_months=0, detail_days=10))
    assert shown_days(judged)[:2] == [date(2026, 2, 9), date(2026, 3, 9)]
    assert shown_days(judged)[2:4] == [date(2026, 3, 10), TODAY - timedelta(days=39)]
    assert back_fill in runs_with_rows(judged)


def test_old_run_that_somebody_goes_on_with_today_is_not_old(judged: Warehouse) -> None:
    publish_days(judged, date(2026, 6, 1), date(2026, 6, 5))
    failed = open_run(judged, date(2026, 6, 6), "failed")
    publish_days(judged, date(2026, 6, 7), TODAY)
    judged.execute("update ops.run_step set started_at = now(), state = 'running' where run_id = %s", failed)
    upkeep.tidy(judged, SHORT)
    assert failed in runs_with_rows(judged)
    judged.execute("update ops.run_step set started_at = now() - interval '2 days' where run_id = %s", failed)
    upkeep.tidy(judged, SHORT)
    assert failed not in runs_with_rows(judged)


def test_no_run_goes_on_from_a_dropped_one(judged: Warehouse) -> None:
    publish_days(judged, date(2026, 1, 1), TODAY)
    upkeep.tidy(judged, SHORT)
    back_fill = open_run(judged, date(2026, 2, 10))
    previous = "select as_of_date from ops.run where run_id = (select previous_run_id from ops.run where run_id = %s)"
    assert values(judged, previous, back_fill) == [date(2026, 1, 31)]


def test_dropped_run_that_is_gone_on_with_is_there_again(judged: Warehouse) -> None:
    publish_days(judged, date(2026, 6, 1), date(2026, 6, 5))
    failed = open_run(judged, date(2026, 6, 6), "failed")
    publish_days(judged, date(2026, 6, 7), TODAY)
    upkeep.tidy(judged, SHORT)
    assert open_run(judged, date(2026, 6, 6), "published") == failed
    upkeep.tidy(judged, SHORT)
    assert failed in runs_with_rows(judged)
    assert date(2026, 6, 6) in shown_days(judged)


def test_how_a_case_ended_stays_when_its_run_goes(judged: Warehouse) -> None:
    judged.execute(
        "create table marts.fct_warning_cases (customer_id text, run_id bigint, as_of_date date, closed_on date)"
    )
    judged.execute("create index on marts.fct_warning_cases (run_id)")
    publish_days(judged, date(2026, 1, 1), TODAY)
    judged.execute(
        "insert into marts.fct_warning_cases select 'C', run_id, as_of_date, case when as_of_date >= '2026-01-05'"
        " then date '2026-01-05' end from ops.run"
    )
    upkeep.tidy(judged, SHORT)
    days = values(judged, "select as_of_date from marts.fct_warning_cases order by 1")
    assert days == sorted({date(2026, 1, 5), *shown_days(judged)})
    assert upkeep.tidy(judged, SHORT).dropped == {}


def test_what_became_of_customers_stays_when_its_run_goes(judged: Warehouse) -> None:
    settled = [f"marts.fct_{table}" for table in ("warning_outcomes", "warning_recoveries", "lost_customers")]
    publish_days(judged, date(2026, 1, 1), TODAY)
    for table in settled:
        judged.execute(f"create table {table} (customer_id text, run_id bigint)")
        judged.execute(f"insert into {table} select 'C', run_id from ops.run")
    upkeep.tidy(judged, SHORT)
    days = (TODAY - date(2026, 1, 1)).days + 1
    assert [judged.rows(f"select count(*) as n from {table}")[0]["n"] for table in settled] == [days] * 3
    assert len(runs_with_rows(judged)) < days


def test_day_stays_until_it_is_settled_what_became_of_those_warned_on_it(judged: Warehouse) -> None:
    """The next day settles what was said 60 days before, though days go after 40."""
    judged.execute("insert into policy.policy (policy_hash) values ('p')")
    judged.execute("insert into policy.outcomes values ('p', 'horizon_days', 60)")
    publish_days(judged, date(2026, 4, 1), TODAY)
    upkeep.tidy(judged, SHORT)
    assert shown_days(judged) == [date(2026, 4, 30), *days_between(TODAY - timedelta(days=59), TODAY)]


def test_day_stays_unsettled_while_orders_stand_still(judged: Warehouse) -> None:
    judged.execute("insert into policy.policy (policy_hash) values ('p')")
    judged.execute("insert into policy.outcomes values ('p', 'horizon_days', 10)")
    publish_days(judged, date(2026, 4, 1), TODAY)
    judged.execute("update ops.run set stale_data_sets = '{sales.orders}' where as_of_date > '2026-05-10'")
    upkeep.tidy(judged, SHORT)
    assert shown_days(judged) == [date(2026, 4, 30), *days_between(date(2026, 5, 1), TODAY)]


# --- what only explains -------------------------------------------------------------------------------------------


def test_quarantine_and_bodies_of_mails_go_when_they_are_old_and_the_ledgers_stay(judged: Warehouse) -> None:
    publish_days(judged, date(2026, 6, 1), TODAY)
    batch = batch_of(judged, 1, "sales.orders", "append", [])
    judged.execute("update ops.batch set quarantined = 1 where batch_id = %s", batch)
    judged.execute(
        "insert into ops.quarantine (batch_id, run_id, source, data_set, reason, remedy)"
        " select %s, run_id, 's', 'sales.orders', 'r', 'r' from ops.run",
        batch,
    )
    judged.execute(
        "insert into ops.outbox (mail_key, run_id, as_of_at, audience, recipient, subject, message_id, mime, state)"
        " select run_id || mail.state, run_id, as_of_at, 'owner', 'a@example.com', 's', run_id || mail.state, 'Words',"
        " mail.state from ops.run cross join (values ('pending'), ('sent'), ('refused')) as mail (state)"
    )
    outcome = upkeep.tidy(judged, SHORT)
    last_old = 20  # of 30 June ten days are young
    assert set(values(judged, "select run_id from ops.quarantine")) == set(range(last_old + 1, 31))
    bodies = judged.rows("select run_id, state from ops.outbox where mime is null")
    assert {(mail["run_id"], mail["state"]) for mail in bodies} == {
        (run, state) for run in range(1, last_old + 1) for state in ("sent", "refused")
    }
    assert judged.rows("select count(*) as n from ops.outbox") == [{"n": 90}]
    assert judged.rows("select quarantined from ops.batch") == [{"quarantined": 1}]
    assert outcome.dropped["ops.outbox"].bytes >= 2 * last_old * len("Words")
    assert outbox_show(judged, "1sent")["text"] is None
    with pytest.raises(UnknownMail, match="dropped"):
        outbox_resend(judged, "1sent")
    assert outbox_show(judged, "1pending")["text"]


# --- batches ------------------------------------------------------------------------------------------------------


def batch_of(warehouse: Warehouse, day: int, data_set: str, mode: str, rows: list[Row], state: str = "accepted") -> int:
    """Land rows as a batch of the run of a day in June."""
    [batch] = warehouse.rows(
        "insert into ops.batch (run_id, source, data_set, mode, state, rows) select max(run_id), 's', %s, %s, %s, %s"
        " from ops.run where as_of_date = %s returning batch_id",
        data_set,
        mode,
        state,
        len(rows),
        date(2026, 6, day),
    )
    warehouse.execute(
        "insert into ops.delivery (batch_id, source, table_name, file, size_bytes, modified_ns, sha256)"
        " values (%s, 's', 't', 'f', 1, 1, 'x')",
        batch["batch_id"],
    )
    table = data_set.replace(".", "_")
    for row in rows:
        columns = {**row, "_batch_id": batch["batch_id"]}
        warehouse.execute(
            f"insert into landing.{table} ({', '.join(columns)}) values ({', '.join(['%s'] * len(columns))})",
            *columns.values(),
        )
    return int(batch["batch_id"])


def an_order(order_id: str, updated: int | None, customer: str = "C1", **more: Any) -> Row:
    """A version of an order, changed at some hour."""
    return {
        "customer_id": customer,
        "order_id": order_id,
        "ordered_at": datetime(2026, 1, 1, tzinfo=UTC),
        "amount": 1,
        "updated_at": updated and datetime(2026, 2, 1, updated, tzinfo=UTC),
        **more,
    }


def versions(warehouse: Warehouse, table: str = "sales_orders", key: str = "order_id") -> set[tuple[Any, ...]]:
    return {(row[key], row["_batch_id"]) for row in warehouse.rows(f"select * from landing.{table}")}


def test_superseded_versions_of_records_go_when_the_newer_is_old(judged: Warehouse) -> None:
    publish_days(judged, date(2026, 6, 1), TODAY)
    first = batch_of(
        judged,
        1,
        "sales.orders",
        "append",
        [an_order(name, 5) for name in ("kept", "changed", "moved", "deleted", "changed late", "twice")],
    )
    second = batch_of(
        judged,
        2,
        "sales.orders",
        "append",
        [
            an_order("changed", 6),
            an_order("moved", 6, customer="C2"),
            an_order("deleted", 6, _is_deleted=True),
            an_order("kept", 4),  # an old version that comes late
            an_order("twice", 5),  # nothing says which is newer: the later
        ],
    )
    late = batch_of(judged, 25, "sales.orders", "append", [an_order("changed late", 6), an_order("changed", 7)])
    batch_of(judged, 2, "sales.orders", "append", [an_order("kept", 9)], state="rejected")
    upkeep.tidy(judged, SHORT)
    expected = {
        ("kept", first),
        ("changed", second),
        ("changed", late),
        ("moved", second),
        ("deleted", second),
        ("changed late", first),
        ("changed late", late),
        ("twice", second),
    }
    assert versions(judged) == expected
    publish_days(judged, date(2026, 7, 1), date(2026, 7, 10))
    upkeep.tidy(judged, SHORT)
    assert versions(judged) == expected - {("changed", second), ("changed late", first)}


def test_version_without_time_of_change_never_supersedes_one_with(judged: Warehouse) -> None:
    publish_days(judged, date(2026, 6, 1), TODAY)
    first = batch_of(judged, 1, "sales.orders", "append", [an_order("dated", 5), an_order("undated", None)])
    second = batch_of(judged, 2, "sales.orders", "append", [an_order("dated", None), an_order("undated", None)])
    upkeep.tidy(judged, SHORT)
    assert versions(judged) == {("dated", first), ("undated", second)}


def test_customers_keep_the_version_that_was_seen_first(judged: Warehouse) -> None:
    publish_days(judged, date(2026, 6, 1), TODAY)
    since = [date(2020, 1, 2), date(2020, 1, 1), None, date(2020, 1, 3)]
    batches = [
        batch_of(
            judged, day, "sales.customers", "append", [{"customer_id": "C1", "name": "Ames", "customer_since": known}]
        )
        for day, known in enumerate(since, start=1)
    ]
    upkeep.tidy(judged, SHORT)
    assert versions(judged, "sales_customers", "customer_id") == {("C1", batches[1]), ("C1", batches[3])}


def test_of_snapshots_the_newest_stays_with_those_it_replaced_lately(judged: Warehouse) -> None:
    publish_days(judged, date(2026, 6, 1), TODAY)
    batches = {
        day: batch_of(judged, day, "sales.customers", "snapshot", [{"customer_id": "C1", "name": "Ames"}])
        for day in (1, 2, 19, 25)
    }
    lonely = batch_of(judged, 1, "service.tickets", "snapshot", [a_ticket()])
    upkeep.tidy(judged, SHORT)
    assert {batch for _, batch in versions(judged, "sales_customers", "customer_id")} == {batches[19], batches[25]}
    assert versions(judged, "service_tickets", "ticket_id") == {("T1", lonely)}
    assert judged.rows("select count(*) as n from ops.delivery") == [{"n": 5}], "what was read stays known"


def test_what_was_appended_goes_once_a_snapshot_has_replaced_it_and_is_compared_with_it(judged: Warehouse) -> None:
    publish_days(judged, date(2026, 6, 1), TODAY)
    batch_of(judged, 1, "sales.orders", "append", [an_order("a", 9), an_order("b", 9)])
    upkeep.tidy(judged, SHORT)
    snapshot = batch_of(judged, 2, "sales.orders", "snapshot", [an_order("a", 3), an_order("b", 3)])
    changed = batch_of(judged, 3, "sales.orders", "append", [an_order("a", 4)])
    upkeep.tidy(judged, SHORT)
    assert versions(judged) == {("a", changed), ("b", snapshot)}


def a_ticket() -> Row:
    return {"customer_id": "C1", "ticket_id": "T1", "kind": "inquiry", "opened_at": datetime(2026, 1, 1, tzinfo=UTC)}


def test_batches_that_no_gate_accepted_go_with_their_run_and_can_not_be_accepted_later(judged: Warehouse) -> None:
    publish_days(judged, date(2026, 6, 1), date(2026, 6, 5))
    stopped, failed = open_run(judged, date(2026, 6, 6), "stopped"), open_run(judged, date(2026, 6, 7), "failed")
    batch_of(judged, 6, "sales.orders", "append", [an_order("rejected", 1)], state="rejected")
    batch_of(judged, 7, "sales.orders", "append", [an_order("left", 1)], state="landed")
    publish_days(judged, date(2026, 6, 8), TODAY)
    young = batch_of(judged, 28, "sales.orders", "append", [an_order("young", 1)], state="rejected")
    outcome = upkeep.tidy(judged, SHORT)
    assert versions(judged) == {("young", young)}
    assert outcome.dropped["landing.sales_orders"].rows == 2
    assert values(judged, "select batch_id from ops.delivery") == [young]
    assert landing.accept(judged, failed) == landing.accept(judged, stopped) == 0


def test_file_whose_rows_upkeep_dropped_is_not_read_again(judged: Warehouse, tmp_path: Path) -> None:
    source = sales(tmp_path, mode="snapshot")
    deliver(tmp_path, 10, order(1))

    def land(day: date) -> list[bool]:
        run_id = open_run(judged, day, "published")
        batches = landing.land(judged, run_id, source, currency="CNY", extracted_at=datetime(2026, 6, 30, tzinfo=UTC))
        landing.accept(judged, run_id)
        return [batch.batch_id is not None for batch in batches]

    assert land(date(2026, 5, 1)) == [True, True]
    deliver(tmp_path, 20, order(1), order(2))
    assert land(date(2026, 5, 2)) == [False, True]
    publish_days(judged, date(2026, 5, 3), date(2026, 5, 31))
    before = contents(judged)["deliveries"]
    assert upkeep.tidy(judged, SHORT).dropped["landing.sales_orders"].rows == 1
    assert contents(judged)["deliveries"] == before
    assert land(date(2026, 6, 1)) == [False, False]


# --- beside others, and killed ------------------------------------------------------------------------------------


def everything(warehouse: Warehouse) -> dict[str, list[str]]:
    """All that upkeep may touch, without moments of the clock."""
    queries = {
        "runs": "select run_id, dropped_at is null from ops.run",
        "publication": "select as_of_date, run_id from ops.publication",
        "batches": "select batch_id, state, upkept_at is null from ops.batch",
        "mails": "select mail_key, mime is null from ops.outbox",
        **{
            table: f"select * from {table}"
            for table in ("marts.dim_customers", "marts.fct_levels", "landing.sales_orders", "landing.sales_customers")
        },
        **{table: f"select * from ops.{table}" for table in ("delivery", "quarantine", "problem", "gate_result")},
    }
    with warehouse.connect() as connection:
        return {name: sorted(map(str, connection.execute(query).fetchall())) for name, query in queries.items()}


def some_of_everything(warehouse: Warehouse) -> Warehouse:
    """A warehouse in which every step of upkeep has something to drop."""
    publish_days(warehouse, date(2026, 5, 16), TODAY)
    batch = batch_of(warehouse, 1, "sales.orders", "append", [an_order("a", 1), an_order("b", 1)])
    batch_of(warehouse, 2, "sales.orders", "append", [an_order("a", 2), an_order("b", 3)])
    for day in (1, 2, 3):
        batch_of(warehouse, day, "sales.customers", "snapshot", [{"customer_id": "C1", "name": "Ames"}])
    batch_of(warehouse, 3, "sales.orders", "append", [an_order("a", 9)], state="rejected")
    warehouse.execute(
        "insert into ops.quarantine (batch_id, run_id, source, data_set, reason, remedy)"
        " values (%s, 1, 's', 'sales.orders', 'r', 'r')",
        batch,
    )
    warehouse.execute(
        "insert into ops.outbox (mail_key, run_id, as_of_at, audience, recipient, subject, message_id, mime, state)"
        " values ('k', 1, now(), 'owner', 'a@example.com', 's', 'm', 'Words', 'sent')"
    )
    return warehouse


@contextmanager
def working(task: Callable[[], object]) -> Iterator[list[BaseException]]:
    """Let a task work in a thread while the block runs; what it died of is in the list at the end."""
    died: list[BaseException] = []

    def work() -> None:
        try:
            task()
        except Exception as error:
            died.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield died
    finally:
        thread.join()


def test_killed_in_the_middle_and_repeated_leaves_what_one_upkeep_leaves(judged: Warehouse, postgres: Any) -> None:
    """Each try is killed a step later than the one before."""
    some_of_everything(judged)
    with psycopg.connect(postgres.admin_dsn, autocommit=True) as admin:
        admin.execute(f"create database twin template {judged.parameters['dbname']} owner early_warning")
    twin = postgres.named("twin")
    upkeep.tidy(twin, SHORT)
    expected = everything(twin)
    postgres.drop(twin)

    for table in ("ops.publication", "marts.fct_levels", "ops.quarantine", "ops.delivery", "landing.sales_orders"):
        with psycopg.connect(judged.dsn) as holder:
            holder.execute(f"lock table {table} in share mode")
            waiting = f"select pid from pg_locks where relation = '{table}'::regclass and not granted"
            with working(lambda: upkeep.tidy(judged, SHORT)) as died:
                while (found := holder.execute(waiting).fetchone()) is None:
                    time.sleep(0.01)
                holder.execute("select pg_terminate_backend(%s)", found)
        assert isinstance(died[0], psycopg.OperationalError)
        assert everything(judged) != expected, table
        shown_days(judged)  # each whole

    upkeep.tidy(judged, SHORT)
    assert everything(judged) == expected
    assert upkeep.tidy(judged, SHORT).dropped == {}, "nothing is left to do"


def test_readers_see_a_day_whole_or_not_at_all_and_never_wait(judged: Warehouse) -> None:
    publish_days(judged, date(2026, 1, 1), TODAY)
    judged.execute("insert into marts.fct_levels select 'D' || n, 5 from generate_series(1, 50000) as n")
    old_day, seen, is_over = date(2026, 1, 5), set[int](), threading.Event()

    def look() -> None:
        with psycopg.connect(judged.reader_dsn, autocommit=True) as reader:
            reader.execute("set lock_timeout = '100ms'")
            while not is_over.is_set():
                row = reader.execute("select count(*) from bi.levels where as_of_date = %s", (old_day,)).fetchone()
                seen.add(row[0])

    with psycopg.connect(judged.reader_dsn) as long_reader, working(look) as died:
        long_reader.execute("set transaction isolation level repeatable read")
        query = "select count(*) from bi.levels where as_of_date = %s"
        before = long_reader.execute(query, (old_day,)).fetchone()
        upkeep.tidy(judged, SHORT)
        assert long_reader.execute(query, (old_day,)).fetchone() == before == (50_003,)
        is_over.set()
    assert died == []
    assert seen <= {50_003, 0}
    assert old_day not in shown_days(judged)


def test_upkeep_gives_way_to_a_transform(judged: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    some_of_everything(judged)
    monkeypatch.setenv("EARLY_WARNING_DSN", judged.dsn)
    monkeypatch.setenv("EARLY_WARNING_READER_DSN", judged.reader_dsn)
    before = everything(judged)
    with transform.alone(judged), pytest.raises(upkeep.WarehouseBusy, match="a run is at work"):
        upkeep.tidy(judged, SHORT)
    assert everything(judged) == before
    upkeep.tidy(judged, SHORT)
    assert everything(judged) != before


def test_upkeep_gives_way_to_an_old_run_that_somebody_goes_on_with_meanwhile(judged: Warehouse) -> None:
    publish_days(judged, date(2026, 1, 1), date(2026, 1, 9))
    old = open_run(judged, date(2026, 1, 10), "failed")
    judged.execute(
        "insert into ops.run_step (run_id, step, state, started_at) values (%s, 'open_run', 'failed', '2026-01-10')",
        old,
    )
    publish_days(judged, date(2026, 1, 11), TODAY)
    before = everything(judged)
    with psycopg.connect(judged.dsn) as holder:
        holder.execute("lock table ops.upkeep in share mode")
        waiting = "select from pg_locks where relation = 'ops.upkeep'::regclass and not granted"
        with working(lambda: upkeep.tidy(judged, SHORT)) as died:
            while holder.execute(waiting).fetchone() is None:
                time.sleep(0.01)
            assert runs.open_run(judged, runs.Moment.of_day(date(2026, 1, 10), ZONE), ZONE, "p") == old
            holder.rollback()
    assert [str(error) for error in died] == ["somebody goes on with an old run"]
    assert everything(judged) == before


def test_upkeep_gives_way_to_another(judged: Warehouse) -> None:
    publish_days(judged, date(2026, 1, 1), TODAY)
    with judged.connect(autocommit=True) as other:
        other.execute("select pg_advisory_lock(hashtext('early_warning.upkeep'))")
        with pytest.raises(upkeep.WarehouseBusy, match="another upkeep"):
            upkeep.tidy(judged, SHORT)


def test_upkeep_leaves_a_ledger_and_fresh_statistics(judged: Warehouse) -> None:
    assert upkeep.tidy(judged, SHORT).today is None, "nothing was ever published"
    publish_days(judged, date(2026, 1, 1), TODAY)
    outcome = upkeep.tidy(judged, SHORT)
    [entry] = judged.rows("select * from ops.upkeep")
    assert entry["finished_at"] is not None
    assert entry["today"] == TODAY
    assert entry["dropped"]["marts.fct_levels"]["rows"] == outcome.dropped["marts.fct_levels"].rows > 0
    assert entry["warehouse_bytes"] == outcome.warehouse_bytes > 0
    assert values(judged, "select attname from pg_stats where tablename = 'fct_levels' and attname = 'run_id'")


def test_home_of_an_earlier_version_gets_what_upkeep_needs(warehouse: Warehouse) -> None:
    warehouse.execute("alter table ops.run drop column dropped_at")
    warehouse.execute("alter table ops.batch drop column upkept_at")
    warehouse.execute("alter table ops.outbox alter column mime set not null")
    warehouse.execute("drop table ops.upkeep")
    warehouse.execute("delete from ops.migration")
    migrate(warehouse)
    publish = (
        "insert into ops.run (as_of_date, as_of_at, company_time_zone, policy_hash, state, is_backfill, published_at)"
    )
    warehouse.execute(f"{publish} values ('2026-06-30', now(), 'UTC', 'p', 'published', false, now())")
    assert upkeep.tidy(warehouse, SHORT).today == TODAY


# --- through dbt, Airflow and the command line --------------------------------------------------------------------


@pytest.mark.slow
def test_what_upkeep_left_judges_as_all_versions_do(postgres: Any, warehouse: Warehouse, tmp_path: Path) -> None:
    """Dirt of every kind, upkept every day, against the oracle, which knows all that was ever delivered."""
    policy = changed_policy(tmp_path / "policy", "hysteresis_and_budget", min_segment_customers="1")
    sources = Sources(SOME_APPEND, ALL_STAMPED, Moment.midnight_after(LEAP_DAYS[0], SHANGHAI))
    chain = Chain(postgres, warehouse, sources, policy)
    stages = [Scene(sources, Random(1), each.__name__, f"{each.__name__}/other") for each in DIRT]
    for stage in stages:
        settle(stage)
    playing = [script(stage) for script, stage in zip(DIRT, stages, strict=True)]
    dropped: dict[str, int] = {}
    for day in LEAP_DAYS:
        sources.today = Moment.midnight_after(day, chain.zone)
        for script in playing:
            next(script, None)
        chain.deliver()
        if day in (LEAP_DAYS[0], LEAP_DAYS[-1]):
            run_id = chain.judge(sources.today)
        # all that is delivered belongs to a run of 1900, so it is old at once
        for table, what in upkeep.tidy(warehouse, Retention()).dropped.items():
            dropped[table] = dropped.get(table, 0) + what.rows
    assert {table for table in dropped if table.startswith("landing.")} >= {
        "landing.sales_orders",
        "landing.sales_customers",
    }
    chain.check_from_scratch(run_id)


# The DAG in a process of its own, as Airflow's `dag.test` runs it: once, and once while another upkeep is at work.
_RUN_DAG = """
import os, sys
import psycopg
from airflow.utils.db import initdb
initdb()
sys.path.insert(0, sys.argv[1])
import warehouse_upkeep_weekly
dag = warehouse_upkeep_weekly.weekly
print("STATE", dag.test().state.value)
dag.get_task("tidy_warehouse").retries = 0
with psycopg.connect(os.environ["EARLY_WARNING_DSN"]) as other:
    other.execute("select pg_advisory_lock(hashtext('early_warning.upkeep'))")
    print("STATE", dag.test().state.value)
"""


@pytest.mark.slow
def test_dag_and_command_drop_an_old_day_and_say_so(home: Home, tmp_path: Path) -> None:
    with running_postgres(home.folder) as warehouse, postbox() as box:
        first_day = published(warehouse, "2026-06-30")
        old_days = [publish_copy(warehouse, day) for day in ("2019-01-05", "2020-01-05")]
        assert all(published(warehouse, "2020-01-05").values())
        metadata = airflow_dsn(home.folder)
        variables = {
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": metadata.replace("+psycopg2", "+psycopg_async"),
            "EARLY_WARNING_COMPANY": str(home.company),
            "EARLY_WARNING_HOME": str(home.folder),
            "EARLY_WARNING_DSN": warehouse.dsn,
            "EARLY_WARNING_READER_DSN": warehouse.reader_dsn,
            "EARLY_WARNING_SMTP_URL": box.url,
        }
        answer = subprocess.run(
            [sys.executable, "-c", _RUN_DAG, PROJECT / "dags"],
            env=environment(**variables),
            capture_output=True,
            text=True,
        )
        states = [line for line in answer.stdout.splitlines() if line.startswith("STATE")]
        assert states == ["STATE success", "STATE failed"], answer.stdout + answer.stderr
        assert [recipient for _, recipient in box.taken] == ["data.operations@huachen.example.com"]
        assert values(warehouse, "select run_id from ops.run where dropped_at is not null") == old_days
        assert published(warehouse, "2026-06-30") == first_day
        assert not any(rows for view, rows in published(warehouse, "2020-01-05").items() if view != "runs")

        publish_copy(warehouse, "2018-01-05")
        told = home.command("upkeep", "--company", str(home.company), "--json").json
        assert told["today"] == "2026-06-30"
        assert told["dropped"]["ops.publication"]["rows"] == 1
        assert told["dropped"]["marts.fct_customer_indicators"]["rows"] == len(
            {row["customer_id"] for row in first_day["indicator_values"]}
        )
        assert "rows dropped" in home.command("status").stdout
        again = home.command("upkeep", "--company", str(home.company))
        assert (again.code, again.stdout) == (0, "Nothing was old enough to be dropped.\n")
        with warehouse.connect(autocommit=True) as other:
            other.execute("select pg_advisory_lock(hashtext('early_warning.upkeep'))")
            busy = home.command("upkeep", "--company", str(home.company))
        assert (busy.code, "another upkeep is at work" in busy.stderr) == (2, True)


def publish_copy(warehouse: Warehouse, day: str) -> int:
    """Publish the first run's rows as those of another day."""
    [run] = warehouse.rows(
        "insert into ops.run (as_of_date, as_of_at, company_time_zone, policy_hash, state, is_backfill, published_at,"
        " finished_at, indicator_codes)"
        " select %s, %s, company_time_zone, policy_hash, state, true, now(), now(), indicator_codes from ops.run"
        " where run_id = 1 returning run_id",
        day,
        day,
    )
    for table in ("dim_customers", "fct_customer_levels", "fct_customer_indicators"):
        warehouse.execute(
            f"insert into marts.{table} select (jsonb_populate_record(mart, jsonb_build_object('run_id', %s::bigint,"
            f" 'as_of_date', %s::date))).* from marts.{table} as mart where run_id = 1",
            run["run_id"],
            day,
        )
    warehouse.execute("insert into ops.publication (as_of_date, run_id) values (%s, %s)", day, run["run_id"])
    return int(run["run_id"])


# --- settings -----------------------------------------------------------------------------------------------------


def retention_of(tmp_path: Path, **retention: Any) -> Retention:
    return load_company(demo_company(tmp_path / "company", retention=retention)).retention


def test_retention_is_read_from_company_yml_and_has_defaults(tmp_path: Path) -> None:
    assert retention_of(tmp_path, daily_days=730) == Retention(daily_days=730, month_end_months=36, detail_days=90)
    assert load_company(PROJECT / "company").retention == Retention()


@pytest.mark.parametrize(
    ("retention", "said"),
    [
        ({"daily_days": 7}, "retention.daily_days: Input should be greater than or equal to 31"),
        ({"daily_days": "for ever"}, "retention.daily_days: Input should be a valid integer"),
        ({"month_end_months": -1}, "retention.month_end_months"),
        ({"detail_days": 3}, "retention.detail_days"),
        ({"days": 400}, "retention.days: Extra inputs are not permitted"),
    ],
)
def test_retention_that_makes_no_sense_is_refused_by_name(tmp_path: Path, retention: Row, said: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        retention_of(tmp_path, **retention)
    assert "company.yml" in str(refusal.value)
    assert said in str(refusal.value)
