"""What docs/policy-quality.md says: which dates the policy may be chosen on, and what it holds or misses."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from benchmarks.policy_quality import COMPANIES, Company, _dates, _policy_before, _verdict
from early_warning import policy
from early_warning.settings import PROJECT

SHOP = Company("shop", PROJECT / "company", date(2024, 1, 1), date(2024, 4, 1), date(2024, 12, 31))


def test_dates_are_split_where_the_last_third_begins() -> None:
    assert SHOP.last_third == date(2024, 8, 31)
    assert SHOP.days(90) == [*SHOP.chosen_on(90), date(2024, 6, 30), date(2024, 7, 31), *SHOP.held_out(90)]
    assert SHOP.chosen_on(90) == [date(2024, 4, 30), date(2024, 5, 31)]
    assert SHOP.held_out(90) == [date(2024, 8, 31), date(2024, 9, 30)]


@pytest.mark.parametrize("company", COMPANIES, ids=lambda company: company.name)
@pytest.mark.parametrize("horizon", [90, 180])
def test_no_horizon_of_a_date_to_choose_on_reaches_the_last_third(company: Company, horizon: int) -> None:
    reached = [day + timedelta(days=horizon) for day in company.chosen_on(horizon)]
    assert all(day < company.last_third for day in reached)
    assert all(day + timedelta(days=horizon) <= company.newest for day in company.days(horizon))


def test_policy_before_differs_from_the_shipped_one_in_what_was_chosen(tmp_path: Any) -> None:
    before = policy.load(_policy_before(tmp_path / "before"))
    shipped = policy.load(PROJECT / "company" / "policy")
    changed = [
        (table, mine)
        for table, rows in before.tables.items()
        for mine, theirs in zip(rows, shipped.tables[table], strict=True)
        if mine != theirs
    ]
    assert [(table, row["parameter"]) for table, row in changed] == [
        ("indicator_parameters", "min_order_days"),
        ("hysteresis_and_budget", "level_1_cap"),
        ("hysteresis_and_budget", "level_2_cap"),
    ]


def told(**changes: Any) -> dict[str, Any]:
    """A back-test of one day that holds everything, but for what is changed."""
    shares = {"1": 0.9, "2": 0.8, "3": 0.7, "none": 0.4} | changes.get("shares", {})
    levels = {name: {"warned": 4, "precision": share} for name, share in shares.items()}
    levels["1"]["warned"] = changes.get("level_1", 4)
    cell = {
        "as_of_date": date(2024, 8, 31),
        "judged": 100,
        "churned": 50,
        "levels": levels,
        "cumulative": {"1-2": {"warned": 8, "precision": 0.85}},
        "same_count": {"1-2": {"recency": {"precision": 0.86}}},
        "silent_90_days": {"warned": 0, "precision": None},
        "auc": {"policy": changes.get("auc", 0.75), "recency": 0.7},
    }
    beside = {
        "policy": {"revenue_caught_by_money_at_risk": changes.get("dear", 0.2)},
        "recency": {"revenue_caught": 0.15},
    }
    return {
        "cells": [cell],
        "pooled": levels | {"1-2": {"same_count": beside}},
        "difference_to_recency": {"difference": changes.get("points", -0.02), "low": None, "high": None},
    }


def test_verdict_of_a_policy_at_the_limits_is_held() -> None:
    lines = [*_verdict(told())]
    assert len(lines) == 5
    assert all(line.endswith(": held.") for line in lines)


@pytest.mark.parametrize(
    ("place", "changes"),
    [
        (0, {"points": -0.021}),
        (1, {"shares": {"3": 0.8}}),
        (2, {"auc": 0.7}),
        (3, {"dear": 0.199}),
        (4, {"level_1": 5}),
    ],
)
def test_verdict_of_what_is_not_reached_says_missed(place: int, changes: dict[str, Any]) -> None:
    lines = [*_verdict(told(**changes))]
    assert [number for number, line in enumerate(lines) if line.endswith(": **missed**.")] == [place]


def test_dates_mark_the_last_third_and_leave_out_levels_that_nobody_holds() -> None:
    row = next(line for line in _dates(told(level_1=0), date(2024, 8, 31)) if line.startswith("| 2024"))
    assert row == (
        "| 2024-08-31 * | 100 | 50.0% | – | 80% of 4 | 70% of 4 | 40% of 4 | 85% of 8 | 86.0% | – | 0.750 | 0.700 |"
    )
