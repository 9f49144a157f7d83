"""kill -9 at the worst moments: the next `run` finishes what was owed, as if nothing had happened."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from early_warning.embedded.postgres import running_postgres
from homes import Answer, Home, Postbox, Rows, kill, made_once, postbox, published, stuck_at, wait_until, watching

FIRST, SECOND = "2026-06-30", "2026-07-15"  # far enough apart for several mails
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def undisturbed(first_day: Home) -> dict[str, Rows]:
    """What the second day is when nobody kills anything: the rows of its views, and its mails."""

    def make(folder: Path) -> None:
        home = first_day.copy(folder / "home")
        with postbox() as box, running_postgres(home.folder) as warehouse:
            assert home.run("--as-of", SECOND, EARLY_WARNING_SMTP_URL=box.url).code == 0
            outcome = published(warehouse, SECOND) | {"mails": sorted(box.taken)}
        home.remove()
        (folder / "outcome.json").write_text(json.dumps(outcome))

    return dict(json.loads((made_once("undisturbed", make) / "outcome.json").read_text()))


@pytest.fixture
def box() -> Iterator[Postbox]:
    """A mail server that outlives the killed command."""
    with postbox() as running:
        yield running


def finish(home: Home, box: Postbox) -> Answer:
    """Type `run`, without saying which day."""
    answer = home.run(EARLY_WARNING_SMTP_URL=box.url)
    assert (answer.code, answer.run["as_of_date"], answer.run["state"]) == (0, SECOND, "published"), answer.stderr
    return answer


def assert_nothing_happened(home: Home, box: Postbox, undisturbed: dict[str, Rows]) -> None:
    """Published rows and mails are those of an undisturbed home; nothing is owed, left open or left running."""
    with running_postgres(home.folder) as warehouse:
        rows = published(warehouse, SECOND)
        for view in ("customers", "indicator_values", "warnings", "runs"):
            assert rows[view] == undisturbed[view], f"bi.{view} differs"
        assert box.twice == []
        assert sorted([*mail] for mail in box.taken) == undisturbed["mails"]
        assert warehouse.rows("select run_id, state, finished_at is null as is_open from ops.run order by 1") == [
            {"run_id": 1, "state": "published", "is_open": False},
            {"run_id": 2, "state": "published", "is_open": False},
        ]
        assert warehouse.rows("select distinct state from ops.batch") == [{"state": "accepted"}]
        assert warehouse.rows("select distinct state from ops.outbox") == [{"state": "sent"}]
    assert home.postmaster is None


def test_run_killed_while_landing_and_again_in_mid_transform_is_finished_unseen(
    home: Home, box: Postbox, undisturbed: dict[str, Rows]
) -> None:
    with stuck_at(home, "landing.sales_orders", "--as-of", SECOND, EARLY_WARNING_SMTP_URL=box.url) as (
        process,
        warehouse,
    ):
        landed = warehouse.rows("select data_set, state from ops.batch where run_id = 2")
        kill(process)
    assert landed
    assert {row["state"] for row in landed} == {"landed"}
    assert home.postmaster, "the server outlives the killed process"

    with stuck_at(home, "marts.fct_customer_levels", EARLY_WARNING_SMTP_URL=box.url) as (process, warehouse):
        wait_until(lambda: bool(warehouse.rows("select from marts.dim_customers where run_id = 2 limit 1")), process)
        kill(process, home.postmaster)
    assert box.taken == []

    warehouse = home.orphaned_server()
    first_day = tuple(len(rows) for view, rows in published(warehouse, FIRST).items() if view != "runs")
    with watching(warehouse, [FIRST, SECOND]) as watch:
        answer = finish(home, box)

    assert answer.run["run_id"] == 2
    assert answer.run["batches"]["sales.orders"]["rows"] > 0
    second_day = tuple(len(undisturbed[view]) for view in ("customers", "indicator_values", "warnings"))
    assert watch.seen == {(FIRST, *first_day), (SECOND, 0, 0, 0), (SECOND, *second_day)}
    batches = home.rows("select data_set, count(*) as times from ops.batch where run_id = 2 group by 1")
    assert {row["times"] for row in batches} == {1}, "a data set landed twice"
    assert_nothing_happened(home, box, undisturbed)
    assert watch.errors == [], "a reader was turned away while the run was at work"


def test_run_killed_before_mailing_and_again_in_the_middle_of_it_mails_everybody_once(
    home: Home, undisturbed: dict[str, Rows]
) -> None:
    victims: list[subprocess.Popen[bytes]] = []

    def kill_at_the_third(taken: int) -> None:
        if taken == 2 and victims:
            kill(victims.pop(), home.postmaster)
            raise ConnectionAbortedError

    assert len(undisturbed["mails"]) > 3, "too few mails to be in the middle of them"

    with postbox(kill_at_the_third) as box:
        with stuck_at(home, "ops.outbox", "--as-of", SECOND, EARLY_WARNING_SMTP_URL=box.url) as (process, warehouse):
            publications = warehouse.rows("select * from ops.publication")
            kill(process, home.postmaster)
        assert [str(row["as_of_date"]) for row in publications] == [FIRST, SECOND]
        assert home.rows("select from ops.outbox where run_id = 2") == []

        victims.append(home.start(EARLY_WARNING_SMTP_URL=box.url))
        [process] = victims
        assert process.wait(timeout=180) == -signal.SIGKILL
        assert len(box.taken) == 2

        answer = finish(home, box)

        assert home.rows("select * from ops.publication") == publications, "it judged again"
        everybody = len(undisturbed["mails"])
        assert answer.run["mails"] == {"composed": everybody, "sent": everybody}
        assert_nothing_happened(home, box, undisturbed)
