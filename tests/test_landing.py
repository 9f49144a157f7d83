"""Landing: batches, versions, quarantine, and what is left of them when a run is repeated, turned away or cut off."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import make_conninfo

from early_warning import landing
from early_warning.extract.mapping import MappedRows
from early_warning.settings import Source
from early_warning.warehouse import Warehouse, migrate
from file_sources import CUSTOMER_SELECT, EXTRACTED_AT, ORDER_COLUMNS, ORDER_SELECT, ORDERS, file_source, order, write


def open_run(warehouse: Warehouse, day: int = 30) -> int:
    as_of_date = date(2024, 6, day)
    run = warehouse.rows(
        "insert into ops.run (as_of_date, as_of_at, company_time_zone, policy_hash, state, is_backfill)"
        " values (%s, %s, 'Asia/Shanghai', 'sha256:0', 'running', false) returning run_id",
        as_of_date,
        datetime(2024, 6, day, 16, tzinfo=UTC),
    )
    return int(run[0]["run_id"])


def land(warehouse: Warehouse, run_id: int, source: Source) -> dict[str, landing.BatchSummary]:
    batches = landing.land(warehouse, run_id, source, currency="CNY", extracted_at=EXTRACTED_AT)
    return {batch.data_set: batch for batch in batches}


def sales(path: Path, *, mode: str = "append") -> Source:
    """Customers as a snapshot and orders in daily files."""
    return file_source(
        path,
        {
            "customers": {"files": "customers.csv", "columns": {"id": "text", "name": "text"}},
            "orders": {"files": "orders-*.csv", "file_date": "orders-%Y-%m-%d.csv", "columns": ORDER_COLUMNS},
        },
        {
            "sales.customers": {"mode": "snapshot"},
            "sales.orders": {"mode": mode, "freshness_days": 5, "max_quarantine_share": 0.5},
        },
        {"sales.customers": CUSTOMER_SELECT, "sales.orders": ORDER_SELECT},
    )


def deliver(path: Path, day: int, *lines: str) -> Path:
    if not (path / "customers.csv").exists():
        write(path / "customers.csv", ["id,name", "C0,Ames", "C1,Bohr", "C2,Curie"])
    return write(path / f"orders-2024-06-{day}.csv", [ORDERS, *lines])


def orders(warehouse: Warehouse) -> list[dict[str, Any]]:
    return warehouse.rows(
        "select order_id, amount::text, _batch_id, _source_file, _source_row from landing.sales_orders"
        " order by order_id, _batch_id"
    )


def contents(warehouse: Warehouse) -> dict[str, list[str]]:
    """Everything landing wrote, without the ids that a repetition gives anew."""
    queries = {
        "orders": "select customer_id, order_id, ordered_at, amount, _source_row from landing.sales_orders",
        "customers": "select customer_id, name from landing.sales_customers",
        "batches": "select run_id, source, data_set, mode, state, rows, quarantined, previous_rows from ops.batch",
        "deliveries": "select source, table_name, file, sha256 from ops.delivery",
        "quarantine": "select data_set, source_file, source_row, reason from ops.quarantine",
        "problems": "select data_set, file, message, is_critical from ops.problem",
    }
    return {
        name: sorted(map(str, (tuple(row.values()) for row in warehouse.rows(query))))
        for name, query in queries.items()
    }


def test_a_source_lands_with_its_ledgers(warehouse: Warehouse, tmp_path: Path) -> None:
    deliver(tmp_path, 30, order(1), order(2, net="much"), order(3, placed_at="2024-06-30 23:59:59"))
    run_id = open_run(warehouse)
    batches = land(warehouse, run_id, sales(tmp_path))
    batch = batches["sales.orders"]
    assert (batch.rows, batch.quarantined, batches["sales.customers"].rows) == (2, 1, 3)
    assert [(row["order_id"], row["_source_row"], row["_batch_id"]) for row in orders(warehouse)] == [
        ("O1", 2, batch.batch_id),
        ("O3", 4, batch.batch_id),
    ]
    stored = warehouse.rows("select * from ops.batch where batch_id = %s", batch.batch_id)[0]
    assert (stored["state"], stored["rows"], stored["quarantined"]) == ("landed", 2, 1)
    assert (stored["newest_file_date"], stored["previous_rows"], stored["mode"]) == (date(2024, 6, 30), None, "append")
    bad = warehouse.rows("select * from ops.quarantine")[0]
    assert (bad["source"], bad["data_set"], bad["source_file"]) == ("sales", "sales.orders", "orders-2024-06-30.csv")
    assert (bad["source_row"], bad["column_name"], bad["row_data"]["net"]) == (3, "net", "much")
    assert "is not a number: 'much'" in bad["reason"]
    delivery = warehouse.rows("select * from ops.delivery where batch_id = %s", batch.batch_id)[0]
    assert (delivery["table_name"], delivery["file"]) == ("orders", "orders-2024-06-30.csv")
    moments = warehouse.rows("select ordered_at from landing.sales_orders where order_id = 'O3'")
    assert moments[0]["ordered_at"] == datetime(2024, 6, 30, 15, 59, 59, tzinfo=UTC)


def test_landing_twice_leaves_what_landing_once_leaves(warehouse: Warehouse, tmp_path: Path) -> None:
    deliver(tmp_path, 30, order(1), order(2, net="much"), order(7, customer="C9"))
    run_id, source = open_run(warehouse), sales(tmp_path)
    land(warehouse, run_id, source)
    landing.find_orphans(warehouse, run_id)
    once = contents(warehouse)
    land(warehouse, run_id, source)
    landing.find_orphans(warehouse, run_id)
    assert contents(warehouse) == once
    landing.accept(warehouse, run_id)
    accepted = contents(warehouse)
    assert all(batch.batch_id is None for batch in land(warehouse, run_id, source).values())
    assert contents(warehouse) == accepted


def test_every_day_brings_its_file(warehouse: Warehouse, tmp_path: Path) -> None:
    source = sales(tmp_path)
    for day in (27, 28, 30):
        deliver(tmp_path, day, order(day))
    for day in (27, 28, 29, 30):
        run_id = open_run(warehouse, day)
        batch = land(warehouse, run_id, source)["sales.orders"]
        assert (batch.batch_id is None, batch.rows) == ((True, 0) if day == 29 else (False, 1))
        landing.accept(warehouse, run_id)
    assert [row["order_id"] for row in orders(warehouse)] == ["O27", "O28", "O30"]
    assert warehouse.rows("select count(*) from ops.batch where data_set = 'sales.customers'")[0]["count"] == 1
    assert warehouse.rows("select max(previous_rows) from ops.batch where data_set = 'sales.orders'")[0]["max"] == 1


def test_a_correction_arrives_as_a_new_version(warehouse: Warehouse, tmp_path: Path) -> None:
    source = sales(tmp_path)
    deliver(tmp_path, 29, order(1), order(2))
    first = open_run(warehouse, 29)
    land(warehouse, first, source)
    landing.accept(warehouse, first)
    deliver(tmp_path, 29, order(1, net="9.99"), order(2))
    deliver(tmp_path, 30, order(2, net="8.88"))
    second = open_run(warehouse, 30)
    land(warehouse, second, source)
    assert [(row["order_id"], row["amount"], row["_source_file"][-6:-4]) for row in orders(warehouse)] == [
        ("O1", "1.5", "29"),
        ("O1", "9.99", "29"),
        ("O2", "2.5", "29"),
        ("O2", "8.88", "30"),
    ]


def test_a_rejected_batch_counts_as_unread(warehouse: Warehouse, tmp_path: Path) -> None:
    source = sales(tmp_path)
    deliver(tmp_path, 30, order(1))
    first = open_run(warehouse)
    land(warehouse, first, source)
    assert landing.reject(warehouse, first) == 2
    second = open_run(warehouse)
    again = land(warehouse, second, source)
    assert again["sales.orders"].rows == 1
    assert landing.accept(warehouse, second) == 2
    states = warehouse.rows("select run_id, state from ops.batch where data_set = 'sales.orders' order by batch_id")
    assert [(row["run_id"], row["state"]) for row in states] == [(first, "rejected"), (second, "accepted")]
    third = open_run(warehouse)
    assert land(warehouse, third, source)["sales.orders"].batch_id is None


def test_a_crash_leaves_whole_batches_or_nothing(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(tmp_path, 30, order(1), order(2))
    run_id, source = open_run(warehouse), sales(tmp_path)
    whole = MappedRows.copy

    def broken(rows: MappedRows, batch_id: int) -> Iterator[bytes]:
        for piece in whole(rows, batch_id):
            yield piece
            if rows.data_set.name == "sales.orders":
                raise ConnectionError("the machine is gone")

    with monkeypatch.context() as patched:
        patched.setattr(MappedRows, "copy", broken)
        with pytest.raises(ConnectionError):
            land(warehouse, run_id, source)
    assert [row["state"] for row in warehouse.rows("select state from ops.batch")] == ["landed"]
    assert orders(warehouse) == []
    land(warehouse, run_id, source)
    assert [row["order_id"] for row in orders(warehouse)] == ["O1", "O2"]
    assert warehouse.rows("select count(*) from landing.sales_customers")[0]["count"] == 3


def test_a_delivery_that_cannot_be_read_is_stored_as_a_problem(warehouse: Warehouse, tmp_path: Path) -> None:
    deliver(tmp_path, 20, order(1))
    (tmp_path / "customers.csv").write_bytes(b"")
    run_id = open_run(warehouse)
    batches = land(warehouse, run_id, sales(tmp_path))
    assert batches["sales.orders"].rows == 1
    problems = warehouse.rows("select * from ops.problem order by data_set")
    assert [(row["data_set"], row["file"], row["is_critical"]) for row in problems] == [
        ("sales.customers", "customers.csv", True),
        ("sales.orders", "orders-2024-06-20.csv", False),  # stale
    ]
    assert problems[0]["message"] == "the file is empty (0 bytes)"
    assert "10 days older" in problems[1]["message"]
    assert all(row["remedy"] and row["source"] == "sales" and row["run_id"] == run_id for row in problems)


def test_run_knows_its_stale_data_sets_until_it_reads_newer_ones(warehouse: Warehouse, tmp_path: Path) -> None:
    deliver(tmp_path, 20, order(1))
    run_id = open_run(warehouse)
    for _ in range(2):
        land(warehouse, run_id, sales(tmp_path))
        assert warehouse.rows("select stale_data_sets from ops.run") == [{"stale_data_sets": ["sales.orders"]}]
    deliver(tmp_path, 25, order(2))
    land(warehouse, run_id, sales(tmp_path))
    assert warehouse.rows("select stale_data_sets from ops.run") == [{"stale_data_sets": []}]


def test_orphans_are_found_after_all_sources_have_landed(warehouse: Warehouse, tmp_path: Path) -> None:
    deliver(tmp_path, 30, order(1), order(2, customer="C9"), order(3, customer="C8"))
    write(tmp_path / "tickets.csv", ["id,customer", "T1,C9", "T2,C0"])
    service = file_source(
        tmp_path,
        {"tickets": {"files": "tickets.csv", "columns": {"id": "text", "customer": "text"}}},
        {"service.tickets": {"mode": "snapshot"}},
        {
            "service.tickets": "select id as ticket_id, customer as customer_id, 'inquiry' as kind,"
            " date '2024-05-01' as opened_at, _file, _row from tickets"
        },
        name="service",
    )
    run_id = open_run(warehouse)
    ticket_batch = land(warehouse, run_id, service)["service.tickets"].batch_id
    order_batch = land(warehouse, run_id, sales(tmp_path))["sales.orders"].batch_id
    for _ in range(2):  # a gate may be tried again
        assert landing.find_orphans(warehouse, run_id) == 3
        found = warehouse.rows("select * from ops.quarantine order by source, source_row")
        assert [(row["data_set"], row["source_file"], row["source_row"], row["column_name"]) for row in found] == [
            ("sales.orders", "orders-2024-06-30.csv", 3, "customer_id"),
            ("sales.orders", "orders-2024-06-30.csv", 4, "customer_id"),
            ("service.tickets", "tickets.csv", 2, "customer_id"),
        ]
        assert "not in sales.customers" in found[0]["reason"]
        assert "deliver the customer" in found[0]["remedy"]
        assert found[0]["row_data"]["customer_id"] == "C9"
        counts = warehouse.rows("select batch_id, rows, orphans from ops.batch where orphans > 0")
        assert {row["batch_id"]: (row["rows"], row["orphans"]) for row in counts} == {
            order_batch: (3, 2),
            ticket_batch: (2, 1),
        }
    assert len(orders(warehouse)) == 3, "an orphan stays in landing until its customer comes"
    landing.accept(warehouse, run_id)
    write(tmp_path / "customers.csv", ["id,name", *(f"C{number},Name" for number in range(10))])
    deliver(tmp_path, 30, order(1), order(2, customer="C9"))
    land(warehouse, second := open_run(warehouse), sales(tmp_path))
    assert landing.find_orphans(warehouse, second) == 0


def test_a_customer_of_an_older_snapshot_is_not_known_any_more(warehouse: Warehouse, tmp_path: Path) -> None:
    deliver(tmp_path, 29, order(1))
    first = open_run(warehouse, 29)
    land(warehouse, first, sales(tmp_path))
    landing.accept(warehouse, first)
    write(tmp_path / "customers.csv", ["id,name", "C0,Ames", "C2,Curie"])
    deliver(tmp_path, 30, order(4), order(5))
    second = open_run(warehouse, 30)
    land(warehouse, second, sales(tmp_path))
    assert landing.find_orphans(warehouse, second) == 1


def test_a_batch_of_another_run_is_left_alone(warehouse: Warehouse, tmp_path: Path) -> None:
    deliver(tmp_path, 30, order(1))
    dead, alive = open_run(warehouse), open_run(warehouse)
    land(warehouse, dead, sales(tmp_path))
    land(warehouse, alive, sales(tmp_path))
    assert landing.accept(warehouse, alive) == 2
    states = warehouse.rows("select run_id, state from ops.batch order by batch_id")
    assert [(row["run_id"], row["state"]) for row in states] == [(dead, "landed")] * 2 + [(alive, "accepted")] * 2


def test_text_of_any_kind_lands_as_it_is(warehouse: Warehouse, tmp_path: Path) -> None:
    names = [
        'a "quoted", name',
        "two\nlines",
        "a\n\\.\nb",
        "\\.",
        "\\N",
        " spaces ",
        "客户; drop table",
        "tab\there",
        "'",
    ]
    quoted = (name.replace('"', '""') for name in names)
    lines = ["id,name", *(f'C{number},"{name}"' for number, name in enumerate(quoted))]
    write(tmp_path / "customers.csv", lines)
    deliver(tmp_path, 30, order(1))
    land(warehouse, open_run(warehouse), sales(tmp_path))
    found = warehouse.rows("select name from landing.sales_customers order by customer_id")
    assert [row["name"] for row in found] == names


def test_command_beside_a_landing_does_not_wait_for_it(warehouse: Warehouse) -> None:
    impatient = Warehouse(make_conninfo(warehouse.dsn, options="-c lock_timeout=1s"), warehouse.reader_dsn)
    with warehouse.connect() as at_work:
        at_work.execute("lock table landing.sales_orders, ops.batch, ops.run in row exclusive mode")
        migrate(impatient)  # what every command does first
