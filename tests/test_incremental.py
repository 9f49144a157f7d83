"""Runs on what days changed: published rows equal the oracle's every day, and a build from scratch at checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import sql

import oracle
from dirty_days import (
    ALL_APPEND,
    ALL_SNAPSHOT,
    ALL_STAMPED,
    DIRT,
    INVOICES,
    ORDERS,
    REGION,
    SOME_APPEND,
    Scene,
    Script,
    Sources,
    Troupe,
    settle,
)
from early_warning import landing, runs, transform
from early_warning import policy as policies
from early_warning.warehouse import Warehouse
from exceptions import random_exceptions, with_exceptions
from histories import SHANGHAI
from judged_by_sql import chain_differences, changed_policy, land, land_batch
from oracle import Batch, Moment, Run, world_of
from oracle.world import KEYS

NEW_YORK = ZoneInfo("America/New_York")
MARTS = {
    "dim_customers": ("customer_id",),
    "fct_customer_levels": ("customer_id",),
    "fct_indicator_values": ("customer_id", "indicator_code"),
    "fct_warning_cases": ("customer_id", "case_id"),
    "fct_indicator_associations": ("indicator_code_a", "indicator_code_b"),
    "fct_product_quality": ("item_kind", "item_id"),
    "fct_company_health": ("dimension", "segment"),
    "fct_warning_outcomes": ("customer_id", "case_id"),
    "fct_warning_recoveries": ("customer_id", "case_id"),
    "fct_lost_customers": ("customer_id", "active_on"),
    "fct_warning_trends": ("customer_id",),
}
"""What a run writes, and what its rows are known by."""


@dataclass
class Chain:
    """Runs of one company, one after another: SQL judges what has landed, the oracle what has been accepted."""

    databases: Any = field(repr=False)
    warehouse: Warehouse
    sources: Sources = field(repr=False)
    policy_folder: Path
    zone: ZoneInfo = SHANGHAI
    absent: set[str] = field(default_factory=set)
    """Data sets of which nothing has been delivered yet."""
    stale: set[str] = field(default_factory=set)
    """Data sets that are too old to judge by."""
    story: list[str] = field(default_factory=list)
    _landed: dict[int, tuple[Batch, str]] = field(default_factory=dict, repr=False)
    _judged: dict[int, tuple[Run, int | None]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        land(self.warehouse, {}, self.zone)
        self._landing_run = self.warehouse.rows("select run_id from ops.run")[0]["run_id"]

    @property
    def has_judged(self) -> bool:
        """Whether there was a run before."""
        return bool(self._judged)

    def deliver(self, leaving_out: Iterable[str] = (), state: str = "accepted") -> None:
        """Land what the sources send."""
        for data_set in sorted(self.sources.modes.keys() - self.absent - set(leaving_out)):
            if batch := self.sources.deliver(data_set):
                self.land(batch, state)

    def land(self, batch: Batch, state: str) -> None:
        """Land a batch and leave it in a state: accepted, or landed or rejected, so that no run reads it."""
        with self.warehouse.connect() as connection:
            self._landed[land_batch(connection, self._landing_run, batch, state)] = (batch, state)

    def accept_late(self) -> None:
        """Accept the batches that landed and that no gate had decided upon, after later ones were accepted."""
        self.warehouse.execute("update ops.batch set state = 'accepted' where state = 'landed'")
        self._landed = {
            batch_id: (batch, "accepted" if state == "landed" else state)
            for batch_id, (batch, state) in self._landed.items()
        }

    def judge(self, moment: Moment) -> int:
        """Build and publish a run; every figure is what the oracle says. Returns the run id."""
        run_id = self._open(moment)
        self.story.append(f"{moment.as_of_date} run {run_id}")
        transform.build(self.warehouse, run_id)
        runs.publish(self.warehouse, run_id)
        found = chain_differences(self.warehouse, run_id, *self._by_oracle(run_id, moment))
        assert found == [], self._told("the oracle", found)
        return run_id

    def break_off_somewhere(self, moment: Moment, random: Random) -> None:
        """Begin a run that dies where it would write some table."""
        tables = self.warehouse.rows(
            "select schemaname, tablename from pg_tables where schemaname in ('staging', 'intermediate', 'marts')"
            " order by 1, 2"
        )
        table = random.choice(tables)
        self.break_off(moment, table["schemaname"], table["tablename"])

    def break_off(self, moment: Moment, schema: str, table: str, *, is_killed: bool = False) -> None:
        """Begin a run that dies where it would write a table: what came before is committed, the rest is not.

        A killed run can't say that it failed.
        """
        run_id = self._open(moment)
        self.story.append(f"{moment.as_of_date} run {run_id} dies at {table}")
        with _locked(self.warehouse, schema, table), pytest.raises(transform.TransformFailed):
            transform.build(self.warehouse, run_id)
        if not is_killed:
            runs.fail(self.warehouse, run_id, "transform: died")

    def check_from_scratch(self, run_id: int) -> None:
        """Build the run again from all that has landed, in a copy of the warehouse: not one row differs."""
        copy = self.databases.copy(self.warehouse)
        transform.build(copy, run_id, from_scratch=True)
        found = []
        for mart, columns in MARTS.items():
            query = f"select * from marts.{mart} where run_id = %s"
            incremental, anew = (_by_key(each.rows(query, run_id), columns) for each in (self.warehouse, copy))
            found += [
                f"{mart} {key} {column}: {_of(incremental, key, column)!r}, from scratch {_of(anew, key, column)!r}"
                for key in sorted(incremental.keys() | anew.keys())
                for column in (incremental.get(key) or anew[key])
                if _of(incremental, key, column) != _of(anew, key, column)
            ]
        assert found == [], self._told("a build from scratch", found)
        self.databases.drop(copy)

    def _open(self, moment: Moment) -> int:
        policy = policies.load(self.policy_folder)
        policies.store(self.warehouse, policy)
        at = runs.Moment(moment.as_of_date, moment.cutoff)
        run_id = runs.open_run(self.warehouse, at, moment.time_zone, policy.policy_hash)
        if not runs.has_fixed_batches(self.warehouse, run_id):
            landing.accept(self.warehouse, run_id)
        self.warehouse.execute("update ops.run set stale_data_sets = %s where run_id = %s", sorted(self.stale), run_id)
        return run_id

    def _by_oracle(self, run_id: int, moment: Moment) -> tuple[list[Run], oracle.Policy]:
        [row] = self.warehouse.rows("select previous_run_id, through_batch_id from ops.run where run_id = %s", run_id)
        world = world_of(
            batch
            for batch_id, (batch, state) in sorted(self._landed.items())
            if state == "accepted" and batch_id <= row["through_batch_id"]
        )
        policy = oracle.Policy.read(self.policy_folder)
        self._judged[run_id] = (oracle.judge(world, moment, policy, self.stale), row["previous_run_id"])
        chain: list[Run] = []
        at: int | None = run_id
        while at in self._judged:
            run, at = self._judged[at]
            chain.insert(0, run)
        return chain, policy

    def _told(self, other: str, found: list[str]) -> str:
        lines = "\n".join(found[:40])
        story = "\n".join(self.story[-60:])
        return f"{len(found)} figures differ from {other}:\n{lines}\n\nWhat happened:\n{story}"


def _of(rows: dict[Any, dict[str, Any]], key: Any, column: str) -> Any:
    return rows[key][column] if key in rows else "no row"


def _by_key(rows: list[dict[str, Any]], columns: Sequence[str]) -> dict[Any, dict[str, Any]]:
    return {tuple(row[column] for column in columns): row for row in rows}


@contextmanager
def _locked(warehouse: Warehouse, schema: str, table: str) -> Iterator[None]:
    """Let nobody write a table, nor wait for it."""
    name = warehouse.parameters["dbname"]
    set_timeout = "alter role early_warning in database {} {} lock_timeout"
    with warehouse.connect(autocommit=True) as admin:
        admin.execute(sql.SQL(set_timeout + " = '100ms'").format(sql.Identifier(name), sql.SQL("set")))
    try:
        with psycopg.connect(warehouse.dsn) as holder:
            holder.execute(sql.SQL("lock table {} in share mode").format(sql.Identifier(schema, table)))
            yield
    finally:
        with warehouse.connect(autocommit=True) as admin:
            admin.execute(sql.SQL(set_timeout).format(sql.Identifier(name), sql.SQL("reset")))


IN_THE_REGION = [
    ("order_amount", "months", "2", "", "", "", REGION),
    ("average_order_value", "months", "1", "", "", "", REGION),
    ("interaction_frequency", "baseline_months", "4", "", "", "", REGION),
    ("overdue_ratio", "baseline_months", "5", "", "", "", REGION),
    ("late_payment_rate", "months", "2", "", "", "", REGION),
    ("order_fulfilment", "months", "2", "", "", "", REGION),
    ("complaint_rate", "baseline_months", "4", "", "", "", REGION),
    ("complaint_rate", "count_days", "40", "", "", "", REGION),
    ("return_rate", "months", "1", "", "", "", REGION),
    ("negative_feedback", "baseline_months", "5", "", "", "", REGION),
    ("negative_feedback", "window_days", "70", "", "", "", REGION),
    ("delivery_punctuality", "months", "5", "", "", "", REGION),
    ("response_time", "window_days", "80", "", "", "", REGION),
]
FOR_SOME_DAYS = [
    ("order_frequency", "baseline_share", "0.90", "", "", "", "", "2024-03-02", "2024-03-05"),
    ("overdue_ratio", "baseline_months", "3", "", "", "", "", "2024-03-02", "2024-03-05"),
    ("late_payment_rate", "months", "4", "", "", "", "", "2024-03-02", "2024-03-05"),
    ("order_fulfilment", "months", "4", "", "", "", "", "2024-03-02", "2024-03-05"),
]
"""Days that begin and end between two runs of LEAP_DAYS without another month beginning."""


@pytest.fixture
def policy_folder(tmp_path: Path) -> Path:
    """The shipped policy with some exceptions.

    And a segment of one customer has a rhythm of its own there, so that scripts don't disturb another, and a case goes
    through its life in a few days.
    """
    days = {"cooldown_days": "2", "follow_up_days": "1", "reopen_days": "4"}
    folder = changed_policy(
        tmp_path / "policy", "hysteresis_and_budget", min_segment_customers="1", owner_budget="3", **days
    )
    changed_policy(folder, "outcomes", horizon_days="1", recovery_days="2")
    return with_exceptions(folder, [*IN_THE_REGION, *FOR_SOME_DAYS])


# --- each kind of dirt for customers of its own -----------------------------------------------------------------------

LEAP_DAYS = [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1), date(2024, 3, 2), date(2024, 3, 6)]


def play(chain: Chain, scripts: tuple[Script, ...]) -> None:
    """Play scripts side by side, each for a segment of its own, over a leap day and a month's end."""
    sources, random = chain.sources, Random(1)
    stages = [Scene(sources, random, each.__name__, f"{each.__name__}/other") for each in scripts]
    for stage in stages:
        settle(stage)
    playing = [script(stage) for script, stage in zip(scripts, stages, strict=True)]
    for day in LEAP_DAYS:
        sources.today = Moment.midnight_after(day, chain.zone)
        for script in playing:
            next(script, None)
        chain.deliver()
        run_id = chain.judge(sources.today)
    assert all(next(script, "over") == "over" for script in playing), "a script is longer than the days"
    chain.check_from_scratch(run_id)


DELIVERIES = (
    pytest.param(ALL_APPEND, ALL_STAMPED, id="append"),
    pytest.param(ALL_SNAPSHOT, ALL_STAMPED, id="snapshot"),
    pytest.param(SOME_APPEND, frozenset(), id="mixed-without-stamps"),
)


@pytest.mark.slow
@pytest.mark.parametrize(("modes", "stamped"), DELIVERIES)
def test_dirt_of_every_kind_leaves_what_the_sources_hold(
    postgres: Any, warehouse: Warehouse, policy_folder: Path, modes: Any, stamped: frozenset[str]
) -> None:
    first = Moment.midnight_after(LEAP_DAYS[0], SHANGHAI)
    play(Chain(postgres, warehouse, Sources(modes, stamped, first), policy_folder), DIRT)


@pytest.mark.slow
@pytest.mark.parametrize("table", ["int_cells_changed", "int_invoices_changed", "int_surveys_changed"])
def test_snapshot_that_a_dying_build_took_in_counts_behind_a_newer_one_that_says_the_same(
    postgres: Any, warehouse: Warehouse, policy_folder: Path, table: str
) -> None:
    first, second, third = (Moment.midnight_after(day, SHANGHAI) for day in LEAP_DAYS[:3])
    sources = Sources(ALL_SNAPSHOT, ALL_STAMPED, first)
    chain, scene = Chain(postgres, warehouse, sources, policy_folder), Scene(sources, Random(1), "some", "other")
    settle(scene)
    chain.deliver()
    chain.judge(first)
    sources.today = second
    scene.order(40)
    scene.ticket(40)
    scene.invoice(40)
    scene.survey(2, score=1)
    chain.deliver()
    chain.break_off(second, "intermediate", table)
    sources.today = third
    chain.deliver()
    chain.check_from_scratch(chain.judge(third))


@pytest.mark.slow
@pytest.mark.parametrize("modes", [ALL_APPEND, ALL_SNAPSHOT], ids=["append", "snapshot"])
def test_killed_run_stays_by_its_batches_though_an_older_one_took_in_later_ones(
    postgres: Any, warehouse: Warehouse, policy_folder: Path, modes: Any
) -> None:
    first, older, killed = (Moment.midnight_after(day, SHANGHAI) for day in LEAP_DAYS[:3])
    sources = Sources(modes, ALL_STAMPED, first)
    chain, scene = Chain(postgres, warehouse, sources, policy_folder), Scene(sources, Random(1), "some", "other")
    settle(scene)
    order, invoice = scene.order(40), scene.invoice(40)
    chain.deliver()
    chain.judge(first)
    sources.today = older
    scene.order(35)
    chain.deliver()
    chain.break_off(older, "staging", "stg_ops__run")
    chain.break_off(killed, "staging", "stg_ops__run", is_killed=True)
    scene.change(ORDERS, order, amount=Decimal(9))
    scene.remove(INVOICES, invoice)
    scene.survey(2, score=1)
    chain.deliver()
    chain.break_off(older, "marts", "fct_customer_levels")
    chain.check_from_scratch(chain.judge(killed))
    chain.check_from_scratch(chain.judge(older))


@pytest.mark.slow
def test_batch_accepted_after_later_ones_undoes_nothing_they_said(
    postgres: Any, warehouse: Warehouse, policy_folder: Path
) -> None:
    first, second = (Moment.midnight_after(day, SHANGHAI) for day in LEAP_DAYS[:2])
    sources = Sources(ALL_APPEND, frozenset(), first)
    chain, scene = Chain(postgres, warehouse, sources, policy_folder), Scene(sources, Random(1), "some", "other")
    settle(scene)
    order = scene.order(40, "310")
    chain.deliver()
    chain.judge(first)
    sources.today = second
    scene.change(ORDERS, order, amount=Decimal(9))
    chain.deliver(state="landed")
    scene.change(ORDERS, order, amount=Decimal(310))
    chain.deliver()
    chain.judge(second)
    chain.accept_late()
    chain.check_from_scratch(chain.judge(second))


# --- random days ------------------------------------------------------------------------------------------------------

CALENDAR = (
    *(date(2023, 12, 29) + timedelta(days=n) for n in range(5)),
    *(date(2024, 1, 30) + timedelta(days=n) for n in range(3)),
    *(date(2024, 2, 28) + timedelta(days=n) for n in range(4)),
)
"""Days that no random chain leaves out: the ends of a year, of a month and of a leap February."""


Event = Callable[["DirtyDays", date], int]


@dataclass
class DirtyDays:
    """A chain of daily runs, several scripts playing every day, and now and then an event of the platform's own."""

    chain: Chain
    troupe: Troupe
    random: Random
    days: list[date]
    policies: list[Path]
    zones: list[ZoneInfo] = field(default_factory=lambda: [SHANGHAI, NEW_YORK])

    @classmethod
    def drawn(cls, chain: Chain, random: Random, other_policy: Path) -> DirtyDays:
        """Twenty-four days and what lives on them."""
        others = (date(2023, 12, 20) + timedelta(days=n) for n in range(80))
        days = sorted({*CALENDAR, *random.sample([day for day in others if day not in CALENDAR], 12)})
        moments = [Moment.midnight_after(day, chain.zone) for day in days]
        chain.sources.today, chain.absent = moments[0], {"service.surveys", "finance.payments"}
        troupe = Troupe.of(chain.sources, random, moments)
        chain.story = troupe.story
        return cls(chain, troupe, random, days, [chain.policy_folder, other_policy])

    def pass_by(self, events: Sequence[Event]) -> None:
        """Live through all days, each event on one of them; build anew every eighth day and after the last."""
        when = dict(zip(self.random.sample(self.days[1:], len(events)), events, strict=True))
        for number, day in enumerate(self.days, start=1):
            event = when.get(day, DirtyDays.ordinary)
            self.chain.story.append(f"{day} {event.__name__}")
            run_id = event(self, day)
            if number % 8 == 0 or day == self.days[-1]:
                self.chain.check_from_scratch(run_id)

    def ordinary(self, day: date) -> int:
        """The sources change and deliver, but for some that don't come; a run judges."""
        return self._run(self._at(day))

    def nothing_new(self, day: date) -> int:
        """Only time has passed."""
        return self.chain.judge(self._at(day))

    def once_more(self, day: date) -> int:
        """The day is run again after a second delivery."""
        self._run(self._at(day))
        return self._run(self._at(day))

    def intraday(self, day: date) -> int:
        """A run cuts within the day, the daily one follows."""
        noon = datetime.combine(day, time(self.random.randrange(1, 24), 30), self.zones[0])
        self._run(Moment.at(noon, self.zones[0]))
        return self._run(self._at(day))

    def backfill(self, day: date) -> int:
        """A past day is judged over later data: one that was judged before, one that was skipped, or the first ever."""
        self._run(self._at(day))
        return self.chain.judge(self._at(day - timedelta(days=self.random.choice((1, 2, 11, 33, 75)))))

    def backfill_of_news(self, day: date) -> int:
        """What is new comes with the run of a past day, the next day has nothing to read but that."""
        self._run(self._at(day - timedelta(days=self.random.choice((1, 30)))))
        return self.nothing_new(day)

    def broken(self, day: date) -> int:
        """A run dies and is gone on with."""
        self._change(self._at(day))
        self.chain.deliver()
        self.chain.break_off_somewhere(self._at(day), self.random)
        return self.chain.judge(self._at(day))

    def broken_and_left(self, day: date) -> int:
        """A run dies, another moment is judged first; only then it is gone on with."""
        self._change(self._at(day))
        self.chain.deliver()
        self.chain.break_off_somewhere(self._at(day), self.random)
        self._run(self._at(day + timedelta(days=1)))
        return self.chain.judge(self._at(day))

    def rejected(self, day: date) -> int:
        """Batches that a gate turned away must not be read, however new they say they are."""
        for data_set, records in self.chain.sources.held.items():
            spoilt = {"customer_id": "C00", "updated_at": datetime(2030, 1, 1, tzinfo=UTC)}
            rows = [{**row, **spoilt} for row in list(records.values())[:50] if "customer_id" not in KEYS[data_set]]
            self.chain.land(Batch(data_set, self.chain.sources.modes[data_set], rows), "rejected")
        return self._run(self._at(day))

    def accepted_late(self, day: date) -> int:
        """Batches land, but no gate looks at them before later ones are accepted and judged."""
        self._change(self._at(day))
        self.chain.deliver(state="landed")
        self._run(self._at(day))
        self.chain.accept_late()
        return self.chain.judge(self._at(day))

    def new_policy(self, day: date) -> int:
        """The thresholds and months are others from today."""
        self.policies.reverse()
        self.chain.policy_folder = self.policies[0]
        return self.ordinary(day)

    def moved(self, day: date) -> int:
        """The company's days begin in another time zone."""
        self.zones.reverse()
        return self.ordinary(day)

    def first_delivery(self, day: date) -> int:
        """A data set is delivered for the first time."""
        self.chain.absent.remove(max(self.chain.absent))
        return self.ordinary(day)

    def stalled(self, day: date) -> int:
        """Sources stand still for too long; a run that finds them at work again dies; from then on they are."""
        self._run(self._at(day))
        self.chain.stale = set(self.random.sample(sorted(self.chain.sources.modes), 3))
        self.chain.judge(self._at(day))
        self.chain.stale, stale = set(), self.chain.stale
        self.chain.break_off_somewhere(self._at(day), self.random)
        self.chain.stale = stale
        run_id = self.chain.judge(self._at(day))
        self.chain.stale = set()
        return run_id

    events: ClassVar = (
        *(backfill, backfill, backfill_of_news, intraday, intraday, once_more, nothing_new, broken, broken),
        *(broken_and_left, rejected, accepted_late, accepted_late, new_policy, new_policy, moved, moved),
        *(first_delivery, first_delivery, stalled),
    )
    """Everything that can befall a chain of runs, the worse things twice."""

    def _at(self, day: date) -> Moment:
        return Moment.midnight_after(day, self.zones[0])

    def _change(self, moment: Moment) -> None:
        self.chain.sources.today = moment
        self.troupe.act(beginnings=4)

    def _run(self, moment: Moment) -> int:
        self._change(moment)
        missing = [name for name in self.chain.sources.modes if self.random.random() < 1 / 6]
        self.chain.deliver(leaving_out=missing if self.chain.has_judged else ())  # nobody is judged without customers
        return self.chain.judge(moment)


@pytest.fixture
def days_of(postgres: Any, warehouse: Warehouse, tmp_path: Path) -> Callable[[int], DirtyDays]:
    """Dirty days by their seed, which also decides how the sources deliver."""

    def draw(seed: int) -> DirtyDays:
        random = Random(seed)
        settings = {"min_segment_customers": "4"}
        usual = changed_policy(tmp_path / "usual", "hysteresis_and_budget", **settings)
        settings |= {"product_window_days": "60", "product_baseline_days": "200", "product_min_problems": "3"}
        other = changed_policy(tmp_path / "other", "hysteresis_and_budget", inactive_days="120", **settings)
        changed_policy(
            other,
            order_amount__months="2",
            order_amount__baseline_months="6",
            order_frequency__baseline_share="0.30",
            days_since_last_order__days="75",
            complaint_rate__baseline_months="0",
            complaint_rate__count_days="60",
            overdue_days__days="20",
            satisfaction__expires_days="90",
            average_order_value__months="2",
            late_payment_rate__months="3",
            delivery_punctuality__months="1",
            return_rate__baseline_months="0",
            negative_feedback__window_days="60",
            competitor_activity__window_days="30",
            churn_probability__expires_days="30",
        )
        for folder in (usual, other):
            with_exceptions(folder, random_exceptions(Random(seed + 1), CALENDAR))
        modes = {data_set: random.choice(("append", "append", "snapshot")) for data_set in sorted(ALL_STAMPED)}
        stamped = frozenset(data_set for data_set in sorted(ALL_STAMPED) if random.random() < 2 / 3)
        first = Moment.midnight_after(CALENDAR[0], SHANGHAI)
        chain = Chain(postgres, warehouse, Sources(modes, stamped, first), usual)
        return DirtyDays.drawn(chain, random, other)

    return draw


@pytest.mark.longest
@pytest.mark.slow
def test_thirty_dirty_days_leave_what_a_build_from_scratch_finds(days_of: Callable[[int], DirtyDays]) -> None:
    # customers, invoices, surveys, terms, competitors as snapshots, the rest by change; payments without updated_at
    dirty = days_of(11188)
    dirty.pass_by(dirty.events)


# To find out which kind of dirt or which event a failure comes from, and for more chance than `make test` has time for.


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize(("modes", "stamped"), DELIVERIES)
@pytest.mark.parametrize("script", DIRT, ids=lambda script: script.__name__)
def test_dirt_of_one_kind_leaves_what_the_sources_hold(
    postgres: Any, warehouse: Warehouse, policy_folder: Path, modes: Any, stamped: frozenset[str], script: Script
) -> None:
    first = Moment.midnight_after(LEAP_DAYS[0], SHANGHAI)
    play(Chain(postgres, warehouse, Sources(modes, stamped, first), policy_folder), (script,))


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("event", dict.fromkeys(DirtyDays.events), ids=lambda event: event.__name__)
def test_one_event_leaves_what_a_build_from_scratch_finds(days_of: Callable[[int], DirtyDays], event: Event) -> None:
    dirty = days_of(19)
    dirty.days = dirty.days[3:9]
    dirty.pass_by([event])


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 120))
def test_other_dirty_days_do_so_too(days_of: Callable[[int], DirtyDays], seed: int) -> None:
    dirty = days_of(seed)
    dirty.pass_by(dirty.events)
