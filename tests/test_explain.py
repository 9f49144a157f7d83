"""`explain`: all that the warehouse says of a customer is told, with the rows behind it."""

from __future__ import annotations

import csv
import re
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from early_warning.explain import EVIDENCE, explain
from early_warning.indicators import declared
from early_warning.settings import PROJECT
from early_warning.warehouse import Warehouse
from exceptions import with_exceptions
from homes import Home
from judged_by_sql import changed_policy, judge_by_sql, land
from oracle import Moment, read_world
from test_worked_example import EXAMPLE, RUN_DATES, TIME_ZONE

POLICY = PROJECT / "company" / "policy"


def warned(home: Home, level: int) -> dict[str, object]:
    """The warning of that level with the most indicators."""
    query = (
        "select customer_id, customer_name, rule_codes, indicator_codes, level_since from bi.warnings"
        f" where warning_level = {level} order by cardinality(indicator_codes) desc, customer_id limit 1"
    )
    [row] = home.command("sql", query, "--format", "json").json
    return row


def overtaken(text: str) -> list[str]:
    """The rules that are told to be overtaken by graver ones."""
    return re.findall(r"(\w+)(?:,| \(level)", text.partition("  Overtaken by what is graver: ")[2].partition("\n")[0])


@pytest.mark.slow
@pytest.mark.parametrize("level", [1, 2, 3])
def test_warning_is_explained_by_its_rules_indicators_and_parameters(first_day: Home, level: int) -> None:
    warning = warned(first_day, level)
    answer = first_day.command("explain", str(warning["customer_id"]))
    assert answer.code == 0, answer.stderr
    assert f"{warning['customer_name']} ({warning['customer_id']}), 30 June 2026" in answer.stdout
    assert f"Holds level {level}" in answer.stdout
    for rule in warning["rule_codes"]:
        assert f"  {rule}, level {level} " in answer.stdout or rule in overtaken(answer.stdout)
    with (POLICY / "indicator_parameters.csv").open(encoding="utf-8", newline="") as lines:
        parameters = [(row["indicator_code"], row["parameter"]) for row in csv.DictReader(lines)]
    paragraphs = answer.stdout.split("\n\n")
    for code in warning["indicator_codes"]:
        [paragraph] = [each for each in paragraphs if each.startswith(f"{code} ")]
        assert "value " in paragraph
        for indicator, parameter in parameters:
            assert indicator != code or f" {parameter} " in paragraph
        for kind in declared()[code].evidence:
            assert f"  {kind}" in paragraph


@pytest.mark.slow
def test_rule_that_counts_says_what_it_asked_for_and_which_indicators_it_counted(first_day: Home) -> None:
    query = (
        "select customer_id, array_agg(indicator_code order by indicator_code) as codes,"
        " array_agg(distinct family order by family) as families from bi.indicator_values join bi.warnings"
        " using (customer_id) where state = 'serious' and 'three_serious_families' = any(rule_codes)"
        " group by customer_id order by customer_id limit 1"
    )
    [row] = first_day.command("sql", query, "--format", "json").json
    lines = first_day.command("explain", row["customer_id"]).stdout.splitlines()
    [rule] = [number for number, line in enumerate(lines) if line.startswith("  three_serious_families, level 1")]
    asked, counted = lines[rule + 1 : rule + 3]
    assert asked == "    asked: at least 3 indicators serious in 3 different families, demand or arrears among them"
    number, families = len(row["codes"]), len(row["families"])
    assert counted.startswith(f"    counted: {number} in {families} families (")
    named = re.findall(r"(\w+): ([^;)]*)", counted.partition("(")[2])
    assert [family for family, _ in named] == row["families"]
    assert sorted(code for _, codes in named for code in codes.split(", ")) == row["codes"]


@pytest.mark.slow
def test_amounts_carry_the_currency(first_day: Home) -> None:
    query = (
        "select customer_id, open_balance_amount from bi.customers join bi.warnings using (customer_id)"
        " where 'overdue_ratio' = any(indicator_codes) order by customer_id limit 1"
    )
    [row] = first_day.command("sql", query, "--format", "json").json
    text = first_day.command("explain", row["customer_id"]).stdout
    [paragraph] = [each for each in text.split("\n\n") if each.startswith("overdue_ratio ")]
    _, sentence, *_ = paragraph.splitlines()
    assert re.match(r"  CN¥[\d,.]+ overdue, .* of a usual month's CN¥[\d,.]+: more than", sentence)
    assert re.search(r"\n    [\d-]+  \w+: CNY [\d,.]*\d unpaid", paragraph)
    assert f"  owes CNY {row['open_balance_amount']:,}\n" in text
    assert re.search(r"; CNY [\d,.]*\d at risk\.\n", text)


@pytest.mark.slow
def test_measures_that_the_playbook_asks_for_stand_below_the_case(first_day: Home) -> None:
    customer = warned(first_day, 1)["customer_id"]
    query = f"select department, action, indicator_codes from bi.case_actions where customer_id = '{customer}'"
    asked = first_day.command("sql", query, "--format", "json").json
    lines = first_day.command("explain", str(customer)).stdout.splitlines()
    [case] = [number for number, line in enumerate(lines) if line.startswith("Case ")]
    expected = [f"  {row['department']}: {row['action']} ({', '.join(row['indicator_codes'])})" for row in asked]
    assert len(expected) > 1
    assert sorted(lines[case + 1 : case + 1 + len(expected)]) == sorted(expected)


@pytest.mark.slow
def test_every_indicator_is_told_once_breached_clear_or_not_judged(first_day: Home) -> None:
    customer = warned(first_day, 2)["customer_id"]
    text = first_day.command("explain", str(customer)).stdout
    states = first_day.command(
        "sql",
        f"select indicator_code, state, unknown_reason from bi.indicator_values where customer_id = '{customer}'",
        "--format",
        "json",
    ).json
    clear = text[text.index("Clear: ") :].partition("\n")[0]
    unknown = dict(re.findall(r"\n  .* \((\w+)\): (.*)", text[text.index("Can't be judged:") :]))
    for row in states:
        code, state = row["indicator_code"], row["state"]
        assert (f"\n{code} " in text) == (state in ("serious", "watch")), code
        assert (code in clear.removeprefix("Clear: ").rstrip(".").split(", ")) == (state == "clear"), code
        reasons = [reason for reason, codes in unknown.items() if code in codes.split(", ")]
        assert reasons == [row["unknown_reason"]] * (state == "unknown"), code
    assert Counter(row["state"] for row in states)["unknown"] > 0


@pytest.mark.slow
def test_orders_that_are_shown_make_the_value(first_day: Home) -> None:
    query = (
        "select customer_id, value, window_start, window_end from bi.indicator_values"
        " where indicator_code = 'order_amount' and state in ('serious', 'watch') and value > 0 order by value limit 1"
    )
    [row] = first_day.command("sql", query, "--format", "json").json
    text = first_day.command("explain", row["customer_id"]).stdout
    [paragraph] = [each for each in text.split("\n\n") if each.startswith("order_amount ")]
    heading, *shown = paragraph[paragraph.index("  orders from ") :].splitlines()
    assert heading == f"  orders from {row['window_start']} to {row['window_end']}:"
    months: Counter[str] = Counter()
    for line in shown:
        day, _, currency, amount = line.split()
        assert currency == "CNY"
        assert row["window_start"] <= day <= row["window_end"]
        months[day[:7]] += Decimal(amount.replace(",", ""))
    assert max(months.values()) == Decimal(str(row["value"]))


COUNTED = {
    "delivery_punctuality": ("late deliveries", "late_orders"),
    "order_fulfilment": ("cancelled orders", "cancelled_orders"),
    "return_rate": ("returns", "return_count"),
    "competitor_activity": ("competitor signals", "signals"),
    "policy_change": ("policies", "policy_change"),
    "negative_feedback": ("negative feedback", "negative_feedback"),
}
"""Indicators whose rows can be counted: what `explain` calls them, and the measure that says how many there are."""


@pytest.mark.slow
@pytest.mark.parametrize("code", COUNTED)
def test_as_many_rows_are_shown_as_were_counted(first_day: Home, code: str) -> None:
    kind, measure = COUNTED[code]
    query = (
        f"select customer_id, (measures ->> '{measure}')::numeric as counted from bi.indicator_values"
        f" where indicator_code = '{code}' and state in ('serious', 'watch') order by 2, 1 limit 1"
    )
    [row] = first_day.command("sql", query, "--format", "json").json
    text = first_day.command("explain", row["customer_id"]).stdout
    [paragraph] = [each for each in text.split("\n\n") if each.startswith(f"{code} ")]
    _, *shown = paragraph[paragraph.rindex(f"\n  {kind}") + 1 :].splitlines()
    assert len(shown) == float(row["counted"]) <= 6


@pytest.mark.slow
def test_who_is_not_there_and_what_is_not_published_is_told_with_the_remedy(first_day: Home) -> None:
    stranger = first_day.command("explain", "nobody")
    assert (stranger.code, stranger.stdout) == (2, "")
    assert "no customer 'nobody' on 2026-06-30" in stranger.stderr
    early = first_day.command("explain", "nobody", "--as-of", "2020-01-01")
    assert early.code == 2
    assert "2020-01-01 is not published" in early.stderr


@pytest.mark.slow
def test_customer_that_is_not_judged_is_said_to_be_so(first_day: Home) -> None:
    query = "select customer_id from bi.customers where state <> 'active' and open_balance_amount = 0 limit 1"
    [row] = first_day.command("sql", query, "--format", "json").json
    assert "owes nothing is not judged" in first_day.command("explain", row["customer_id"]).stdout


@pytest.mark.slow
def test_parameters_are_the_customers_own_and_exceptions_are_named(warehouse: Warehouse, tmp_path: Path) -> None:
    exceptions = [
        ("order_amount", "baseline_share", "0.60", "0.80", "retail"),
        ("order_amount", "baseline_share", "0.99", "", "wholesale"),
        ("order_amount", "months", "2", "1", "", "", "", "2025-06-25", "2025-06-30"),
    ]
    land(warehouse, read_world(EXAMPLE), TIME_ZONE, with_exceptions(tmp_path / "policy", exceptions))
    early, late = RUN_DATES[1:]
    for day in (early, late):
        judge_by_sql(warehouse, Moment.midnight_after(day, TIME_ZONE), TIME_ZONE)

    def told(customer_id: str, day: date) -> str:
        text = explain(warehouse, customer_id, day)
        [paragraph] = [each for each in text.split("\n\n") if each.startswith("order_amount ")]
        return next(line for line in paragraph.splitlines() if "by indicator_parameters.csv" in line)

    assert "baseline_share 0.6 / 0.8 (segment retail)" in told("C02", late)
    assert "baseline_share 0.4 / 0.4, min" in told("C13", late)
    for customer_id in ("C02", "C13"):
        assert "months 2 / 1 (from 2025-06-25 until 2025-06-30)" in told(customer_id, late)
        assert told(customer_id, early).endswith("months 3 / 2")
    thresholds = warehouse.rows(
        "select round(threshold / baseline, 2) as share from marts.fct_indicator_values"
        " where as_of_date = %s and indicator_code = 'order_amount' and customer_id in ('C02', 'C13')"
        " order by customer_id",
        late,
    )
    assert [row["share"] for row in thresholds] == [Decimal("0.60"), Decimal("0.40")]


@pytest.mark.slow
def test_rules_say_what_was_asked_and_the_case_who_hears_of_it_and_what_is_late(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    policy = changed_policy(tmp_path / "policy", "hysteresis_and_budget", owner_budget="1")
    land(warehouse, read_world(EXAMPLE), TIME_ZONE, policy)
    judged = [judge_by_sql(warehouse, Moment.midnight_after(day, TIME_ZONE), TIME_ZONE) for day in RUN_DATES[1:]]
    cases = warehouse.rows(
        "select customer_id, deadline_at < as_of_at as is_late, is_held_back from marts.fct_warning_cases"
        " join ops.run using (run_id, as_of_date) where as_of_date = %s and closed_on is null and handled_at is null",
        RUN_DATES[-1],
    )
    told = {case["customer_id"]: explain(warehouse, case["customer_id"]) for case in cases}
    assert {case["is_late"] for case in cases} == {case["is_held_back"] for case in cases} == {True, False}
    for case in cases:
        text = told[case["customer_id"]]
        assert "knows them" not in text
        assert (", which has passed." in text) == case["is_late"]
        assert ("Who stands in for the owner is not mailed about the case today" in text) == case["is_held_back"]
    held_back = next(case["customer_id"] for case in cases if case["is_held_back"])
    warehouse.execute("update marts.dim_customers set owner_email = 'li@example.cn' where customer_id = %s", held_back)
    assert "The owner is not mailed about the case today" in explain(warehouse, held_back)

    early = explain(warehouse, held_back, RUN_DATES[1]).splitlines()
    whose = f"as run {judged[-1]} of 30 June 2025 knows them"
    assert early[-1] == f"The rows: {whose}."
    kinds = [line for line in early if re.match(f"  ({'|'.join(EVIDENCE)}) (from|until) ", line)]
    assert kinds
    assert all(line.removesuffix(" none").endswith(f", {whose}:") for line in kinds)

    text = "\n".join(told.values())
    assert "    order_amount is serious (asked: serious)\n" in text
    assert re.search(r"\n    overdue_days is \d+ \(asked: more than 60\)\n", text)
    assert re.search(r"\n    complaint_rate complaints_90d is \d+ \(asked: at least 3\)\n", text)


def test_every_indicator_names_evidence_and_every_kind_of_it_is_used() -> None:
    named = {kind for indicator in declared().values() for kind in indicator.evidence}
    assert all(indicator.evidence for indicator in declared().values())
    assert named == EVIDENCE.keys()


def test_nothing_published_is_told(warehouse: Warehouse) -> None:
    with pytest.raises(Exception, match="nothing is published yet"):
        explain(warehouse, "C1")
