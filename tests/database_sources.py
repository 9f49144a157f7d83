"""Small databases to read from, for the tests of the database reader: a shop in the session's PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from early_warning import landing
from early_warning.landing import BatchSummary
from early_warning.settings import DatabaseSource, Source
from early_warning.warehouse import Warehouse

ZONE = ZoneInfo("Asia/Shanghai")
EXTRACTED_AT = datetime(2024, 7, 1, 1, tzinfo=ZONE)
TABLE = """
create table orders (
    order_no text, customer text, placed_at timestamp, net numeric(12, 2), state text, changed_at timestamp
)
"""
ORDERS = (
    "select order_no as order_id, customer as customer_id, placed_at as ordered_at, net as amount,"
    " state as cancelled_by, changed_at as updated_at from orders;"
)
APPEND = {"mode": "append", "cursor": "updated_at"}


@dataclass(frozen=True)
class Shop:
    """A source database; `dsn` is its owner's."""

    dsn: str

    def do(self, *statements: str) -> None:
        with psycopg.connect(self.dsn) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def order(self, number: int, changed: str = "2024-06-01 12:00", **values: Any) -> None:
        """Write an order, or its newer version, at the time `changed`."""
        row = {
            "order_no": f"O{number}",
            "customer": f"C{number % 3}",
            "placed_at": "2024-05-01 10:00",
            "net": number,
            "state": None,
            "changed_at": changed,
        } | values
        with psycopg.connect(self.dsn) as connection:
            connection.execute("delete from orders where order_no = %s", (row["order_no"],))
            connection.execute("insert into orders values (%s, %s, %s, %s, %s, %s)", tuple(row.values()))


def database_source(data_sets: Mapping[str, Mapping[str, Any]], mappings: Mapping[str, str], **settings: Any) -> Source:
    config = DatabaseSource.model_validate(
        {"kind": "postgres", "connection": "shop", "data_sets": data_sets} | settings
    )
    return Source("shop", config, None, ZONE, dict(mappings))


def orders_source(select: str = ORDERS, *, timeout_seconds: int = 60, **delivery: Any) -> Source:
    """A source of sales.orders alone."""
    return database_source(
        {"sales.orders": APPEND | delivery}, {"sales.orders": select}, timeout_seconds=timeout_seconds
    )


def open_run(warehouse: Warehouse, day: date = date(2024, 6, 30)) -> int:
    [row] = _returned(
        warehouse,
        "insert into ops.run (as_of_date, as_of_at, company_time_zone, policy_hash, state, is_backfill)"
        " values (%s, %s, 'Asia/Shanghai', 'sha256:none', 'running', false) returning run_id",
        day,
        datetime(day.year, day.month, day.day, tzinfo=ZONE),
    )
    return int(row)


def _returned(warehouse: Warehouse, statement: str, *parameters: Any) -> Any:
    with warehouse.connect() as connection:
        return connection.execute(statement.encode(), parameters).fetchone()


def land(warehouse: Warehouse, run_id: int, source: Source, shop: Shop) -> dict[str, BatchSummary]:
    found = landing.land(warehouse, run_id, source, currency="CNY", extracted_at=EXTRACTED_AT, dsn=shop.dsn)
    return {batch.data_set: batch for batch in found}


def take(
    warehouse: Warehouse, source: Source, shop: Shop, day: date = date(2024, 6, 30), *, accept: bool = True
) -> BatchSummary:
    """Land a source of one data set in a run of its own, and accept it."""
    run_id = open_run(warehouse, day)
    [batch] = land(warehouse, run_id, source, shop).values()
    if accept:
        landing.accept(warehouse, run_id)
    return batch


def versions(
    warehouse: Warehouse, batch: BatchSummary, columns: str = "order_id, amount::int, _is_deleted"
) -> list[Any]:
    """What a batch brought, by key."""
    rows = warehouse.rows(
        f"select {columns} from landing.sales_orders where _batch_id = %s order by order_id", batch.batch_id or -1
    )
    return [tuple(row.values()) for row in rows]


def current(warehouse: Warehouse) -> list[Any]:
    """The current versions as staging chooses them, those of deleted records left out."""
    rows = warehouse.rows(
        "select order_id, amount::int from (select distinct on (order_id) orders.* from"
        " landing.sales_orders as orders join ops.batch on batch_id = _batch_id and state = 'accepted'"
        " order by order_id, updated_at desc nulls last, _batch_id desc) as newest"
        " where not _is_deleted order by order_id"
    )
    return [tuple(row.values()) for row in rows]
