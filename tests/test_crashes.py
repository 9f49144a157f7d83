"""kill -9 at the worst moments: the next `run` finishes what was owed, as if nothing had happened.

A few kills are part of `make test`; `make test-crash` kills at every named point and at a hundred random times.
"""

from __future__ import annotations

import json
import logging
import random
import subprocess
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from early_warning.embedded.postgres import running_postgres
from homes import (
    VICTIMS,
    Answer,
    Home,
    Postbox,
    Rows,
    Watch,
    kill,
    ledgers,
    made_once,
    postbox,
    published,
    session_folder,
    stuck_at,
    wait_until,
    watching,
)

FIRST = "2026-06-30"
SECOND, *LATER = DAYS = ("2026-07-15", "2026-07-31", "2026-08-01")  # far enough apart for several mails; a month rolls
VIEWS = ("customers", "indicator_values", "warnings")
pytestmark = pytest.mark.slow
_LOG = logging.getLogger(__name__)


# --- what happens when nobody kills anything ------------------------------------------------------------------------


@dataclass(frozen=True)
class Undisturbed:
    """The twin's days: their published rows, the ledgers after each, and the seconds at which a run's steps ended."""

    published: dict[str, dict[str, Rows]]
    ledgers: dict[str, dict[str, Rows]]
    timeline: list[float]

    def seen(self, *days: str) -> set[tuple[str, int, int, int]]:
        """What a reader may see of the days: nothing, or all of it."""
        wholes = [(day, *(len(self.published[day][view]) for view in VIEWS)) for day in days]
        return {(day, 0, 0, 0) for day in days if day != FIRST} | {(day, a, b, c) for day, a, b, c in wholes}


def _live(home: Home, *days: str) -> dict[str, Any]:
    """Let a home live through the days; says what became of it."""
    outcome: dict[str, Any] = {"published": {}, "ledgers": {}}
    for day in days:
        process, began, timeline = home.start("--as-of", day), time.monotonic(), []
        while process.poll() is None:
            timeline += [time.monotonic() - began] * (_steps_done(home) - len(timeline))
            time.sleep(0.02)
        assert process.returncode == 0, home.progress.read_text()
        outcome["timeline"] = [0.0, *timeline, time.monotonic() - began]
        with running_postgres(home.folder) as warehouse:
            outcome["published"] |= {day: published(warehouse, day) for day in (FIRST, day)}
            outcome["ledgers"][day] = ledgers(warehouse)
    return outcome


@pytest.fixture(scope="module")
def undisturbed(first_day: Home) -> Undisturbed:
    """The second day."""

    def make(folder: Path) -> None:
        outcome = _live(first_day.copy(folder / "home"), SECOND)
        (folder / "outcome.json").write_text(json.dumps(outcome))

    return Undisturbed(**json.loads((made_once("undisturbed", make) / "outcome.json").read_text()))


@pytest.fixture(scope="module")
def undisturbed_days(first_day: Home, undisturbed: Undisturbed) -> Undisturbed:
    """All days."""

    def make(folder: Path) -> None:
        second_day = Home(session_folder() / "undisturbed" / "home", first_day.company)
        outcome = _live(second_day.copy(folder / "home"), *LATER)
        (folder / "outcome.json").write_text(json.dumps(outcome))

    later = Undisturbed(**json.loads((made_once("undisturbed-days", make) / "outcome.json").read_text()))
    return Undisturbed(
        undisturbed.published | later.published, undisturbed.ledgers | later.ledgers, undisturbed.timeline
    )


@pytest.fixture
def box() -> Iterator[Postbox]:
    """A mail server that outlives the killed command."""
    with postbox() as running:
        yield running


# --- killing --------------------------------------------------------------------------------------------------------

Point = Callable[..., Any]  # (home, box, words) -> a context in which the run waits there, to be killed


def _at(table: str, when: str = "") -> Point:
    @contextmanager
    def point(home: Home, box: Postbox, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        with stuck_at(home, table, *words, when=when, EARLY_WARNING_SMTP_URL=box.url) as (process, _):
            yield process

    return point


@contextmanager
def _mailing(taken: int, home: Home, box: Postbox, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """The mail server has taken so many mails and has the next one in hand."""
    box.stuck_after = taken
    process = home.start(*words, EARLY_WARNING_SMTP_URL=box.url)
    wait_until(lambda: box.is_stuck, process)
    yield process
    box.stuck_after, box.is_stuck = None, False


POINTS: dict[str, Point] = {
    "opening": _at("ops.run_step"),
    "mid-COPY": _at("landing.sales_orders", "new.amount > 0"),
    "landed": _at("ops.gate_result"),
    "accepting": _at("ops.batch", "new.state = 'accepted'"),
    "accepted": _at("ops.run", "new.through_batch_id is not null"),
    "staging": _at("staging.base_sales__orders"),
    "cells": _at("intermediate.int_customer_cells"),
    "customers": _at("marts.dim_customers"),
    "mid-levels": _at("marts.fct_customer_levels", "new.warning_level is not null"),
    "before the pointer": _at("ops.publication"),
    "beside the pointer": _at("ops.run", "new.state = 'published'"),
    "before composing": _at("ops.outbox"),
    "composed": partial(_mailing, 0),
    "mid-mailing": partial(_mailing, 2),
    "before the receipt": _at("ops.outbox", "new.state = 'sent'"),
    "before it is over": _at("ops.run", "new.finished_at is not null"),
}


def kill_at(name: str, victim: str, home: Home, box: Postbox, *words: str) -> None:
    """Kill a run at a named point."""
    with POINTS[name](home, box, *words) as process:
        kill(home, process, victim)


def finish(home: Home, box: Postbox, day: str = SECOND) -> Answer:
    """Type `run`, without saying which day."""
    answer = home.run(EARLY_WARNING_SMTP_URL=box.url)
    assert (answer.code, answer.run["as_of_date"], answer.run["state"]) == (0, day, "published"), answer.stderr
    return answer


def without_receipt(home: Home, box: Postbox) -> set[tuple[str, str]]:
    """Mails that the server has taken and the ledger knows no receipt of: they alone may come again."""
    receipts = home.orphaned_server().rows("select message_id from ops.outbox where state = 'sent'")
    return {mail for mail in box.taken if {"message_id": mail[0]} not in receipts}


def assert_nothing_happened(
    home: Home, box: Postbox, undisturbed: Undisturbed, day: str = SECOND, *, repeats: Collection[tuple[str, str]] = ()
) -> None:
    """Published rows, ledgers and mails are those of the twin after that day; nothing is left running."""
    twin = undisturbed.ledgers[day]
    with running_postgres(home.folder) as warehouse:
        for one in (one for one in undisturbed.published if one <= day):
            rows = published(warehouse, one)
            for view, expected in undisturbed.published[one].items():
                assert_same(f"bi.{view} of {one}", rows[view], expected)
        for name, held in ledgers(warehouse).items():
            assert_same(name, held, twin[name])
    everybody = {(mail["message_id"], mail["recipient"]) for mail in twin["mails"] if mail["as_of_at"][:10] != FIRST}
    assert set(box.taken) == everybody, "a mail is lost, or has a second Message-ID"
    assert set(box.twice) <= {*repeats}, "a mail came again though its receipt was stored"
    assert home.processes == []
    assert home.postmaster is None


def assert_same(what: str, rows: Rows, expected: Rows) -> None:
    """Say the first rows that differ, not all of them."""
    only_here = [row for row in rows if row not in expected]
    only_there = [row for row in expected if row not in rows]
    assert rows == expected, f"{what}: {len(rows)} rows instead of {len(expected)}, {only_here[:2]} / {only_there[:2]}"


def assert_never_half(watch: Watch, undisturbed: Undisturbed, *days: str) -> None:
    """Whoever read saw a day whole or not at all, and was never turned away."""
    assert watch.looks > 0
    assert watch.seen <= undisturbed.seen(FIRST, *days), "a reader saw half a run"
    assert watch.errors == [], "a reader was turned away"


# --- the sample that `make test` kills ------------------------------------------------------------------------------


def test_run_killed_while_landing_and_in_mid_transform_is_finished_unseen(
    home: Home, box: Postbox, undisturbed: Undisturbed
) -> None:
    home.orphaned_server()
    with watching(home, [FIRST, SECOND]) as watch:
        kill_at("mid-COPY", "process", home, box, "--as-of", SECOND)
        landed = home.orphaned_server().rows("select state from ops.batch where run_id = 2")
        assert all(row["state"] == "landed" for row in landed), "half a batch is left"
        kill_at("cells", "server", home, box)
        kill_at("mid-levels", "both", home, box)
        assert box.taken == []
        answer = finish(home, box)
    assert answer.run["run_id"] == 2
    assert_never_half(watch, undisturbed, SECOND)
    assert_nothing_happened(home, box, undisturbed)


def test_run_killed_before_composing_and_before_a_receipt_mails_everybody(
    home: Home, box: Postbox, undisturbed: Undisturbed
) -> None:
    kill_at("before composing", "both", home, box, "--as-of", SECOND)
    publications = home.orphaned_server().rows("select * from ops.publication")
    assert [str(row["as_of_date"]) for row in publications] == [FIRST, SECOND]
    kill_at("before the receipt", "process", home, box)
    repeats = without_receipt(home, box)
    assert len(box.taken) == len(repeats) == 1
    answer = finish(home, box)
    everybody = len(set(box.taken))
    assert everybody > 3
    assert answer.run["mails"] == {"composed": everybody, "sent": everybody}
    assert box.twice == [*repeats], "it had said 250, and we could not know"
    assert home.rows("select * from ops.publication") == publications, "it judged again"
    assert_nothing_happened(home, box, undisturbed, repeats=repeats)


# --- all of it: `make test-crash` -----------------------------------------------------------------------------------


@pytest.mark.exhaustive
@pytest.mark.parametrize("victim", ["process", "server"])
@pytest.mark.parametrize("point", POINTS)
def test_run_killed_at_a_named_point_is_finished_unseen(
    home: Home, box: Postbox, undisturbed: Undisturbed, point: str, victim: str
) -> None:
    home.orphaned_server()
    with watching(home, [FIRST, SECOND]) as watch:
        kill_at(point, victim, home, box, "--as-of", SECOND)
        repeats = without_receipt(home, box)
        finish(home, box)
    assert_never_half(watch, undisturbed, SECOND)
    assert_nothing_happened(home, box, undisturbed, repeats=repeats)


@pytest.mark.exhaustive
@pytest.mark.parametrize("schema", ["staging", "intermediate", "marts"])
def test_run_killed_at_every_table_that_dbt_builds_is_finished_unseen(
    home: Home, box: Postbox, undisturbed_days: Undisturbed, schema: str
) -> None:
    tables = home.orphaned_server().rows("select tablename from pg_tables where schemaname = %s order by 1", schema)
    assert tables
    words = ["--as-of", SECOND]
    with watching(home, [FIRST, SECOND]) as watch:
        for number, table in enumerate(tables):
            with _at(f"{schema}.{table['tablename']}")(home, box, *words) as process:
                kill(home, process, VICTIMS[number % len(VICTIMS)])
            words = []
        finish(home, box)
    assert_never_half(watch, undisturbed_days, SECOND)
    assert_nothing_happened(home, box, undisturbed_days)
    for day in LATER:  # what a crash leaves behind in tables that grow would show now
        assert home.run("--as-of", day, EARLY_WARNING_SMTP_URL=box.url).code == 0
    assert_nothing_happened(home, box, undisturbed_days, LATER[-1])


CHAINS, KILLS = 10, (4, 3, 3)  # homes, and kills on each day of a home


def _moments(seed: int) -> list[list[float]]:
    """When to kill on each day, as shares of a run's length; all chains together cover it evenly, with jitter."""
    chance, kills = random.Random(seed), CHAINS * sum(KILLS)
    slots = iter(random.Random(CHAINS).sample(range(kills), kills)[seed * sum(KILLS) :])
    return [sorted((next(slots) + chance.random()) / kills for _ in range(number)) for number in KILLS]


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(CHAINS))
def test_runs_killed_at_random_times_day_after_day_are_finished_unseen(
    home: Home, box: Postbox, undisturbed_days: Undisturbed, seed: int
) -> None:
    chance, repeats = random.Random(seed), set[tuple[str, str]]()
    home.orphaned_server()
    with watching(home, [FIRST, *DAYS]) as watch:
        for day, moments in zip(DAYS, _moments(seed), strict=True):
            for moment in moments:
                words = _what_to_type(home, day)
                if words is None:  # the last kill came when all was done
                    break
                process = home.start(*words, EARLY_WARNING_SMTP_URL=box.url)
                _wait_for(moment, undisturbed_days.timeline, home, process)
                victim = chance.choice(VICTIMS)
                is_alive = process.poll() is None
                what = f"{victim} killed" if is_alive else f"ended with {process.returncode} before"
                _LOG.warning("%s: %s at %.1f %%, after step %d", day, what, 100 * moment, _steps_done(home))
                if is_alive:
                    kill(home, process, victim)
                repeats |= without_receipt(home, box)
            words = _what_to_type(home, day)
            if words is not None:
                answer = home.run(*words, EARLY_WARNING_SMTP_URL=box.url)
                assert (answer.code, answer.run["state"]) == (0, "published"), answer.stderr
    assert_never_half(watch, undisturbed_days, *DAYS)
    assert_nothing_happened(home, box, undisturbed_days, DAYS[-1], repeats=repeats)


def _what_to_type(home: Home, day: str) -> tuple[str, ...] | None:
    """Words after `run` that bring the day about: none once its run is known; None when nothing is owed any more."""
    rows = home.orphaned_server().rows("select finished_at from ops.run where as_of_date = %s", day)
    if not rows:
        return ("--as-of", day)
    return () if rows[-1]["finished_at"] is None else None


def _steps_done(home: Home) -> int:
    return home.progress.read_text(encoding="utf-8").count("✓")


def _wait_for(moment: float, timeline: list[float], home: Home, process: subprocess.Popen[bytes]) -> None:
    """Wait until a run is so far on its way: for the step before that moment, then its seconds. Returns if it ends.

    A machine that is busy now and was not then, or the other way round, shifts a kill within its step only.
    """
    seconds = moment * timeline[-1]
    steps = sum(end <= seconds for end in timeline[1:])
    while process.poll() is None and _steps_done(home) < steps:
        time.sleep(0.01)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds - timeline[steps])
