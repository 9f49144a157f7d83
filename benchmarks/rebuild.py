"""Everything derived anew: the platform's own full rebuild beside DuckDB's and polars' of the same landing tables."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import date
from importlib.util import find_spec
from pathlib import Path

import duckdb
from psycopg import sql

from benchmarks.measure import run_json
from early_warning.contract import DATA_SETS
from early_warning.warehouse import Warehouse

_DUCKDB_TYPES = {"text": "varchar", "numeric": "decimal(18, 4)"}  # the others are called the same


def measure(warehouse: Warehouse, day: date, data_sets: Sequence[str]) -> dict[str, float]:
    """Rebuild the newest run's day in PostgreSQL, DuckDB and polars.

    The other two do what the platform's models in staging/ and intermediate/ do and the sums of its indicators; the
    platform's whole rebuild also tests, judges, words and stores every customer. Figures are CPU-seconds and ratios to
    the whole rebuild and to the comparable part of it.
    """
    part = run_json("benchmarks.day", day.isoformat(), "--staging-only", "--from-scratch")
    whole = run_json("benchmarks.day", day.isoformat(), "--from-scratch")
    staging, everything = part["transform"]["database"], whole["transform"]["database"]
    figures = {"rebuild.cpu_seconds": everything, "rebuild.staging_cpu_seconds": staging}
    ours = totals(warehouse, whole["run_id"])
    with tempfile.TemporaryDirectory() as folder:
        export(warehouse, Path(folder), data_sets)
        for engine in ("duckdb", "polars"):
            if find_spec(engine) is None:  # polars comes with `make bench`, not with the platform
                continue
            theirs = run_json(f"benchmarks.rebuild_{engine}", folder, day.isoformat())
            figures |= {
                f"rebuild.{engine}.cpu_seconds": theirs["cpu_seconds"],
                f"rebuild.{engine}.ratio": everything / theirs["cpu_seconds"],
                f"rebuild.{engine}.staging_ratio": staging / theirs["cpu_seconds"],
                f"rebuild.{engine}.differences": sum(
                    round(theirs["totals"][name] - ours[name], 2) != 0 for name in ours
                ),
            }
    return figures


def export(warehouse: Warehouse, folder: Path, data_sets: Sequence[str]) -> None:
    """Write the landing tables of these data sets to <table>.parquet."""
    with warehouse.connect() as connection, duckdb.connect() as engine:
        for data_set in (DATA_SETS[name] for name in data_sets):
            types = {column.name: _DUCKDB_TYPES.get(column.sql_type, column.sql_type) for column in data_set.columns}
            types |= {"_batch_id": "bigint", "_is_deleted": "boolean"}
            statement = sql.SQL("copy (select {} from landing.{}) to stdout (format csv)").format(
                sql.SQL(", ").join(map(sql.Identifier, types)), sql.Identifier(data_set.table)
            )
            rows = folder / f"{data_set.table}.csv"
            with rows.open("wb") as file, connection.cursor().copy(statement) as copy:
                for piece in copy:
                    file.write(piece)
            engine.read_csv(str(rows), header=False, columns=types).write_parquet(
                str(folder / f"{data_set.table}.parquet"), compression="zstd"
            )
            rows.unlink()


def totals(warehouse: Warehouse, run_id: int) -> dict[str, float]:
    """Add up the customer-month cells and what a run says of its customers, as the other engines' scripts do."""
    [cells] = warehouse.rows(
        "select table_name from information_schema.columns"
        " join information_schema.tables using (table_schema, table_name)"
        " where table_schema = 'intermediate' and table_type = 'BASE TABLE'"
        " and column_name in ('month', 'order_count', 'order_amount', 'order_days', 'complaint_count')"
        " group by table_name having count(*) = 5"
    )
    with warehouse.connect() as connection:
        cursor = connection.execute(
            sql.SQL(
                "select count(*) filter (where order_count > 0 or complaint_count > 0) as cells,"
                " sum(order_count) as order_count, sum(order_amount) as order_amount,"
                " sum(order_days) as order_days, sum(complaint_count) as complaint_count,"
                " (select sum(revenue_12m_amount) from marts.dim_customers where run_id = %(run_id)s)"
                " as revenue_12m_amount,"
                " (select sum(open_balance_amount) from marts.dim_customers where run_id = %(run_id)s)"
                " as open_balance_amount"
                " from intermediate.{}"
            ).format(sql.Identifier(cells["table_name"])),
            {"run_id": run_id},
        )
        names = [column.name for column in cursor.description or ()]
        return {name: float(total) for name, total in zip(names, cursor.fetchone() or (), strict=True)}
