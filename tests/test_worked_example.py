"""The worked example (docs/worked-example.md): figures worked out by hand against whatever computes them.

The oracle and the SQL both judge tests/worked_example/ on RUN_DATES and are held to the same page. The page's own table
is held to the same figures, and the figures to the whole policy: whatever it names is shown at least once.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from early_warning.warehouse import Warehouse
from judged_by_sql import judge_by_sql, land, read_run
from oracle import Moment, Policy, follow, judge, read_world

EXAMPLE = Path(__file__).parent / "worked_example"
POLICY = Path(__file__).parents[1] / "company" / "policy"
PAGE = Path(__file__).parents[1] / "docs" / "worked-example.md"
TIME_ZONE = ZoneInfo("Asia/Shanghai")
RUN_DATES = (date(2025, 6, 22), date(2025, 6, 24), date(2025, 6, 30))
"""Each run is the previous one of the next; the page describes the last."""
ON_THE_PAGE = {
    **{"S": "serious", "W": "watch", "–": "clear"},
    **{"base": "no_base", "short": "short_history", "old": "expired", "data": "no_data"},
}
"""What the cells of the page's last table mean."""
NEVER_UNKNOWN = {"overdue_days", "competitor_activity", "days_since_last_order"}
"""Indicators that are only unknown where nobody delivers their data sets."""


@dataclass(frozen=True)
class Outcome:
    """What a source says, as columns by key.

    indicators, last run: (customer_id, indicator_code) -> state, unknown_reason, value, baseline, threshold.
    levels: (as_of_date, customer_id) -> state, raw_level, warning_level, level_since, rule_codes (a list); all
    customers, also those without a level.
    trends, last run: customer_id of those that hold a level -> first_month, amounts (a list), threshold_amount.
    """

    indicators: Mapping[tuple[str, str], Mapping[str, Any]]
    levels: Mapping[tuple[date, str], Mapping[str, Any]]
    trends: Mapping[str, Mapping[str, Any]]


def oracle_outcome() -> Outcome:
    """The worked example as the oracle sees it."""
    world, policy = read_world(EXAMPLE), Policy.read(POLICY)
    runs = [judge(world, Moment.midnight_after(day, TIME_ZONE), policy) for day in RUN_DATES]
    indicators = {
        (customer_id, code): vars(result)
        for customer_id, customer in runs[-1].customers.items()
        for code, result in customer.indicators.items()
    }
    levels = {
        (run.as_of_date, customer_id): {
            "state": customer.state,
            "raw_level": customer.finding.raw_level,
            "rule_codes": list(customer.finding.rule_codes),
            "warning_level": held[customer_id].warning_level if customer_id in held else None,
            "level_since": held[customer_id].level_since if customer_id in held else None,
        }
        for run, held in zip(runs, follow(runs, policy), strict=True)
        for customer_id, customer in run.customers.items()
    }
    trends = {
        customer_id: vars(customer.trend) | {"amounts": list(customer.trend.amounts)}
        for customer_id, customer in runs[-1].customers.items()
        if levels[RUN_DATES[-1], customer_id]["warning_level"]
    }
    return Outcome(indicators, levels, trends)


def sql_outcome(warehouse: Warehouse) -> Outcome:
    """The worked example as the warehouse sees it."""
    land(warehouse, read_world(EXAMPLE), TIME_ZONE)
    run_of = {
        day: read_run(warehouse, judge_by_sql(warehouse, Moment.midnight_after(day, TIME_ZONE), TIME_ZONE))
        for day in RUN_DATES
    }
    nothing = {"raw_level": None, "warning_level": None, "level_since": None, "rule_codes": []}
    levels = {
        (day, customer_id): {**nothing, **run["levels"].get(customer_id, {}), "state": customer["state"]}
        for day, run in run_of.items()
        for customer_id, customer in run["customers"].items()
    }
    last = run_of[RUN_DATES[-1]]
    return Outcome(last["indicators"], levels, last["trends"])


@pytest.fixture(scope="module", params=["oracle", "sql"])
def outcome(request: pytest.FixtureRequest) -> Iterator[Outcome]:
    """The results of each source in turn."""
    if request.param == "oracle":
        yield oracle_outcome()
        return
    databases = request.getfixturevalue("postgres")
    warehouse = databases.create()
    yield sql_outcome(warehouse)
    databases.drop(warehouse)


def expected(table: str) -> Iterator[dict[str, Any]]:
    """Rows of an expected*.csv, typed like the results."""
    with (EXAMPLE / f"{table}.csv").open(encoding="utf-8", newline="") as lines:
        for record in csv.DictReader(lines):
            yield {column: _typed(column, text) for column, text in record.items()}


def _typed(column: str, text: str) -> Any:
    if column == "rule_codes":
        return text.split(";") if text else []
    if not text:
        return None
    if column in {"value", "baseline", "threshold"}:
        return Decimal(text)
    if column in {"raw_level", "warning_level"}:
        return int(text)
    return date.fromisoformat(text) if column in {"level_since", "as_of_date"} else text


def test_indicators_match_hand_arithmetic(outcome: Outcome) -> None:
    columns = ("state", "unknown_reason", "value", "baseline", "threshold")
    by_hand = {(row["customer_id"], row["indicator_code"]): row for row in expected("expected")}
    assert {key: [result[column] for column in columns] for key, result in outcome.indicators.items()} == {
        key: [row[column] for column in columns] for key, row in by_hand.items()
    }


def test_levels_match_hand_arithmetic(outcome: Outcome) -> None:
    columns = ("state", "raw_level", "warning_level", "level_since", "rule_codes")
    last = {customer_id: result for (day, customer_id), result in outcome.levels.items() if day == RUN_DATES[-1]}
    assert {customer_id: [result[column] for column in columns] for customer_id, result in last.items()} == {
        row["customer_id"]: [row[column] for column in columns] for row in expected("expected_levels")
    }


def test_levels_of_earlier_runs_match_hand_arithmetic(outcome: Outcome) -> None:
    columns = ("raw_level", "warning_level")
    earlier = {key: result for key, result in outcome.levels.items() if key[0] != RUN_DATES[-1]}
    assert {key: [result[column] for column in columns] for key, result in earlier.items()} == {
        (row["as_of_date"], row["customer_id"]): [row[column] for column in columns]
        for row in expected("expected_earlier_levels")
    }


def test_months_of_the_warned_match_hand_arithmetic(outcome: Outcome) -> None:
    warned = {row["customer_id"] for row in expected("expected_levels") if row["warning_level"]}
    assert outcome.trends.keys() == warned
    silent, young = outcome.trends["C02"], outcome.trends["C07"]
    assert silent["first_month"] == date(2024, 7, 1)
    assert silent["amounts"] == [None, *[1200] * 6, *[0] * 5], "six orders from its first month on, then none"
    assert silent["threshold_amount"] == 360, "0.40 of 7200 in 8 months"
    assert young["amounts"] == [*[None] * 10, 1500, 1500]
    assert young["threshold_amount"] is None, "too short a history to call anything usual"


def test_table_of_the_page_shows_the_expected_states() -> None:
    lines = [line for line in _section("All states").splitlines() if line.startswith("|")]
    (_, *customers), _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    shown = {
        (customer_id, code): ON_THE_PAGE[cell]
        for code, *cells in rows
        for customer_id, cell in zip(customers, cells, strict=True)
        if cell
    }
    assert shown == {
        (row["customer_id"], row["indicator_code"]): row["unknown_reason"] or row["state"]
        for row in expected("expected")
    }


def test_example_shows_each_indicator_breached_clear_and_unknown() -> None:
    shown = {(row["indicator_code"], row["state"]) for row in expected("expected")}
    codes = _codes("indicators", "indicator_code")
    gravest = dict.fromkeys(codes, "serious") | {"rhythm_break": "watch", "policy_change": "watch"}
    wanted = {(code, state) for code in codes for state in (gravest[code], "clear", "unknown")}
    assert wanted - shown == {(code, "unknown") for code in NEVER_UNKNOWN}


def test_example_fires_every_level_rule() -> None:
    fired = {code for row in expected("expected_levels") for code in row["rule_codes"]}
    assert fired == set(_codes("level_rules", "rule_code"))


def _section(heading: str) -> str:
    return PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def _codes(table: str, column: str) -> list[str]:
    with (POLICY / f"{table}.csv").open(encoding="utf-8", newline="") as lines:
        return [record[column] for record in csv.DictReader(lines)]
