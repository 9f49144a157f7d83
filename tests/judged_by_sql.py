"""The SQL's judgement of a world, beside the oracle's: land rows, build, publish, read back, compare."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from psycopg import sql

from early_warning import policy as policies
from early_warning import runs, transform
from early_warning.contract import DATA_SETS
from early_warning.warehouse import Connection, Warehouse
from oracle import Batch, Case, Held, Moment, Policy, Run, World, company_health, follow, follow_cases, kpis, settle
from oracle.world import COLUMNS, CREDIT_SCORES, Row

POLICY = Path(__file__).parents[1] / "company" / "policy"


def land(warehouse: Warehouse, world: World, zone: ZoneInfo, policy_folder: Path = POLICY) -> None:
    """Put a world's rows into landing as accepted snapshots, past reader and gates, which have tests of their own."""
    stored = policies.load(policy_folder)
    policies.store(warehouse, stored)
    with warehouse.connect() as connection:
        connection.execute(
            "insert into ops.company (folder, name, time_zone, currency, language)"
            " values ('–', 'test', %s, 'CNY', 'zh-CN')",
            (zone.key,),
        )
        run_id = connection.execute(
            "insert into ops.run (as_of_date, as_of_at, company_time_zone, policy_hash, state, is_backfill)"
            " values ('1900-01-01', '1900-01-02', %s, %s, 'stopped', false) returning run_id",
            (zone.key, stored.policy_hash),
        ).fetchone()[0]
        for name, rows in world.items():
            if name == CREDIT_SCORES:
                _keep_credit_scores(connection, rows)
            else:
                land_batch(connection, run_id, Batch(name, "snapshot", rows))


def _keep_credit_scores(connection: Connection, rows: Sequence[Row]) -> None:
    """Put scores where the platform's own scorecard keeps them: nobody delivers them."""
    columns = COLUMNS[CREDIT_SCORES]
    statement = sql.SQL("copy scores.credit_scores ({}) from stdin").format(
        sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row([row[column] for column in columns])


def land_batch(connection: Connection, run_id: int, batch: Batch, state: str = "accepted") -> int:
    """Put the versions of one batch into landing; returns its id."""
    data_set = DATA_SETS[batch.data_set]
    opened = connection.execute(
        "insert into ops.batch (run_id, source, data_set, mode, state, rows)"
        " values (%s, 'test', %s, %s, %s, %s) returning batch_id",
        (run_id, batch.data_set, batch.mode, state, len(batch.rows)),
    ).fetchone()
    assert opened is not None
    columns = [column.name for column in data_set.columns]
    statement = sql.SQL("copy landing.{} ({}) from stdin").format(
        sql.Identifier(data_set.table), sql.SQL(", ").join(map(sql.Identifier, [*columns, "_batch_id", "_is_deleted"]))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in batch.rows:
            is_deleted = row.get("_is_deleted", False)
            copy.write_row([*(row.get(column) for column in columns), opened[0], is_deleted])
    return int(opened[0])


def changed_policy(folder: Path, table: str = "indicator_parameters", **changes: str) -> Path:
    """Copy the shipped policy, with other serious values (or settings) of `indicator__parameter` (or `parameter`)."""
    if not folder.exists():
        shutil.copytree(POLICY, folder)
    path = folder / f"{table}.csv"
    with path.open(encoding="utf-8", newline="") as lines:
        header, *records = csv.reader(lines)
    value = header.index("serious") if "serious" in header else header.index("value")
    for record in records:
        record[value] = changes.pop("__".join(record[:value]), record[value])
    assert not changes, f"no such parameters: {changes}"
    with path.open("w", encoding="utf-8", newline="") as lines:
        csv.writer(lines, lineterminator="\n").writerows([header, *records])
    return folder


def judge_by_sql(warehouse: Warehouse, moment: Moment, zone: ZoneInfo, stale: Sequence[str] = ()) -> int:
    """Build and publish the run of a moment on what has landed, some of it too old; returns the run id."""
    run_id = open_run_of(warehouse, moment, zone)
    warehouse.execute(
        "update ops.run set through_batch_id = (select max(batch_id) from ops.batch), stale_data_sets = %s"
        " where run_id = %s",
        sorted(stale),
        run_id,
    )
    transform.build(warehouse, run_id)
    runs.publish(warehouse, run_id)
    return run_id


def open_run_of(warehouse: Warehouse, moment: Moment, zone: ZoneInfo) -> int:
    """Open the run of a moment, or go on with it if it is open already; returns its id."""
    stored = warehouse.rows("select policy_hash from policy.policy")[0]["policy_hash"]
    return runs.open_run(warehouse, runs.Moment(moment.as_of_date, moment.cutoff), zone, stored)


def read_run(warehouse: Warehouse, run_id: int) -> dict[str, dict[Any, dict[str, Any]]]:
    """What a run wrote: customers and levels by customer_id, cases and indicators by (customer_id, their code).

    What all customers say together by pair of indicators, by item_kind and item_id, and by segment; what it settles by
    customer and case, or day; the months of those that hold a level by customer_id.
    """
    return {
        "customers": {
            row["customer_id"]: row
            for row in warehouse.rows("select * from marts.dim_customers where run_id = %s", run_id)
        },
        "levels": {
            row["customer_id"]: row
            for row in warehouse.rows("select * from marts.fct_customer_levels where run_id = %s", run_id)
        },
        "cases": {
            (row["customer_id"], row["case_id"]): row
            for row in warehouse.rows("select * from marts.fct_warning_cases where run_id = %s", run_id)
        },
        "indicators": {
            (row["customer_id"], row["indicator_code"]): row
            for row in warehouse.rows("select * from marts.fct_indicator_values where run_id = %s", run_id)
        },
        "associations": {
            (row["indicator_code_a"], row["indicator_code_b"]): row
            for row in warehouse.rows("select * from marts.fct_indicator_associations where run_id = %s", run_id)
        },
        "products": {
            (row["item_kind"], row["item_id"]): row
            for row in warehouse.rows("select * from marts.fct_product_quality where run_id = %s", run_id)
        },
        "health": {
            (row["dimension"], row["segment"]): row
            for row in warehouse.rows("select * from marts.fct_company_health where run_id = %s", run_id)
        },
        "outcomes": {
            (row["customer_id"], row["case_id"]): row
            for row in warehouse.rows("select * from marts.fct_warning_outcomes where run_id = %s", run_id)
        },
        "recoveries": {
            (row["customer_id"], row["case_id"]): row
            for row in warehouse.rows("select * from marts.fct_warning_recoveries where run_id = %s", run_id)
        },
        "lost": {
            (row["customer_id"], row["active_on"]): row
            for row in warehouse.rows("select * from marts.fct_lost_customers where run_id = %s", run_id)
        },
        "trends": {
            row["customer_id"]: row
            for row in warehouse.rows("select * from marts.fct_warning_trends where run_id = %s", run_id)
        },
    }


def chain_differences(warehouse: Warehouse, run_id: int, chain: Sequence[Run], policy: Policy) -> list[str]:
    """Every figure of the last run of a chain that the oracle, which goes through the whole chain, has otherwise."""
    held = follow(chain, policy)
    cases = follow_cases(chain, held, policy)
    settled = settle(chain, held, cases, policy)[-1]
    found = compared(
        read_run(warehouse, run_id),
        {
            "health": _records(company_health(chain, policy)[-1]),
            "outcomes": _records(settled.outcomes),
            "recoveries": _records(settled.recoveries),
            "lost": _records(settled.lost),
        },
    )
    return sorted(differences(warehouse, run_id, chain[-1], held[-1], cases[-1]) + found)


def kpi_differences(warehouse: Warehouse, chain: Sequence[Run], policy: Policy) -> list[str]:
    """Every figure of bi.warning_kpis that the oracle has otherwise, when the last run of a chain is the newest."""
    held = follow(chain, policy)
    cases = follow_cases(chain, held, policy)
    [used] = warehouse.rows("select distinct policy_hash from ops.run where state = 'published'")
    by_sql = {
        (row["month"], row["dimension"], row["value"]): row for row in warehouse.rows("select * from bi.warning_kpis")
    }
    by_oracle = kpis(chain, held, cases, settle(chain, held, cases, policy), used["policy_hash"])
    return compared({"kpis": by_sql}, {"kpis": by_oracle})


def differences(
    warehouse: Warehouse, run_id: int, run: Run, held: Mapping[str, Held], cases: Mapping[Any, Case]
) -> list[str]:
    """Every figure on which the SQL's run and the oracle's run differ, one line each; empty when they agree."""
    by_sql = read_run(warehouse, run_id)
    by_oracle: dict[str, dict[Any, dict[str, Any]]] = {
        "customers": {
            key: _fields(
                customer,
                (
                    *("state", "is_judged", "first_ordered_on", "last_ordered_on", "order_days"),
                    *("usual_gap_days", "revenue_12m_amount", "open_balance_amount"),
                ),
            )
            for key, customer in run.customers.items()
        },
        "levels": {
            key: {
                "raw_level": customer.finding.raw_level,
                "uncapped_level": customer.finding.uncapped_level,
                "rule_codes": list(customer.finding.rule_codes),
                "money_at_risk_amount": customer.money_at_risk_amount,
                "indicator_codes": list(held[key].indicator_codes),
                **_fields(held[key], ("warning_level", "level_since", "peak_level", "change")),
            }
            for key, customer in run.customers.items()
            if customer.is_judged
        },
        "cases": _records(cases),
        "indicators": {
            (key, code): {
                **_fields(
                    result,
                    (
                        *("state", "unknown_reason", "value", "baseline", "threshold", "trend"),
                        *("window_start", "window_end"),
                    ),
                ),
                **{f"measures.{name}": value for name, value in result.measures.items()},
            }
            for key, customer in run.customers.items()
            for code, result in customer.indicators.items()
        },
        "associations": {pair: vars(association) for pair, association in run.associations.items()},
        "products": {item: vars(quality) for item, quality in run.products.items()},
        "trends": _records(
            {key: customer.trend for key, customer in run.customers.items() if key in held and held[key].warning_level}
        ),
    }
    return compared(by_sql, by_oracle)


def compared(by_sql: Mapping[str, Mapping[Any, Any]], by_oracle: Mapping[str, Mapping[Any, Any]]) -> list[str]:
    """Every row that one of the two lacks, and every figure on which they differ, of the tables the oracle has."""
    found = []
    for table, expected in by_oracle.items():
        actual = by_sql[table]
        found += [f"{table} {key}: only the oracle has it" for key in expected.keys() - actual.keys()]
        found += [f"{table} {key}: only the SQL has it" for key in actual.keys() - expected.keys()]
        for key in expected.keys() & actual.keys():
            found += [
                f"{table} {key} {name}: SQL {_of(actual[key], name)!r}, oracle {value!r}"
                for name, value in expected[key].items()
                if not _same(_of(actual[key], name), value)
            ]
    return sorted(found)


def _records(found: Mapping[Any, object]) -> dict[Any, dict[str, Any]]:
    return {
        key: {name: list(value) if isinstance(value, tuple) else value for name, value in vars(each).items()}
        for key, each in found.items()
    }


def _fields(record: object, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(record, name) for name in names}


def _of(row: Mapping[str, Any], name: str) -> Any:
    if name.startswith("measures."):
        return row["measures"].get(name.removeprefix("measures."))
    return row[name]


def _same(actual: Any, expected: Any) -> bool:
    numbers = (Decimal, int, float)
    if isinstance(actual, numbers) and isinstance(expected, numbers):
        return Decimal(str(actual + 0)) == Decimal(str(expected + 0))  # + 0 makes a number of a bool
    return bool(actual == expected)
