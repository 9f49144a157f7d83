"""The SQL against the independent oracle: every customer, indicator, figure and level of random histories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from early_warning.warehouse import Warehouse
from exceptions import random_exceptions, with_exceptions
from histories import SHANGHAI, History, histories
from judged_by_sql import POLICY, chain_differences, changed_policy, judge_by_sql, kpi_differences, land
from oracle import Policy, judge
from oracle.world import LANDED


@cache
def drawn_histories() -> tuple[History, ...]:
    """The same random histories every time, the fullest of each moment: Hypothesis also draws simple ones and twins."""
    drawn: dict[object, History] = {}

    @settings(
        max_examples=100,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(history=histories(least_customers=30, most_customers=60, with_intraday=True, with_orphans=True))
    def draw(history: History) -> None:
        key = (history.moment.cutoff, len(history.earlier_dates) > 1)
        drawn[key] = max(drawn.get(key, history), history, key=_volume)

    draw()
    return tuple(sorted(drawn.values(), key=_volume, reverse=True))


def _volume(history: History) -> int:
    return sum(map(len, history.world.values()))


@pytest.mark.slow
@pytest.mark.parametrize("lot", range(8))
def test_random_histories_are_judged_as_the_oracle_judges_them(postgres: Any, tmp_path: Path, lot: int) -> None:
    history = drawn_histories()[lot]
    caps = {"level_1_cap": "0.06", "level_2_cap": "0.1", "level_3_cap": "0.3", "cap_min_customers": "5"}
    tight = {**caps, "owner_budget": "3"}
    days = {"cooldown_days": "1", "follow_up_days": "1", "reopen_days": "6"}  # a case goes through its life in days
    folder = POLICY if lot % 4 > 1 else changed_policy(tmp_path / "policy", "hysteresis_and_budget", **tight, **days)
    horizon = str((1, 6, 8)[lot % 3])  # and is settled in days
    folder = changed_policy(tmp_path / "policy", "outcomes", horizon_days=horizon, recovery_days=str(lot % 2 + 1))
    if lot % 2:  # every other one by a policy with exceptions, which begin and end on the days of the runs
        exceptions = random_exceptions(Random(lot), [moment.as_of_date for moment in history.moments])
        folder = with_exceptions(tmp_path / "policy", exceptions)
    stale = Random(lot).sample(LANDED, 2) if lot % 4 == 0 else []
    warehouse = postgres.create()
    assert list(_differences(warehouse, history, folder, stale)) == []
    postgres.drop(warehouse)


def _differences(warehouse: Warehouse, history: History, policy_folder: Path, stale: Sequence[str]) -> Iterator[str]:
    """Every difference in every run of the chain; data sets are stale in the last one only."""
    land(warehouse, history.world, SHANGHAI, policy_folder)
    policy, judged = Policy.read(policy_folder), []
    for moment in history.moments:
        too_old = stale if moment == history.moment else []
        run_id = judge_by_sql(warehouse, moment, SHANGHAI, too_old)
        judged.append(judge(history.world, moment, policy, too_old))
        found = chain_differences(warehouse, run_id, judged, policy)
        yield from (f"{moment.as_of_date}: {line}" for line in found)
    yield from kpi_differences(warehouse, judged, policy)
