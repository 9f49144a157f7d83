"""The benchmarks on a company so small that their figures mean nothing: that they run, agree and can be told."""

from __future__ import annotations

from datetime import date, timedelta
from importlib.util import find_spec

import pytest

from benchmarks import daily, day, rebuild, report
from benchmarks.generate import HISTORY_ENDS, ZONE, add_day, generate
from benchmarks.measure import run_json
from early_warning import landing, runs

NEXT_DAY = HISTORY_ENDS + timedelta(days=1)
DATA_SETS = {
    "sales.customers",
    "sales.orders",
    "sales.order_lines",
    "sales.products",
    "sales.returns",
    "sales.interactions",
    "service.tickets",
    "service.surveys",
    "finance.invoices",
    "finance.payments",
    "finance.credit_terms",
}
WITHOUT_DATA = {"credit_score", "competitor_activity", "policy_change", "churn_probability"}


def new_rows(warehouse, table):
    """What the newest batch holds, but for the batch's number, as one text."""
    return warehouse.rows(
        f"select md5(string_agg((to_jsonb(landed) - '_batch_id')::text, ',' order by landed::text)) as rows,"
        f" count(*) as n from landing.{table} as landed where _batch_id = (select max(_batch_id) from landing.{table})"
    )[0]


def test_day_after_a_short_history_equals_that_after_a_long_one(postgres):
    orders, days = {}, {}
    for months in (36, 3):
        warehouse = postgres.create()
        orders[months] = generate(warehouse, customers=300, orders=36_000, months=months)["sales.orders"]
        assert add_day(warehouse, NEXT_DAY).keys() == DATA_SETS
        tables = ("sales_orders", "sales_interactions", "service_tickets", "sales_customers")
        days[months] = [new_rows(warehouse, table) for table in tables]
        postgres.drop(warehouse)
    assert orders[36] == pytest.approx(36_000, rel=0.05)
    assert 10 < orders[36] / orders[3] < 15
    assert days[36] == days[3]
    assert days[36][0]["n"] == pytest.approx(1.27 * orders[36] / 1093, rel=0.5)  # new ones and later versions


def test_generator_another_seed_gives_another_company(postgres):
    rows = []
    for seed in (1, 1, 2):
        warehouse = postgres.create()
        generate(warehouse, customers=50, orders=1_000, seed=seed)
        rows.append(new_rows(warehouse, "sales_orders")["rows"])
        postgres.drop(warehouse)
    assert rows[0] == rows[1] != rows[2]


@pytest.mark.slow
def test_benchmarks_of_a_tiny_company_give_their_figures_and_agree(warehouse, tmp_path):
    # Some so lively that every indicator knows somebody, a lapsed one that owes, segments on both sides of 30.
    landed = generate(warehouse, customers=150, orders=40_000, seed=4)
    add_day(warehouse, NEXT_DAY)
    policy = warehouse.rows("select policy_hash from policy.policy")[0]["policy_hash"]
    run_id = runs.open_run(warehouse, runs.Moment.of_day(NEXT_DAY, ZONE), ZONE, policy)
    landing.accept(warehouse, run_id)

    judged = day.judge(warehouse, run_id, from_scratch=True)
    scan = daily.scan_cpu(warehouse, landed)
    figures = daily.day_figures("ordinary", max(scan, 0.01), judged) | daily.gate_figures(warehouse)
    told = {row.figure for row in report.ROWS if row.figure.startswith(("day.ordinary.", "gate."))}
    assert told <= figures.keys()
    assert figures["day.ordinary.dbt_invocations"] == 1
    assert figures["day.ordinary.cpu_seconds"] > 0.1
    assert {"staging", "intermediate", "marts", "tests"} <= judged["node_seconds"].keys()

    ours = rebuild.totals(warehouse, run_id)
    assert ours["cells.order_count"] > 38_000
    codes = {row["indicator_code"] for row in warehouse.rows("select indicator_code from policy.indicators")}
    assert codes - ours.keys() == WITHOUT_DATA
    assert [name for name, total in ours.items() if total == 0] == []
    rebuild.export(warehouse, tmp_path, [*landed])
    totals = []
    for engine in filter(find_spec, ("duckdb", "polars")):  # polars comes with `make bench` only
        theirs = run_json(f"benchmarks.rebuild_{engine}", str(tmp_path), NEXT_DAY.isoformat())
        assert rebuild.differing(theirs["totals"], ours) == {}
        assert theirs["cpu_seconds"] > 0
        totals.append(theirs["totals"])
    assert totals[0] == pytest.approx(totals[-1])  # their slopes too, which we don't publish


def test_backtest_is_told_in_full_rebuilds():
    figures = daily.backtest_figures({"dates": 24, "database": 60.0, "client": 20.0, "wall": 90.0}, 20.0)
    assert figures["backtest.rebuilds"] == 3
    assert {row.figure for row in report.ROWS if row.figure.startswith("backtest.")} <= figures.keys()


def test_page_tells_met_missed_and_unmeasured_targets_with_the_reason():
    rows = (
        report.Row("quick enough", "quick", "CPU-s", at_most=2),
        report.Row("too slow", "slow", at_least=0.9, missed="the disk"),
        report.Row("later", "later", at_most=1),
    )
    text = report.section(
        {"quick": 1.5, "slow": 0.5, "extra": 1}, ["upkeep"], day=date(2026, 7, 1), machine="a machine", rows=rows
    )
    page = report.replaced("# Page\n<!-- full -->\nold\n<!-- /full -->\nend\n", "full", text)
    assert "| quick enough | ≤ 2 | 1.5 CPU-s | met |  |" in page
    assert "| too slow | ≥ 0.9 | 0.5 | missed | the disk |" in page
    assert "| later | ≤ 1 | – | | not measured |" in page
    assert "Failed: upkeep." in page
    assert '"extra": 1' in page
    assert page.startswith("# Page\n<!-- full -->\nMeasured on 2026-07-01: a machine.")
    assert page.endswith("</details>\n<!-- /full -->\nend\n")
    assert "old" not in page
