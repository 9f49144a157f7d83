"""The database reader and its landing, against a real second database: types, rules, windows, deletes, faults."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Generator, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from psycopg import sql
from psycopg.conninfo import make_conninfo

from database_sources import (
    APPEND,
    ORDERS,
    TABLE,
    Shop,
    current,
    database_source,
    land,
    open_run,
    orders_source,
    take,
    versions,
)
from early_warning import landing
from early_warning.extract import SourceUnavailable
from early_warning.extract.database import DatabaseRows
from early_warning.problems import ConfigurationError
from early_warning.quality import check_source
from early_warning.settings import PROJECT, load_company
from early_warning.warehouse import Warehouse
from homes import Home, environment


@pytest.fixture
def shop(postgres: Any) -> Iterator[Shop]:
    """A database with an empty table of orders."""
    name = f"shop_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres.admin_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {} owner early_warning").format(sql.Identifier(name)))
        shop = Shop(make_conninfo(postgres.warehouse.dsn, dbname=name))
        shop.do(TABLE)
        yield shop
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


# Types


def test_values_of_any_type_land_as_the_contract_has_them(warehouse: Warehouse, shop: Shop) -> None:
    shop.do(
        "create type grade as enum ('gut', 'böse')",
        "create table accounts (id numeric(12, 2), since timestamptz, lim text, days bigint, guard char(6), locked int,"
        " note grade, reasons json, odds float8, code uuid, changed text)",
        "insert into accounts values (1001, '2024-02-03 17:30Z', ' 12.50 ', 30, 'x', 1, 'böse', '{\"a\": [1]}', 0.25,"
        " '00000000-0000-0000-0000-000000000001', '2024-06-01 08:00'), (1002, '2024-02-03 15:30Z', '', null, ' ', 0,"
        " null, null, 1, null, null)",
    )
    source = database_source(
        {"finance.credit_terms": {"mode": "snapshot"}, "model.churn_scores": {"mode": "snapshot"}},
        {
            "finance.credit_terms": "select id as customer_id, since as valid_from, lim as credit_limit,"
            " days as payment_days, guard as guarantee, locked::text as is_restricted, changed as updated_at"
            " from accounts",
            "model.churn_scores": "select coalesce(code::text, 'none') as customer_id, since::date as scored_on,"
            " odds as probability, coalesce(note, 'gut') as model_version, reasons from accounts -- all of them",
        },
    )
    land(warehouse, open_run(warehouse), source, shop)
    terms, scores = (
        [tuple(row.values()) for row in warehouse.rows(f"select * from landing.{table} order by customer_id")]
        for table in ("finance_credit_terms", "model_churn_scores")
    )
    eight = datetime(2024, 6, 1, tzinfo=UTC)
    assert [row[:-4] for row in terms] == [
        ("1001", date(2024, 2, 4), Decimal("12.50"), 30, "x", True, eight),
        ("1002", date(2024, 2, 3), None, None, None, False, None),
    ], "a date is the source's, not the server's"
    assert [row[:-4] for row in scores] == [
        ("00000000-0000-0000-0000-000000000001", date(2024, 2, 4), Decimal("0.25"), "böse", {"a": [1]}, None),
        ("none", date(2024, 2, 3), Decimal(1), "gut", None, None),
    ]
    assert all(row[-3:] == (None, None, False) for row in (*terms, *scores))


def test_text_of_any_kind_lands_as_it_is(warehouse: Warehouse, shop: Shop) -> None:
    names = ['a "quoted", name', "two\nlines", "\\.", "\\N", " spaces ", "客户; drop table", "tab\there", "100%"]
    shop.do("create table people (id int, name text)")
    with psycopg.connect(shop.dsn) as connection, connection.cursor() as cursor:
        cursor.executemany("insert into people values (%s, %s)", list(enumerate(names)))
    source = database_source(
        {"sales.customers": {"mode": "snapshot"}},
        {"sales.customers": "select id as customer_id, name, '50 %' as segment from people"},
    )
    land(warehouse, open_run(warehouse), source, shop)
    found = warehouse.rows("select name from landing.sales_customers order by customer_id")
    assert [row["name"] for row in found] == names


# Rows that can't be used

BAD = {  # what is written into a table of texts: column it is charged to, beginning of the reason
    "no key": ({"order_id": " "}, "order_id", "order_id is empty and is part of the key"),
    "nobody": ({"customer_id": None}, "customer_id", "customer_id is empty"),
    "no amount": ({"amount": ""}, "amount", "amount is empty"),
    "words": ({"amount": "面议"}, "amount", "amount is not a number: '面议'"),
    "nan": ({"amount": "NaN"}, "amount", "amount is not a number: 'NaN'"),
    "below zero": ({"amount": "-0.10"}, "amount", "amount is negative: -0.1"),
    "no date": ({"ordered_at": "2024-02-30"}, "ordered_at", "ordered_at is not a timestamp: '2024-02-30'"),
    "old": ({"ordered_at": "0202-05-01"}, "ordered_at", "ordered_at is no date of our time: 0202-05-01"),
    "never": ({"promised_at": "infinity"}, "promised_at", "promised_at is no date of our time: infinity"),
    "ahead": ({"ordered_at": "2024-07-01 01:01"}, "ordered_at", "ordered_at lies after the extraction on 2024-07-01"),
    "enum": ({"cancelled_by": "kunde"}, "cancelled_by", "cancelled_by has the unknown word 'kunde'"),
    "currency": ({"currency": "USD"}, "currency", "foreign currency is not converted yet: 'USD'"),
    "no cursor": ({"updated_at": None}, "updated_at", "updated_at is empty and is the cursor"),
}
GOOD = {
    "order_id": "O1",
    "customer_id": "C1",
    "ordered_at": "2024-07-01 01:00",
    "amount": "1e2",
    "promised_at": "2031-01-01",
    "cancelled_by": "us",
    "currency": "CNY",
    "updated_at": "2024-06-02T00:00:00",
}


def test_unusable_rows_are_set_aside_with_reason_and_remedy_and_the_good_ones_stay(
    warehouse: Warehouse, shop: Shop
) -> None:
    texts = [f"{column} {'timestamp' if column == 'updated_at' else 'text'}" for column in GOOD]
    shop.do(f"create table texts (n int, {', '.join(texts)})")
    rows = [GOOD, *({**GOOD, "order_id": f"B{n:02}", **changed} for n, (changed, *_) in enumerate(BAD.values()))]
    with psycopg.connect(shop.dsn) as connection, connection.cursor() as cursor:
        cursor.executemany(
            f"insert into texts values ({', '.join(['%s'] * (len(GOOD) + 1))})",
            [(n, *row.values()) for n, row in enumerate(rows)],
        )
    batch = take(warehouse, orders_source("select * from texts order by n"), shop)
    assert (batch.rows, batch.quarantined) == (1, len(BAD)), batch.problems
    assert [str(problem) for problem in batch.problems] == [
        "source shop, sales.orders, sales.orders.sql, column n:"
        " the contract has no column n: it is ignored → leave it out"
    ]
    found = warehouse.rows("select * from ops.quarantine order by quarantine_id")
    told = {row["row_data"]["order_id"]: row for row in found}
    for n, (changed, column, reason) in enumerate(BAD.values()):
        row = told[changed.get("order_id", f"B{n:02}")]
        assert row["column_name"] == column
        assert row["reason"].startswith(reason), row["reason"]
        assert row["remedy"]
        assert row["row_data"] == {**GOOD, "order_id": f"B{n:02}", **changed}
    [stored] = warehouse.rows("select * from ops.batch")
    assert (stored["rows"], stored["quarantined"], stored["state"]) == (1, len(BAD), "accepted")
    [landed] = warehouse.rows("select * from landing.sales_orders")
    assert (landed["order_id"], landed["amount"]) == ("O1", 100)
    assert landed["ordered_at"] == datetime(2024, 6, 30, 17, tzinfo=UTC)


@pytest.mark.parametrize("customers", [("C1", "C1"), ("C1", "C2")])
def test_a_key_that_comes_twice_is_kept_once_in_its_newest_version(
    warehouse: Warehouse, shop: Shop, customers: tuple[str, str]
) -> None:
    shop.order(2)
    for hour, customer in enumerate(customers):
        shop.do(f"insert into orders values ('O1', '{customer}', '2024-05-01', {hour}, null, '2024-06-01 0{hour}:00')")
    shop.do("insert into orders values ('O1', 'C1', '2024-05-01', -1, null, '2024-06-01 09:00')")
    batch = take(warehouse, orders_source(), shop)
    assert (batch.rows, batch.quarantined) == (2, 2)
    assert versions(warehouse, batch) == [("O1", 1, False), ("O2", 2, False)]
    found = warehouse.rows("select column_name, reason, row_data from ops.quarantine order by reason")
    assert [row["reason"] for row in found] == [
        "amount is negative: -1",
        "duplicate key order_id O1; the newest row is kept",
    ], "an unusable row is no duplicate"
    assert found[1]["row_data"]["amount"] == 0


# Reading on


def test_only_rows_changed_since_the_newest_accepted_one_are_read(warehouse: Warehouse, shop: Shop) -> None:
    source = orders_source(overlap_hours=2)
    for number in (1, 2, 3):
        shop.order(number, f"2024-06-0{number} 12:00")
    assert take(warehouse, source, shop).rows == 3
    again = take(warehouse, source, shop)
    assert (again.rows, versions(warehouse, again)) == (0, []), "what is known does not land again"

    shop.order(1, "2024-06-03 12:30", net=10)  # a correction
    shop.order(4, "2024-06-03 10:30")  # late, within the overlap
    shop.order(5, "2024-06-03 09:30")  # later than that
    batch = take(warehouse, source, shop)
    assert versions(warehouse, batch) == [("O1", 10, False), ("O4", 4, False)]
    assert current(warehouse) == [("O1", 10), ("O2", 2), ("O3", 3), ("O4", 4)]
    stored = warehouse.rows("select read_through from ops.batch order by batch_id")
    assert [row["read_through"].isoformat() for row in stored] == [
        "2024-06-03T04:00:00+00:00",
        "2024-06-03T04:00:00+00:00",
        "2024-06-03T04:30:00+00:00",
    ]


def test_window_follows_the_cursor_in_the_sources_own_type(warehouse: Warehouse, shop: Shop) -> None:
    casts = ("changed_at", "changed_at at time zone 'Asia/Shanghai'", "changed_at::date")
    for cast in casts:
        select = ORDERS.replace("changed_at as", f"{cast} as")
        source = orders_source(select, overlap_hours=0)
        warehouse.execute("truncate landing.sales_orders")
        warehouse.execute("truncate ops.run cascade")
        shop.do("truncate orders")
        shop.order(1, "2024-06-03 00:30")
        shop.order(2, "2024-06-02 23:30")
        take(warehouse, source, shop)
        shop.do("update orders set net = net + 100")  # and no cursor moves
        batch = take(warehouse, source, shop)
        assert versions(warehouse, batch) == [("O1", 101, False)], cast


def test_batch_that_was_rejected_is_read_again(warehouse: Warehouse, shop: Shop) -> None:
    shop.order(1)
    take(warehouse, orders_source(), shop)
    shop.order(2, "2024-06-09 12:00")
    run_id = open_run(warehouse)
    assert land(warehouse, run_id, orders_source(), shop)["sales.orders"].rows == 1
    landing.reject(warehouse, run_id)
    shop.order(3, "2024-06-20 12:00")
    assert take(warehouse, orders_source(), shop).rows == 2
    assert current(warehouse) == [("O1", 1), ("O2", 2), ("O3", 3)]


def test_retry_within_a_run_replaces_what_the_first_attempt_landed(warehouse: Warehouse, shop: Shop) -> None:
    shop.order(1)
    run_id = open_run(warehouse)
    for _ in range(2):
        land(warehouse, run_id, orders_source(), shop)
    assert warehouse.rows("select count(*) as n from ops.batch")[0]["n"] == 1
    assert warehouse.rows("select count(*) as n from landing.sales_orders")[0]["n"] == 1


def test_snapshot_is_the_whole_state_and_lands_when_it_changed(warehouse: Warehouse, shop: Shop) -> None:
    source = database_source({"sales.orders": {"mode": "snapshot"}}, {"sales.orders": ORDERS})
    shop.order(1)
    shop.order(2)
    assert take(warehouse, source, shop).rows == 2
    assert take(warehouse, source, shop).batch_id is None
    shop.do("delete from orders where order_no = 'O1'")
    assert versions(warehouse, take(warehouse, source, shop)) == [("O2", 2, False)]
    shop.do("update orders set state = 'us'")
    assert take(warehouse, source, shop).rows == 1


def test_all_data_sets_come_from_one_snapshot(
    warehouse: Warehouse, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.order(1)
    source = database_source(
        {"sales.customers": {"mode": "snapshot"}, "sales.orders": APPEND},
        {"sales.customers": "select customer as customer_id, customer as name from orders", "sales.orders": ORDERS},
    )
    whole = DatabaseRows.judged

    def judged(rows: DatabaseRows) -> Any:
        shop.order(7, "2024-06-09 12:00")  # after the customers were read
        return whole(rows)

    monkeypatch.setattr(DatabaseRows, "judged", judged)
    batches = land(warehouse, open_run(warehouse), source, shop)
    assert {name: batch.rows for name, batch in batches.items()} == {"sales.customers": 1, "sales.orders": 1}


# Records that are gone


def test_deleted_record_lands_once_as_a_version_marked_deleted(warehouse: Warehouse, shop: Shop) -> None:
    for number in (1, 2, 3):
        shop.order(number, state="us")
    take(warehouse, orders_source(), shop)
    shop.order(2, "2024-06-02 12:00", net=20)
    take(warehouse, orders_source(), shop)
    shop.do("delete from orders where order_no in ('O1', 'O2')")
    columns = "order_id, amount::int, cancelled_by, updated_at::date::text, _is_deleted"
    gone = take(warehouse, orders_source(), shop)
    assert versions(warehouse, gone, columns) == [
        ("O1", 1, "us", "2024-06-01", True),
        ("O2", 20, None, "2024-06-02", True),
    ], "the other columns repeat the last known"
    assert current(warehouse) == [("O3", 3)]
    assert versions(warehouse, take(warehouse, orders_source(), shop)) == [], "gone is gone once"
    stored = warehouse.rows("select rows, present, deleted from ops.batch order by batch_id")
    assert [tuple(row.values()) for row in stored] == [(3, None, None), (1, 3, 0), (0, 1, 2), (0, 1, 0)]

    shop.order(2, "2024-06-02 12:00", net=20)  # it comes back as it was
    assert versions(warehouse, take(warehouse, orders_source(), shop)) == [("O2", 20, False)]
    assert current(warehouse) == [("O2", 20), ("O3", 3)]


def test_record_that_moves_to_another_customer_is_no_deleted_one(warehouse: Warehouse, shop: Shop) -> None:
    shop.order(1)
    take(warehouse, orders_source(), shop)
    shop.order(1, "2024-06-02 12:00", customer="C9")
    batch = take(warehouse, orders_source(), shop)
    assert versions(warehouse, batch, "customer_id, order_id, _is_deleted") == [("C9", "O1", False)]
    assert current(warehouse) == [("O1", 1)]


def test_row_that_became_unusable_is_not_taken_for_deleted(warehouse: Warehouse, shop: Shop) -> None:
    shop.order(1)
    take(warehouse, orders_source(), shop)
    shop.order(1, "2024-06-02 12:00", net=-1)
    batch = take(warehouse, orders_source(), shop)
    assert (batch.quarantined, versions(warehouse, batch)) == (1, [])


@pytest.mark.parametrize(("period", "looked"), [("daily", 4), ("weekly", 2), ("never", 0)])
def test_deleted_records_are_looked_for_as_often_as_source_yml_says(
    warehouse: Warehouse, shop: Shop, period: str, looked: int
) -> None:
    shop.order(1)
    source = orders_source(reconcile=period)
    for day in (1, 2, 3, 9, 10):
        take(warehouse, source, shop, date(2024, 6, day))
    assert warehouse.rows("select count(present) as n from ops.batch")[0]["n"] == looked


def test_source_that_lost_most_of_its_records_fails_its_gate(warehouse: Warehouse, shop: Shop) -> None:
    shop.do(
        "insert into orders select 'O' || i, 'C1', '2024-05-01', i, null, '2024-06-01' from generate_series(1, 30) i"
    )
    take(warehouse, orders_source(), shop)
    shop.do("delete from orders where net > 10")
    run_id = open_run(warehouse)
    land(warehouse, run_id, orders_source(), shop)
    verdict = check_source(warehouse, run_id, orders_source())
    assert verdict.verdict == "fail"
    [message] = [line for line in verdict.messages if "shrunk_share" in line]
    assert "source shop, sales.orders" in message
    assert "deleted 20" in message


# Faults


@pytest.mark.parametrize(
    ("select", "words"),
    [
        ("select * from ordres", ['relation "ordres" does not exist', "mend sales.orders.sql"]),
        ("select order_nr from orders", ['column "order_nr" does not exist']),
        (ORDERS.replace("net as amount", "net as amout"), ["column amount", "does not return amount; is it amout?"]),
        (ORDERS.replace("changed_at as updated_at", "null as x"), ["column updated_at", "lacks updated_at", "cursor"]),
        (ORDERS.replace("changed_at as", "changed_at::text as"), ["returns updated_at as text", "date, timestamp"]),
        (ORDERS.replace("net as", "1 / (net - 2) as"), ["the mapping SELECT fails: division by zero"]),
        ("select 1) as x; drop table orders; select * from (select 1", ["cannot insert multiple commands"]),
        ("with gone as (delete from orders returning *) select * from gone", ["must be at the top level"]),
        (ORDERS.replace("net as", "spoil(net) as"), ["read-only transaction", "do nothing but read"]),
        (ORDERS.replace("from orders", "from hidden"), ["permission denied for table hidden", "grant select"]),
    ],
)
def test_select_that_cannot_be_run_is_a_critical_problem_and_lands_nothing(
    warehouse: Warehouse, shop: Shop, postgres: Any, select: str, words: list[str]
) -> None:
    shop.do(
        "create table hidden (like orders)",
        "create function spoil(net numeric) returns numeric language sql volatile begin atomic"
        " insert into orders (order_no) values ('spoilt') returning 1::numeric; end",
        "grant usage on schema public to early_warning_reader",
        "grant select, insert on orders to early_warning_reader",
    )
    for number in (1, 2, 3):
        shop.order(number)
    name = psycopg.conninfo.conninfo_to_dict(shop.dsn)["dbname"]
    shop.do(f"grant connect on database {name} to early_warning_reader")
    reader = Shop(make_conninfo(postgres.warehouse.reader_dsn, dbname=str(name), options="-c search_path=public"))
    batch = take(warehouse, orders_source(select), reader)
    assert (batch.batch_id, batch.rows) == (None, 0)
    [told] = [str(problem) for problem in batch.problems if problem.is_critical]
    for word in ["source shop, sales.orders, sales.orders.sql", *words]:
        assert word in told
    assert warehouse.rows("select count(*) as n from landing.sales_orders")[0]["n"] == 0
    [stored] = warehouse.rows("select message from ops.problem where is_critical")
    assert stored["message"] in told
    with psycopg.connect(shop.dsn) as connection:
        assert connection.execute("select count(*) from orders").fetchone() == (3,)


def test_fault_of_one_data_set_leaves_the_others_alone(warehouse: Warehouse, shop: Shop) -> None:
    shop.order(2)
    source = database_source(
        {"sales.returns": APPEND, "sales.orders": APPEND},
        {
            "sales.returns": "select order_no as return_id, customer as customer_id, placed_at as returned_at,"
            " 1 / (net - 2) as amount, changed_at as updated_at from orders",
            "sales.orders": ORDERS,
        },
    )
    batches = land(warehouse, open_run(warehouse), source, shop)
    assert (batches["sales.returns"].batch_id, batches["sales.orders"].rows) == (None, 1)


def test_slow_select_is_ended_by_the_server(warehouse: Warehouse, shop: Shop) -> None:
    shop.order(1)
    slow = orders_source(ORDERS.replace("from orders", "from orders cross join pg_sleep(30)"), timeout_seconds=1)
    with pytest.raises(SourceUnavailable, match=r"shop, sales.orders, .* longer than 1 s .* timeout_seconds:"):
        take(warehouse, slow, shop)
    assert warehouse.rows("select * from ops.batch") == []


def test_database_out_of_reach_is_told_without_its_password(warehouse: Warehouse, shop: Shop) -> None:
    for change, words in (
        ({"port": "1"}, "onnection refused"),
        ({"password": "hunter2"}, "password authentication failed"),
        ({"dbname": "nowhere"}, "nowhere"),
    ):
        with pytest.raises(SourceUnavailable, match=words) as caught:
            take(warehouse, orders_source(), Shop(make_conninfo(shop.dsn, **change)))
        told = str(caught.value)
        assert told.startswith("source shop: ")
        assert "check the Airflow connection shop" in told
        secrets = ("hunter2", psycopg.conninfo.conninfo_to_dict(shop.dsn)["password"])
        assert not any(str(secret) in told for secret in secrets)
    with pytest.raises(SourceUnavailable) as caught:
        take(warehouse, orders_source(), Shop("postgresql://me:hunter 2@nowhere/x"))
    assert "hunter" not in str(caught.value)


def test_cursor_that_stands_still_is_told_and_stale(warehouse: Warehouse, shop: Shop) -> None:
    shop.order(1, "2024-06-21 12:00")
    source = orders_source(freshness_days=9)
    assert take(warehouse, source, shop).problems == ()
    for batch in (
        take(warehouse, source, shop, date(2024, 7, 1)),  # nothing new in the window
        take(
            warehouse,
            replace(source, mappings={"sales.orders": ORDERS.replace(";", " where false")}),
            shop,
            date(2024, 7, 1),
        ),
    ):
        [problem] = batch.problems
        assert (problem.is_stale, problem.is_critical) == (True, False)
        assert problem.column == "updated_at"
        assert "the newest updated_at is 2024-06-21 12:00, 10 days older than 2024-07-01" in problem.message


def _killed_in_the_middle(warehouse: Warehouse, run_id: int, shop: Shop) -> None:
    whole = DatabaseRows.copy

    def copy(rows: DatabaseRows, batch_id: int) -> Generator[bytes, None, None]:
        for number, piece in enumerate(whole(rows, batch_id)):
            if number == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            yield piece

    DatabaseRows.copy = copy  # type: ignore[method-assign]
    land(warehouse, run_id, orders_source(_MANY), shop)


_MANY = (
    "select 'O' || i as order_id, 'C' || i % 7 as customer_id, timestamp '2024-01-01' as ordered_at, i as amount,"
    " timestamp '2024-01-01' + i * interval '1 s' as updated_at from generate_series(1, 20000) as i"
)


def test_reader_killed_in_the_middle_leaves_nothing_and_is_repeated(warehouse: Warehouse, shop: Shop) -> None:
    run_id = open_run(warehouse)
    victim = multiprocessing.get_context("fork").Process(target=_killed_in_the_middle, args=(warehouse, run_id, shop))
    victim.start()
    victim.join()
    assert victim.exitcode == -signal.SIGKILL
    assert warehouse.rows("select * from ops.batch") == []
    assert warehouse.rows("select * from landing.sales_orders limit 1") == []
    assert land(warehouse, run_id, orders_source(_MANY), shop)["sales.orders"].rows == 20_000


def _peak_memory(warehouse: Warehouse, shop: Shop, rows: int, told: Any) -> None:
    source = orders_source(_MANY.replace("20000", str(rows)))
    land(warehouse, open_run(warehouse), source, shop)
    told.put(_high_water_mark())


def _high_water_mark() -> int:
    """Most memory of this process so far, in kB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_memory_does_not_grow_with_the_rows(warehouse: Warehouse, shop: Shop) -> None:
    fork, peaks = multiprocessing.get_context("fork"), []
    for rows in (20_000, 300_000):
        told = fork.Queue()
        process = fork.Process(target=_peak_memory, args=(warehouse, shop, rows, told))
        process.start()
        peaks.append(told.get(timeout=120))
        process.join()
    assert peaks[1] - peaks[0] < 10_000, peaks


# The connection

_CONNECTIONS = """
import sys
from early_warning import orchestrate
from early_warning.problems import ConfigurationError
for connection_id in sys.argv[1:]:
    try:
        print("FOUND", orchestrate._dsn(connection_id))
    except ConfigurationError as error:
        print("FOUND", error)
"""


@pytest.mark.slow
def test_connection_of_airflow_becomes_a_connection_string(tmp_path: Path) -> None:
    variables = {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW_CONN_CRM": "postgresql://me:p%40ss%20word@db.example:5433/crm?sslmode=require",
        "AIRFLOW_CONN_MISSPELT": "postgresql://me:hunter2@db.example/crm?sslmod=require",
    }
    command = [sys.executable, "-c", _CONNECTIONS, "crm", "misspelt", "nowhere"]
    answer = subprocess.run(command, env=environment(**variables), capture_output=True, text=True, check=True)
    crm, misspelt, nowhere = (line[6:] for line in answer.stdout.splitlines() if line.startswith("FOUND "))
    assert psycopg.conninfo.conninfo_to_dict(crm) == {
        "host": "db.example",
        "port": "5433",
        "user": "me",
        "password": "p@ss word",
        "dbname": "crm",
        "sslmode": "require",
    }
    assert 'connection misspelt is not for libpq: invalid connection option "sslmod" →' in misspelt
    assert "no connection nowhere" in nowhere
    assert "AIRFLOW_CONN_NOWHERE=postgresql://" in nowhere
    assert "hunter2" not in answer.stdout + answer.stderr


def test_passwords_of_a_home_stand_in_its_credentials_alone(first_day: Home) -> None:
    passwords = json.loads((first_day.folder / "credentials.json").read_text())
    assert {"demo_crm", "demo_crm_reader"} < set(passwords)
    data = first_day.folder / "postgres"
    files = [path for path in first_day.folder.rglob("*") if path.is_file() and not path.is_relative_to(data)]
    assert len(files) > 50
    found = {
        path.name: role
        for path in files
        for role in ("demo_crm", "demo_crm_reader")
        if passwords[role].encode() in path.read_bytes()
    }
    assert set(found) == {"credentials.json"}


# source.yml


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "oracle"}, ["kind", "'files', 'postgres'"]),
        ({"kind": None}, ["kind"]),
        ({"connection": "postgresql://me:secret@host/db"}, ["connection", "match pattern"]),
        ({"path": "x"}, ["path", "not permitted"]),
        ({"data_sets": {"sales.orders": {"mode": "append"}}}, ["data_sets.sales.orders", "append needs cursor:"]),
        ({"data_sets": {"sales.customers": {"mode": "snapshot", "cursor": "updated_at"}}}, ["cursor have no effect"]),
        ({"data_sets": {"sales.orders": APPEND | {"cursor": "changed"}}}, ["'changed'", "use one of ordered_at"]),
        (
            {"data_sets": {"sales.orders": APPEND | {"reconcile": "hourly"}}},
            ["reconcile", "'daily', 'weekly' or 'never'"],
        ),
    ],
)
def test_source_yml_of_a_database_is_checked(tmp_path: Path, change: dict[str, Any], words: list[str]) -> None:
    company = tmp_path / "company"
    shutil.copytree(PROJECT / "company", company)
    file = company / "sources" / "sales" / "source.yml"
    content = yaml.safe_load(file.read_text(encoding="utf-8")) | change
    file.write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not None}))
    with pytest.raises(ConfigurationError) as caught:
        load_company(company)
    told = [str(problem) for problem in caught.value.problems if problem.file == "sources/sales/source.yml"]
    assert any(all(word in line for word in words) for line in told), told
    assert "secret" not in str(caught.value)


def test_kept_overlap_is_an_hour_unless_told_otherwise(warehouse: Warehouse, shop: Shop) -> None:
    shop.order(1, "2024-06-02 12:00")
    take(warehouse, orders_source(), shop)
    for minutes in (59, 61):
        moment = datetime(2024, 6, 2, 12) - timedelta(minutes=minutes)
        shop.order(minutes, moment.isoformat())
    assert versions(warehouse, take(warehouse, orders_source(), shop)) == [("O59", 59, False)]
