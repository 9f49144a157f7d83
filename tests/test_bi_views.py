"""What analysts meet: views that stay quick when years lie behind them."""

from __future__ import annotations

import psycopg
import pytest

from early_warning.digest.select import Run, select_digests
from early_warning.embedded.postgres import running_postgres
from early_warning.warehouse import Warehouse
from homes import Home
from judged_by_sql import judge_by_sql, land
from oracle import Moment, read_world
from test_worked_example import EXAMPLE, RUN_DATES, TIME_ZONE


@pytest.mark.slow
def test_bi_views_let_a_filter_reach_the_marts(warehouse: Warehouse) -> None:
    """A CTE that is named twice is read whole, whatever the reader asks for: 200 days took minutes instead of 0.1 s."""
    land(warehouse, read_world(EXAMPLE), TIME_ZONE)
    judge_by_sql(warehouse, Moment.midnight_after(RUN_DATES[-1], TIME_ZONE), TIME_ZONE)
    with psycopg.connect(warehouse.reader_dsn) as reader:
        for view in (
            *("warnings", "indicator_values", "customers", "indicator_associations", "product_quality"),
            "company_health",
        ):
            plan = reader.execute(f"explain select * from bi.{view} where as_of_date = '2025-06-30'").fetchall()
            assert not [line for (line,) in plan if "CTE Scan" in line], view
        reason = reader.execute("select reason from bi.warnings where warning_level is not null limit 1").fetchone()
        assert reason is not None
        assert "：" in reason[0]


@pytest.mark.slow
def test_told_departments_are_those_whose_mails_count_the_warning(home: Home) -> None:
    with running_postgres(home.folder) as warehouse:
        all_told = _counted_by_mails(warehouse)
        assert _counted_by_view(warehouse, "true") == all_told
        assert all_told["product"] > _counted_by_view(warehouse, "department = any(cases.departments)")["product"]
        warehouse.execute(
            "update marts.fct_warning_cases set is_muted = true"
            " where customer_id in (select customer_id from bi.warnings where 'sales' = any(told_departments) limit 3)"
        )
        assert _counted_by_mails(warehouse)["sales"] == all_told["sales"] - 3
        assert _counted_by_view(warehouse, "not warnings.is_muted") == _counted_by_mails(warehouse)


def _counted_by_mails(warehouse: Warehouse) -> dict[str, int]:
    """Warnings that the mail of each department's head counts."""
    [run] = warehouse.rows("select * from ops.run")
    told = Run(
        *(run[name] for name in ("run_id", "as_of_date", "as_of_at", "company_time_zone", "policy_hash")),
        published_at=run["published_at"],
        is_update=False,
    )
    with warehouse.connect() as connection:
        digests = [*select_digests(connection, told)]
    return {digest.department: sum(digest.counts.values()) for digest in digests if digest.department}


def _counted_by_view(warehouse: Warehouse, condition: str) -> dict[str, int]:
    query = (
        "select department, count(*) as n from bi.warnings join bi.cases using (customer_id, case_id)"
        f" cross join unnest(told_departments) as department where {condition} group by department"
    )
    return {row["department"]: row["n"] for row in warehouse.rows(query)}


@pytest.mark.slow
def test_unit_is_that_of_the_figure_told(first_day: Home) -> None:
    """complaint_rate tells a rate, or where only the count warns the complaints, which its measure repeats."""
    query = (
        "select distinct unit, baseline is null and value is not null as is_count, state in ('serious', 'watch')"
        " and value = (measures ->> 'complaints_90d')::numeric as is_repeated"
        " from bi.indicator_values where indicator_code = 'complaint_rate'"
    )
    found = first_day.command("sql", query, "--format", "json").json
    assert {(row["unit"], row["is_count"], row["is_repeated"]) for row in found} == {
        ("complaints", True, True),
        ("complaints_per_order", False, False),
    }
