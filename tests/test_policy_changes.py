"""A changed policy leaves a record: who, when, what differs, what was expected, and what has been seen since."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from early_warning import policy, policy_changes, runs
from early_warning.propose import write
from early_warning.runs import Moment
from early_warning.summary import _policy_change
from early_warning.warehouse import Warehouse
from test_propose import CHANGES, SHIPPED, change_of

ZONE = ZoneInfo("Asia/Shanghai")
OTHER = (change_of("silent_beyond_own_rhythm", "silence_days", "110"),)


@pytest.fixture
def changed(warehouse: Warehouse, tmp_path: Path) -> tuple[policy.Policy, policy.Policy, policy.Policy]:
    """Three stored policies: the shipped one, one with several changes, one with another threshold."""
    found = (policy.load(SHIPPED), write(SHIPPED, tmp_path / "one", CHANGES), write(SHIPPED, tmp_path / "two", OTHER))
    for each in found:
        policy.store(warehouse, each)
    return found


def run(warehouse: Warehouse, day: date, by: policy.Policy, *, is_published: bool = True) -> int:
    run_id = runs.open_run(warehouse, Moment.of_day(day, ZONE), ZONE, by.policy_hash)
    policy_changes.note(warehouse, run_id)
    if is_published:
        runs.publish(warehouse, run_id)
    return run_id


def recorded(warehouse: Warehouse) -> list[dict[str, Any]]:
    return warehouse.rows("select * from ops.policy_change order by run_id")


def test_stored_policy_is_read_back_as_it_was_checked(warehouse: Warehouse) -> None:
    shipped = policy.load(SHIPPED)
    policy.store(warehouse, shipped)
    again = policy.stored(warehouse, shipped.policy_hash)
    for table, rows in shipped.tables.items():
        assert sorted(map(str, again.tables[table])) == sorted(map(str, rows)), table
    assert policy_changes.differences(shipped, again) == []


def test_change_is_recorded_once_with_who_what_and_expectation(
    warehouse: Warehouse, changed: tuple[policy.Policy, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped, one, _ = changed
    monkeypatch.setenv("EARLY_WARNING_CHANGED_BY", "Li Na")
    day = date(2026, 6, 1)
    first = run(warehouse, day, shipped)
    assert recorded(warehouse) == []  # nothing came before it
    for basis, figure in (("back-test", 0.1), ("walk-forward", 0.2), ("walk-forward", 0.4), ("back-test", 0.9)):
        policy_changes.keep_trial(
            warehouse, one.policy_hash, shipped.policy_hash, [day], 90, {"basis": basis, "recall": figure}
        )
    second = run(warehouse, day + timedelta(days=1), one, is_published=False)
    [record] = recorded(warehouse)
    assert (record["run_id"], record["previous_run_id"], record["as_of_date"]) == (second, first, date(2026, 6, 2))
    assert (record["policy_hash"], record["previous_hash"]) == (one.policy_hash, shipped.policy_hash)
    assert (record["changed_by"], record["expected"]) == ("Li Na", {"basis": "walk-forward", "recall": 0.4})
    told = [policy_changes.in_words(difference) for difference in record["differences"]]
    assert told[:-1] == [
        "overdue_and_pays_late warning_level 2 → 3",
        "level_rules.csv: overdue_beyond_60_days left out",
        "level_conditions.csv: overdue_beyond_60_days.overdue_days.overdue_days.> left out",
        "silent_beyond_own_rhythm.days_since_last_order.silence_days.> value 120 → 90",
        "silent_beyond_own_rhythm.days_since_last_order.silence_ratio.> value 1.5 → 1.9",
    ]
    assert told[-1] == "silent_beyond_own_rhythm described anew"
    monkeypatch.setenv("EARLY_WARNING_CHANGED_BY", "somebody else")
    assert run(warehouse, day + timedelta(days=1), one) == second  # tried again
    assert run(warehouse, day + timedelta(days=2), one) > second  # and gone on with
    run(warehouse, day - timedelta(days=5), one)  # a back-fill by today's policy is no change of it
    assert recorded(warehouse) == [record]
    [line] = _policy_change({"policy_change": record})
    assert line.startswith(
        f"  policy      changed since run {first} by Li Na: overdue_and_pays_late warning_level 2 → 3; "
    )
    assert line.endswith("3 more")


def test_run_gone_on_with_under_another_policy_is_recorded_as_it_is_then(
    warehouse: Warehouse, changed: tuple[policy.Policy, ...]
) -> None:
    shipped, one, two = changed
    day = date(2026, 6, 1)
    run(warehouse, day, shipped)
    for by in (one, two):
        run(warehouse, day + timedelta(days=1), by, is_published=False)
        assert [row["policy_hash"] for row in recorded(warehouse)] == [by.policy_hash]
    assert policy_changes.in_words(recorded(warehouse)[0]["differences"][0]).endswith("silence_days.> value 120 → 110")
    run(warehouse, day + timedelta(days=1), shipped)
    assert recorded(warehouse) == []


def test_who_changed_it_is_the_login_name_where_nobody_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARLY_WARNING_CHANGED_BY", " ")
    monkeypatch.setenv("LOGNAME", "li.na")
    assert policy_changes.changed_by() == "li.na"


def test_difference_in_a_parameter_reads_as_its_name_and_values() -> None:
    key = {"indicator_code": "overdue_days", "parameter": "days", "segment": "retail", "industry": "", "region": ""}
    row = {**key, "valid_from": date.min, "valid_until": date.max, "serious": Decimal("30"), "watch": Decimal("10")}
    tables: dict[str, Any] = dict.fromkeys(policy.KEYS, ())
    then, now = (
        policy.Policy("", {**tables, "indicator_parameters": ({**row, "serious": value},)})
        for value in (Decimal("30"), Decimal("45"))
    )
    [difference] = policy_changes.differences(then, now)
    assert policy_changes.in_words(difference) == "overdue_days.days.retail serious 30 → 45"
