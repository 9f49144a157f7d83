"""What a day costs (of the database, dbt, the gates; with more history), and days of the past judged once more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from psycopg import sql

from benchmarks import rebuild
from benchmarks.generate import HISTORY_ENDS, WHOLE_HISTORY_MONTHS, add_day, generate
from benchmarks.measure import Cost, entered_home, measured, run_json
from early_warning.contract import DATA_SETS
from early_warning.embedded.postgres import remove_postgres, running_postgres
from early_warning.warehouse import Warehouse, migrate

_ORDINARY, _ROLL = (HISTORY_ENDS + timedelta(days=n) for n in (2, 3))
_AFTERWARDS = [_ROLL + timedelta(days=n) for n in (1, 2, 3)]


def measure(folder: Path, customers: int, orders: int) -> Iterator[dict[str, float]]:
    """Judge days of a company with 36 months of history and of the same one with 3; yields figures as they come."""
    with _company(folder / "whole", customers, orders, WHOLE_HISTORY_MONTHS) as (warehouse, landed):
        yield {f"size.{name}_rows": rows for name, rows in landed.items()}
        add_day(warehouse, HISTORY_ENDS + timedelta(days=1))
        _judge(HISTORY_ENDS + timedelta(days=1))
        for name, day in (("ordinary", _ORDINARY), ("roll", _ROLL)):
            add_day(warehouse, day)
            scan = scan_cpu(warehouse, landed)
            yield day_figures(name, scan, _judge(day))
        whole = _staging_cost(warehouse)
        yield {f"staging.{name}": value for name, value in whole.items()}
        yield gate_figures(warehouse)
        rebuilt = rebuild.measure(warehouse, _AFTERWARDS[-1], [*landed])
        yield rebuilt
        yield backtest_figures(run_json("benchmarks.backtest", "24"), rebuilt["rebuild.cpu_seconds"])
    with _company(folder / "twelfth", customers, orders, WHOLE_HISTORY_MONTHS // 12) as (warehouse, fewer):
        for number in (1, 2, 3):
            add_day(warehouse, HISTORY_ENDS + timedelta(days=number))
        _judge(_ROLL)
        twelfth = _staging_cost(warehouse)
        yield {f"staging.twelfth_{name}": value for name, value in twelfth.items()} | {
            "staging.history_ratio": landed["sales.orders"] / fewer["sales.orders"],
            "staging.ratio": whole["cpu_seconds"] / twelfth["cpu_seconds"],
        }


def scan_cpu(warehouse: Warehouse, data_sets: Mapping[str, int]) -> float:
    """CPU-seconds of reading every landing table once, one after the other and in one process.

    A scan counts the rows and adds up the table's first numeric column. The second of two is taken: the first may find
    the pages on disk.
    """
    for _ in range(2):
        with measured(warehouse) as cost, warehouse.connect() as connection:
            connection.execute("set local max_parallel_workers_per_gather = 0")
            connection.execute("set local jit = off")
            for data_set in (DATA_SETS[name] for name in data_sets):
                numbers = [column.name for column in data_set.columns if column.sql_type == "numeric"]
                what = sql.SQL("sum({})").format(sql.Identifier(numbers[0])) if numbers else sql.SQL("null")
                table = sql.Identifier("landing", data_set.table)
                connection.execute(sql.SQL("select count(*), {} from {}").format(what, table))
    return cost.database


def day_figures(name: str, scan: float, judged: Mapping[str, Any]) -> dict[str, float]:
    """Figures of a judged day, e.g. day.ordinary.scans: the database's CPU-seconds in scans of the raw tables."""
    parts = {part: Cost(**judged[part]) for part in ("transform", "gate_marts", "publish")}
    database = sum(cost.database for cost in parts.values())
    figures = {
        f"day.{name}.scan_cpu_seconds": scan,
        f"day.{name}.cpu_seconds": database,
        f"day.{name}.scans": database / scan,
        f"day.{name}.dbt_cpu_seconds": parts["transform"].client,
        f"day.{name}.dbt_invocations": judged["invocations"],
        f"day.{name}.dbt_parses": judged["parses"],
    }
    figures |= {f"day.{name}.{part}_cpu_seconds": cost.database for part, cost in parts.items()}
    figures |= {f"day.{name}.{part}_wall_seconds": cost.wall for part, cost in parts.items()}
    return figures | {
        f"day.{name}.{folder}_node_seconds": seconds for folder, seconds in judged["node_seconds"].items()
    }


def gate_figures(warehouse: Warehouse) -> dict[str, float]:
    """The orders' suite on the newest batch and on the first one, which is as good as the whole table."""
    from early_warning.quality import gates
    from early_warning.quality.examiner import examiner
    from early_warning.quality.subject import Subject

    batches = warehouse.rows("select batch_id from ops.batch where data_set = 'sales.orders' order by batch_id")
    figures = {}
    with examiner(warehouse) as opened:
        for name, batch in (("warm-up", batches[-1]), ("batch", batches[-1]), ("table", batches[0])):
            subject = Subject(
                suite=gates.EXPECTATIONS / "landing" / "sales.orders.json",
                query=f"select * from landing.sales_orders where _batch_id = {batch['batch_id']:d}",
            )
            with measured(warehouse) as cost:
                findings = opened.examine(subject)
            unmet = [finding.message for finding in findings if finding.is_critical and not finding.is_met]
            if unmet:
                raise RuntimeError("\n".join(unmet))
            figures[f"gate.{name}_cpu_seconds"] = cost.database + cost.client
    del figures["gate.warm-up_cpu_seconds"]
    return figures | {"gate.ratio": figures["gate.table_cpu_seconds"] / figures["gate.batch_cpu_seconds"]}


def backtest_figures(judged: Mapping[str, float], rebuild_cpu_seconds: float) -> dict[str, float]:
    """What judging past month ends costs, also in full rebuilds of the same company."""
    return {
        "backtest.dates": judged["dates"],
        "backtest.cpu_seconds": judged["database"],
        "backtest.client_cpu_seconds": judged["client"],
        "backtest.wall_seconds": judged["wall"],
        "backtest.rebuilds": judged["database"] / rebuild_cpu_seconds,
    }


@contextmanager
def _company(home: Path, customers: int, orders: int, months: int) -> Iterator[tuple[Warehouse, dict[str, int]]]:
    """A warehouse with a company's history, its last day judged; deleted at the end."""
    try:
        with entered_home(home), running_postgres(home) as warehouse:
            migrate(warehouse)
            landed = generate(warehouse, customers, orders, months)
            _judge(HISTORY_ENDS)
            _settle(warehouse)
            yield warehouse, landed
    finally:
        remove_postgres(home)


def _settle(warehouse: Warehouse) -> None:
    """Do what autovacuum does in time, so that no day pays for the history."""
    [tables] = warehouse.rows(
        "select string_agg(oid::regclass::text, ', ') as names from pg_class where relkind = 'r'"
        " and relnamespace::regnamespace::text not in ('pg_catalog', 'information_schema')"
        " and not coalesce(reloptions, '{}') @> array['autovacuum_enabled=false']"
    )
    with warehouse.connect(autocommit=True) as connection:
        connection.execute("vacuum (analyze) " + tables["names"])


def _judge(day: date) -> dict[str, Any]:
    return run_json("benchmarks.day", day.isoformat())


def _staging_cost(warehouse: Warehouse) -> dict[str, float]:
    """Staging and cells of an ordinary day, the middle one of three: database CPU, and what dbt waited for."""
    costs = []
    for day in _AFTERWARDS:
        add_day(warehouse, day)
        staged = run_json("benchmarks.day", day.isoformat(), "--staging-only")
        costs.append((staged["transform"]["database"], sum(staged["node_seconds"].values())))
    cpu, nodes = sorted(costs)[1]
    return {"cpu_seconds": cpu, "node_seconds": nodes}
