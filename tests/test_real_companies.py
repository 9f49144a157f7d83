"""Two real companies through the whole run, every figure of every customer against the oracle."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from early_warning.embedded.postgres import running_postgres
from homes import Home, session_folder
from judged_by_sql import POLICY, differences
from oracle import Moment, Policy, follow, follow_cases, judge
from real_worlds import LONDON, SAO_PAULO, SHARED_DATA, marketplace_sellers, wholesaler

COMPANIES = Path(__file__).parent / "companies"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not SHARED_DATA.is_dir(),
        reason=f"the real companies' files are not part of the repository and not in {SHARED_DATA}"
        " (EARLY_WARNING_SHARED_DATA names another folder)",
    ),
]


@pytest.fixture
def new_home(request: pytest.FixtureRequest) -> Iterator[Home]:
    """An empty home for the company that the test names."""
    home = Home.new(session_folder() / request.param, COMPANIES / request.param)
    yield home
    home.remove()


@pytest.mark.parametrize("new_home", ["marketplace_sellers"], indirect=True)
def test_all_sellers_are_judged_as_the_oracle_judges_them(new_home: Home) -> None:
    day, policy = date(2018, 6, 1), Policy.read(POLICY)
    answer = new_home.run("--as-of", str(day), EARLY_WARNING_SHARED_DATA=str(SHARED_DATA))
    assert answer.code == 0, answer.stderr
    run = answer.run
    assert (run["as_of"], run["state"]) == ("2018-06-02T00:00:00-03:00", "published")
    assert sum(batch["quarantined"] for batch in run["batches"].values()) == 0

    expected = judge(marketplace_sellers(), Moment.midnight_after(day, SAO_PAULO), policy)
    with running_postgres(new_home.folder) as warehouse:
        held = follow([expected], policy)
        [cases] = follow_cases([expected], held, policy)
        assert differences(warehouse, run["run_id"], expected, held[0], cases) == []
        [judged] = warehouse.rows(
            "select count(*) as indicator_values, count(*) filter (where state = 'unknown') as unknown,"
            " count(*) filter (where (state = 'unknown') <> (unknown_reason is not null)) as unreasoned"
            " from bi.indicator_values"
        )
        [active] = warehouse.rows("select count(*) as n from bi.customers where state = 'active'")
    assert len(expected.customers) > 1_500
    assert run["levels"]["1"] > 0
    assert run["levels"]["1"] <= 0.04 * active["n"]
    assert run["levels"]["2"] <= 0.15 * active["n"]
    assert judged["indicator_values"] > 8_000
    assert judged["unreasoned"] == 0
    assert judged["unknown"] == sum(count for reasons in run["unknown"].values() for count in reasons.values())


@pytest.mark.parametrize("new_home", ["wholesaler"], indirect=True)
def test_days_of_the_wholesaler_each_read_their_file_and_go_on_from_the_day_before(new_home: Home) -> None:
    days = [date(2011, 6, 1) + timedelta(days=number) for number in range(6)]
    answer = new_home.run("--from", str(days[0]), "--to", str(days[-1]), EARLY_WARNING_SHARED_DATA=str(SHARED_DATA))
    assert answer.code == 0, answer.stderr
    runs = answer.json["runs"]
    assert [run["as_of_date"] for run in runs] == [str(day) for day in days]
    assert {run["state"] for run in runs} == {"published"}
    assert [run["previous_run_id"] for run in runs] == [None, *(run["run_id"] for run in runs[:-1])]

    policy = Policy.read(POLICY)
    world = wholesaler(days[-1])
    expected = [judge(world, Moment.midnight_after(day, LONDON), policy) for day in days]
    held = follow(expected, policy)
    cases = follow_cases(expected, held, policy)
    with running_postgres(new_home.folder) as warehouse:
        read = warehouse.rows(
            "select distinct run_id, file_date as day from ops.delivery join ops.batch using (batch_id) order by 1, 2"
        )
        for run, *by_oracle in zip(runs, expected, held, cases, strict=True):
            assert differences(warehouse, run["run_id"], *by_oracle) == [], run["as_of_date"]
        kept = warehouse.rows("select from marts.fct_customer_levels where warning_level < coalesce(raw_level, 4)")
    files = sorted(date.fromisoformat(path.name[:10]) for path in (SHARED_DATA / "wholesaler" / "daily").glob("*"))
    assert date(2011, 6, 4) not in files
    for run, before, day in zip(runs, [date.min, *days], days, strict=False):
        new = [row["day"] for row in read if row["run_id"] == run["run_id"]]
        assert new == [file for file in files if before < file <= day]
        assert sum(batch["rows"] for batch in run["batches"].values()) == 0 or new
    assert all(len(judged.customers) > 2_000 for judged in expected)
    assert kept, "no level was held by hysteresis: the days show nothing of it"
