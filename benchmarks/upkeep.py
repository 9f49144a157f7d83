"""Four hundred days of a small company with upkeep every week: does the warehouse stay bounded, do builds stay quick?

Days are landed by SQL. Most days' marts are those of the day before under another run, since it is their number that
matters here; around three checkpoints the days are built in earnest, each in a process of its own. The retention is
scaled down, so that all of it has come round twice before the end.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from psycopg import sql

from benchmarks.generate import HISTORY_ENDS, ZONE, add_day, generate
from benchmarks.measure import entered_home, run_json
from early_warning import landing, runs, upkeep
from early_warning.embedded.postgres import remove_postgres, running_postgres
from early_warning.settings import Retention
from early_warning.warehouse import Warehouse, migrate

CUSTOMERS, ORDERS = 500, 50_000
RETENTION = Retention(daily_days=60, month_end_months=4, detail_days=20)
_MIB = 2**20


def simulate(warehouse: Warehouse, days: int) -> dict[str, Any]:
    """Live through the days; returns sizes and costs at day 30, in the middle and at the end."""
    generate(warehouse, CUSTOMERS, ORDERS)
    checkpoints = (30, days // 2, days)
    built = {day - ahead for day in checkpoints for ahead in (0, 1, 2)}  # the first of three catches up
    cpu: dict[int, float] = {}
    sizes: dict[int, dict[str, int]] = {}
    tidied: list[float] = []
    for number in range(1, days + 1):
        day = HISTORY_ENDS + timedelta(days=number)
        add_day(warehouse, day)
        if number == 1 or number in built:
            cpu[number] = run_json("benchmarks.day", day.isoformat())["transform"]["database"]
        else:
            _repeat(warehouse, day)
        _close(warehouse)
        if number % 7 == 0:
            started = time.monotonic()
            upkeep.tidy(warehouse, RETENTION)
            tidied.append(time.monotonic() - started)
        if number in checkpoints:
            sizes[number] = _sizes(warehouse)
    day_cpu = [min(cpu[day], cpu[day - 1]) for day in checkpoints]
    middle, last = (sizes[day] for day in checkpoints[1:])
    rows = warehouse.rows(
        "select sum((what ->> 'rows')::bigint)::bigint as rows, sum((what ->> 'bytes')::bigint)::bigint as bytes"
        " from ops.upkeep cross join lateral jsonb_each(dropped) as tables (name, what)"
    )[0]
    return {
        "figures": {
            "marts_growth": round(last["marts"] / middle["marts"], 3),
            "warehouse_growth": round(sum(last.values()) / sum(middle.values()), 3),
            "build_slowdown": round(day_cpu[2] / day_cpu[0], 3),
            "days": days,
            "dropped_rows": rows["rows"],
            "dropped_mib": round(rows["bytes"] / _MIB, 1),
            "upkeep_seconds": round(median(tidied), 2),
            **{
                f"{schema}_mib_on_day_{day}": round(size / _MIB, 1)
                for day in checkpoints
                for schema, size in sizes[day].items()
            },
            **{
                f"build_cpu_seconds_on_day_{day}": round(seconds, 2)
                for day, seconds in zip(checkpoints, day_cpu, strict=True)
            },
        },
        "notes": f"{CUSTOMERS} customers, {ORDERS:,} orders before the first day; upkeep weekly with"
        f" {RETENTION}; growth: last day against the middle one, slowdown: last day against day 30",
    }


def _repeat(warehouse: Warehouse, day: date) -> None:
    """Publish a day with the rows of the day before."""
    [policy] = warehouse.rows("select policy_hash from policy.policy")
    run_id = runs.open_run(warehouse, runs.Moment.of_day(day, ZONE), ZONE, policy["policy_hash"])
    landing.accept(warehouse, run_id)
    with warehouse.connect() as connection:
        tables = connection.execute(
            "select table_name, array_agg(column_name::text order by ordinal_position) from information_schema.columns"
            " join information_schema.tables using (table_schema, table_name)"
            " where table_schema = 'marts' and table_type = 'BASE TABLE' group by 1"
        ).fetchall()
        for table, columns in tables:
            anew = {"run_id": sql.Literal(run_id), "as_of_date": sql.Literal(day)}
            connection.execute(
                sql.SQL("insert into {table} ({names}) select {values} from {table} where run_id = %s").format(
                    table=sql.Identifier("marts", table),
                    names=sql.SQL(", ").join(map(sql.Identifier, columns)),
                    values=sql.SQL(", ").join(anew.get(name, sql.Identifier(name)) for name in columns),
                ),
                (run_id - 1,),
            )
    runs.publish(warehouse, run_id)


def _close(warehouse: Warehouse) -> None:
    """Let the newest run be over, opened on its day, and the day's batches be its own: ages are counted by runs."""
    warehouse.execute(
        "update ops.run set opened_at = as_of_at, finished_at = as_of_at"
        " where run_id = (select max(run_id) from ops.run)"
    )
    warehouse.execute(
        "update ops.batch set run_id = (select max(run_id) from ops.run)"
        " where run_id = (select run_id from benchmark.company)"
        " and batch_id > (select min(batch_id) + 5 from ops.batch)"  # the first batch of each data set is history
    )


def _sizes(warehouse: Warehouse) -> dict[str, int]:
    """Bytes on disk by schema."""
    return {
        row["schema"]: int(row["bytes"])
        for row in warehouse.rows(
            "select schemaname as schema, sum(pg_total_relation_size(format('%I.%I', schemaname, tablename)::regclass))"
            " as bytes from pg_tables where schemaname in ('landing', 'staging', 'intermediate', 'marts', 'ops')"
            " group by 1 order by 1"
        )
    }


def main() -> None:
    """Simulate, and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.upkeep", description=main.__doc__)
    parser.add_argument("--days", type=int, default=400, help="at least 50")
    days = parser.parse_args().days
    with tempfile.TemporaryDirectory(prefix="early-warning-upkeep-") as folder, entered_home(Path(folder)) as home:
        try:
            with running_postgres(home) as warehouse:
                migrate(warehouse)
                json.dump(simulate(warehouse, days), sys.stdout)
        finally:
            remove_postgres(home)


if __name__ == "__main__":
    main()
