"""What analysts meet: views that stay quick when years lie behind them."""

from __future__ import annotations

import psycopg
import pytest

from early_warning.digest.readers import Run
from early_warning.digest.select import select_digests
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
    """Warnings that the mail of each department's head counts, to somebody who was told nothing yet."""
    [run] = warehouse.rows("select * from ops.run")
    told = Run(
        *(run[name] for name in ("run_id", "as_of_date", "as_of_at", "company_time_zone", "policy_hash")),
        published_at=run["published_at"],
        is_update=False,
    )
    with warehouse.connect() as connection:
        connection.execute("delete from ops.told")
        connection.execute("delete from ops.outbox")
        digests = [*select_digests(connection, told)]
        connection.rollback()
    return {digest.reader.department: sum(digest.counts.values()) for digest in digests if digest.reader.department}


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
_OTHER_RUN = """
insert into ops.run (
    as_of_date, as_of_at, company_time_zone, policy_hash, state, is_backfill, previous_run_id, published_at
)
select as_of_date + %(days)s, as_of_at, company_time_zone, coalesce(%(by)s, policy_hash), %(state)s, %(days)s < 0,
    run_id, now() + %(hours)s * interval '1 hour'
from ops.run where run_id = %(run_id)s
returning run_id
"""
_OUTCOME = """
insert into marts.fct_warning_outcomes (
    customer_id, run_id, as_of_date, case_id, opened_run_id, opened_on, policy_hash, warning_level, was_active,
    is_churned, is_service_fluctuation
)
select %s, %s, as_of_date + 90, run_id, run_id, as_of_date, policy_hash, %s, %s, %s, %s
from ops.run where run_id = %s
"""


def _see_what_a_policy_came_to(warehouse: Warehouse, changed: int) -> None:
    """A policy comes, is interrupted by a back-fill with another one, and comes back."""

    def other_run(days: int, hours: int, by: str | None = None, state: str = "published") -> int:
        named = {"run_id": changed, "days": days, "hours": hours, "by": by, "state": state}
        [opened] = warehouse.rows(_OTHER_RUN, **named)
        return int(opened["run_id"])

    before, refilled = other_run(-7, -1), other_run(-3, 1)  # by this policy too, but neither is one of its days
    next_day, backfill = other_run(1, 2), other_run(-30, 3, "another")
    stopped, again, last = other_run(2, 4, state="stopped"), other_run(2, 5), other_run(200, 6)
    for run_id in (changed, backfill, stopped, again):
        warehouse.execute(_CHANGE, run_id)
    seen = "select run_id, seen_warned, seen_churned, seen_accuracy from bi.audit_policy_changes order by run_id"
    nothing = {"seen_warned": 0, "seen_churned": 0, "seen_accuracy": None}
    assert warehouse.rows(seen) == [{"run_id": run_id, **nothing} for run_id in (changed, backfill, again)]

    warehouse.execute(
        "insert into ops.publication (as_of_date, run_id) select as_of_date, run_id from ops.run where run_id = %s",
        last,
    )
    for customer, settled_by, level, was_active, is_churned, is_fluctuation, opened_by in (
        ("Gone", last, 1, True, True, False, changed),
        ("Gone", last, 2, True, False, False, next_day),  # the same customer
        ("Kept", last, 2, True, False, False, changed),
        ("Late", last, 2, True, True, False, next_day),
        ("Mild", last, 3, True, True, False, changed),
        ("Lapsed", last, 1, False, None, False, changed),
        ("Fluctuating", last, 2, True, True, True, changed),
        ("Beside", backfill, 1, True, True, False, changed),
        ("Before", last, 1, True, True, False, before),
        ("Refilled", last, 1, True, True, False, refilled),
        ("Back", last, 1, True, False, False, again),
    ):
        warehouse.execute(_OUTCOME, customer, settled_by, level, was_active, is_churned, is_fluctuation, opened_by)
    first, other, second = warehouse.rows("select * from bi.audit_policy_changes order by run_id")
    assert (first["seen_warned"], first["seen_churned"], float(first["seen_accuracy"])) == (3, 2, 0.666667)
    assert {name: other[name] for name in nothing} == nothing
    assert (second["seen_warned"], second["seen_churned"], second["seen_accuracy"]) == (1, 0, 0)
    assert (first["expected_basis"], float(first["expected_accuracy"])) == ("back-test", 0.6)
    assert (float(first["expected_accuracy_gain_low"]), first["expected_recall_gain"]) == (-0.1, None)
