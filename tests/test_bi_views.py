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
    run_id = judge_by_sql(warehouse, Moment.midnight_after(RUN_DATES[-1], TIME_ZONE), TIME_ZONE)
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
    _see_what_a_policy_came_to(warehouse, run_id)


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


_CHANGE = """
insert into ops.policy_change (
    run_id, as_of_date, policy_hash, previous_hash, previous_run_id, changed_by, differences, expected
)
select run_id, as_of_date, policy_hash, '–', run_id, 'Li Na', '[]',
    '{"basis": "back-test", "precision": {"after": 0.6, "low": -0.1}}'
from ops.run where run_id = %s
"""
_LATER_RUN = """
insert into ops.run (as_of_date, as_of_at, company_time_zone, policy_hash, state, is_backfill)
select as_of_date + %s, as_of_at, company_time_zone, 'another', 'published', false from ops.run where run_id = %s
returning run_id, as_of_date
"""
_LATER_CUSTOMER = """
insert into marts.dim_customers
select (
    jsonb_populate_record(
        null::marts.dim_customers,
        to_jsonb(customers) || jsonb_build_object('run_id', %s::bigint, 'last_ordered_on', %s::date)
    )
).*
from marts.dim_customers as customers where run_id = %s and customer_id = %s
"""


def _see_what_a_policy_came_to(warehouse: Warehouse, run_id: int) -> None:
    """Of those warned under a new policy one orders within 90 days, one did so on the day itself, the rest are gone."""
    warehouse.execute(_CHANGE, run_id)
    levels = "select customer_id from marts.fct_customer_levels where run_id = %s and raw_level <= 2 order by 1"
    kept, quiet, *others = [row["customer_id"] for row in warehouse.rows(levels, run_id)]
    assert others
    later = {}
    for days in (89, 90):
        [later[days]] = warehouse.rows(_LATER_RUN, days, run_id)
        day, number = later[days]["as_of_date"], later[days]["run_id"]
        warehouse.execute("insert into ops.publication (as_of_date, run_id) values (%s, %s)", day, number)
        [seen] = warehouse.rows("select seen_warned, seen_churned, seen_accuracy from bi.audit_policy_changes")
        assert (seen["seen_warned"] > 0) == (days == 90)
    for customer, ordered_on in ((kept, later[89]["as_of_date"]), (quiet, RUN_DATES[-1])):
        warehouse.execute(_LATER_CUSTOMER, later[90]["run_id"], ordered_on, run_id, customer)
    [row] = warehouse.rows("select * from bi.audit_policy_changes")
    warned = len(others) + 2
    assert (row["seen_warned"], row["seen_churned"]) == (warned, warned - 1)
    assert float(row["seen_accuracy"]) == round((warned - 1) / warned, 4)
    assert (row["expected_basis"], float(row["expected_accuracy"])) == ("back-test", 0.6)
    assert (float(row["expected_accuracy_gain_low"]), row["expected_recall_gain"]) == (-0.1, None)
