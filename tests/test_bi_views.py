"""What analysts meet: views that stay quick when years lie behind them."""

from __future__ import annotations

import psycopg
import pytest

from early_warning.warehouse import Warehouse
from judged_by_sql import judge_by_sql, land
from oracle import Moment, read_world
from test_worked_example import EXAMPLE, RUN_DATES, TIME_ZONE


@pytest.mark.slow
def test_bi_views_let_a_filter_reach_the_marts(warehouse: Warehouse) -> None:
    """A CTE that is named twice is read whole, whatever the reader asks for: 200 days took minutes instead of 0.1 s."""
    land(warehouse, read_world(EXAMPLE), TIME_ZONE)
    run_id = judge_by_sql(warehouse, Moment.midnight_after(RUN_DATES[-1], TIME_ZONE), TIME_ZONE)
    with psycopg.connect(warehouse.reader_dsn) as reader:
        for view in ("warnings", "indicator_values", "customers", "indicator_associations", "product_quality"):
            plan = reader.execute(f"explain select * from bi.{view} where as_of_date = '2025-06-30'").fetchall()
            assert not [line for (line,) in plan if "CTE Scan" in line], view
        reason = reader.execute("select reason from bi.warnings where warning_level is not null limit 1").fetchone()
        assert reason is not None
        assert "：" in reason[0]
    _see_what_a_policy_came_to(warehouse, run_id)


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
