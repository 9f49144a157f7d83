"""Everything derived anew: the platform's own full rebuild beside DuckDB's and polars' of the same landing tables."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from datetime import date
from importlib.util import find_spec
from math import nan
from pathlib import Path

import duckdb
from psycopg import sql

from benchmarks.measure import run_json
from early_warning.contract import DATA_SETS
from early_warning.warehouse import Warehouse

_DUCKDB_TYPES = {"text": "varchar", "numeric": "decimal(18, 4)"}  # the others are called the same


def measure(warehouse: Warehouse, day: date, data_sets: Sequence[str]) -> dict[str, float]:
    """Rebuild the newest run's day in PostgreSQL, DuckDB and polars.

    The other two do what the platform's models in staging/ and intermediate/ do and the figures of its indicators; the
    platform's whole rebuild also tests, judges, words and stores every customer. Figures are CPU-seconds, and ratios of
    the whole to theirs.
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
                f"rebuild.{engine}.differences": len(differing(theirs["totals"], ours)),
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


_CELLS = """
select
    count(*) as cells,
    sum(order_count) as "cells.order_count",
    sum(order_amount) as "cells.order_amount",
    sum(order_days) as "cells.order_days",
    sum(cancelled_count) as "cells.cancelled_count",
    sum(interaction_count) as "cells.interaction_count",
    sum(web_visit_count) as "cells.web_visit_count",
    sum(return_count) as "cells.return_count",
    sum(complaint_count) as "cells.complaint_count",
    sum(negative_feedback_count) as "cells.negative_feedback_count"
from intermediate.int_customer_cells
"""

_CUSTOMERS = """
select
    count(*) filter (where state = 'active') as active_customers,
    count(*) filter (where is_judged) as judged_customers,
    sum(revenue_12m_amount) as revenue_12m_amount,
    sum(open_balance_amount) as open_balance_amount
from marts.dim_customers
where run_id = %(run_id)s
"""

# As they are before they are published: which figure is told then depends on the state.
_COMPLAINT_RATES = """
select sum(serious_rate) as complaint_rate, sum(baseline_rate) as complaint_rate_baseline
from intermediate.int_complaint_rates
join marts.dim_customers using (customer_id)
where run_id = %(run_id)s and state = 'active'
"""

# A measure that two indicators tell stands there twice, with the same sum.
_FIGURES = """
select name, sum(figure) as total
from marts.fct_indicator_values
cross join lateral (
    select indicator_code as name, value as figure where indicator_code <> 'complaint_rate'
    union all
    select indicator_code || '_baseline', baseline where indicator_code <> 'complaint_rate'
    union all
    select key, value::numeric from jsonb_each_text(measures)
    where key <> indicator_code and key <> 'least_feedback' -- a limit of the policy's, which nobody computes
) as figures
where run_id = %(run_id)s
group by indicator_code, name
having count(figure) > 0
"""


def totals(warehouse: Warehouse, run_id: int) -> dict[str, float]:
    """Add up the customer-month cells and every figure that a run publishes, by the name the other engines give it."""
    added = [warehouse.rows(query, run_id=run_id)[0] for query in (_CELLS, _CUSTOMERS, _COMPLAINT_RATES)]
    added += [{row["name"]: row["total"]} for row in warehouse.rows(_FIGURES, run_id=run_id)]
    return {name: float(total) for part in added for name, total in part.items()}


def differing(theirs: Mapping[str, float], ours: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Theirs and ours of the sums that are not the same.

    Each customer's part of ours is rounded to six decimals, and many are rounded the same way: a third, a twelfth.
    """
    rounded_away = ours["judged_customers"] * 0.5e-6
    return {
        name: (theirs.get(name, nan), total)
        for name, total in ours.items()
        if not abs(theirs.get(name, nan) - total) <= rounded_away + abs(total) * 1e-12
    }
