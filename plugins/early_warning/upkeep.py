"""Upkeep: drops what the company's retention no longer keeps, and leaves fresh statistics behind.

It works beside readers and runs: a day's pointer goes first, in a transaction of its own, and no run goes on from a
dropped one, so that nobody asks for rows any more when they go. It gives way to a transform. Every step asks the
warehouse what is left to do and commits for itself: it may be killed anywhere and repeated at will.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any, LiteralString

from psycopg import sql
from psycopg.errors import LockNotAvailable

from early_warning.contract import DATA_SETS, DataSet
from early_warning.settings import Retention
from early_warning.warehouse import Connection, Warehouse

# The newest version of a record stays; of these also the one with the least such date, which staging publishes.
_FIRST_SEEN = {"sales.customers": "customer_since"}


# The first open run that was at work within a day: neither it nor what came after it is old.
_GONE_ON_WITH = sql.SQL(
    "(select coalesce(min(run_id), 'infinity'::float) from ops.run join ops.run_step using (run_id)"
    " where run.state in ('running', 'failed') and run_step.started_at > now() - interval '1 day')"
)


class WarehouseBusy(Exception):
    """A transform, another upkeep or an old run that came alive is in the way. The rest goes the next time."""


@dataclass(frozen=True)
class Dropped:
    """What went from a table: rows (of ops.publication days, of ops.outbox bodies of mails) and their bytes."""

    rows: int
    bytes: int


@dataclass(frozen=True)
class Outcome:
    """What an upkeep did. `today`: the newest day that was judged, None if there is none; `dropped` by table.

    `warehouse_bytes` is what the warehouse takes on disk. Space that rows leave behind is used again, not given back.
    """

    today: date | None
    dropped: dict[str, Dropped]
    warehouse_bytes: int


def tidy(warehouse: Warehouse, retention: Retention) -> Outcome:
    """Drop what is older than `retention` says, then vacuum and analyze; ops.upkeep keeps what went.

    Ages are counted in judged days, from the newest day back, so that a company whose calendar stands still loses
    nothing. What a run still needs stays, however old: see docs/decisions/0005-retention.md.

    Raises:
        WarehouseBusy: somebody is in the way. Nothing is left half done.
    """
    with warehouse.connect(autocommit=True) as connection, _alone(connection):
        upkeep = _begin(connection, retention)
        if upkeep is not None:
            upkeep.drop_runs(retention)
            upkeep.drop_explanations()
            upkeep.drop_replays(retention)
            upkeep.drop_unaccepted_batches()
            for data_set in DATA_SETS.values():
                upkeep.drop_replaced(data_set)
        # In place of the autovacuum, for which an embedded server does not run long enough. A table that is locked is
        # left for the next time; not to truncate keeps readers from waiting.
        connection.execute("vacuum (analyze, skip_locked, truncate false)")
        return _end(connection, upkeep)


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    if not _value(connection, "select pg_try_advisory_lock(hashtext('early_warning.upkeep'))"):
        raise WarehouseBusy("another upkeep is at work")
    connection.execute("set lock_timeout = '5s'")
    connection.execute("set synchronous_commit = off")  # what a crash takes back goes the next time
    try:
        yield
    except LockNotAvailable as error:
        raise WarehouseBusy("a run holds what upkeep wants to drop") from error


def _begin(connection: Connection, retention: Retention) -> _Upkeep | None:
    """Find out what is old, and open an entry in the ledger; None if nothing was ever published.

    A run is as old as the newest day that had been judged when it was opened, so that last week's back-fill of a day in
    spring is a week old. A day that lay ahead of the clock, a slip of the pen, makes nothing older.
    """
    found = connection.execute(
        sql.SQL(
            "with reached as ("
            " select run_id, published_at, max(least(as_of_date, (opened_at at time zone company_time_zone)::date))"
            " over (order by run_id) as reached_on from ops.run),"
            " present as (select max(reached_on) as today from reached where published_at is not null)"
            " select today, coalesce((select max(run_id) from reached where reached_on <= today - %s"
            " and run_id < {gone_on_with}), 0) from present where today is not null"
        ).format(gone_on_with=_GONE_ON_WITH),
        (retention.detail_days,),
    ).fetchone()
    if found is None:
        return None
    today, old_run_id = found
    upkeep_id = _value(connection, "insert into ops.upkeep (today) values (%s) returning upkeep_id", today)
    return _Upkeep(connection, upkeep_id, today, old_run_id)


def _end(connection: Connection, upkeep: _Upkeep | None) -> Outcome:
    size = _value(connection, "select pg_database_size(current_database())")
    if upkeep is None:
        return Outcome(None, {}, size)
    dropped = _value(
        connection,
        "update ops.upkeep set finished_at = now(), warehouse_bytes = %s where upkeep_id = %s returning dropped",
        size,
        upkeep.upkeep_id,
    )
    return Outcome(upkeep.today, {table: Dropped(**what) for table, what in sorted(dropped.items())}, size)


@dataclass(frozen=True)
class _Upkeep:
    """One upkeep at work. Runs up to `old_run_id`, with their batches, are older than `detail_days`."""

    connection: Connection
    upkeep_id: int
    today: date
    old_run_id: int

    def drop_runs(self, retention: Retention) -> None:
        """Take the pointers of runs that nobody needs away, then their rows: one transaction a table and run."""
        with self._step():
            # open_run chooses the run to go on from under the same lock: it never meets one that is going
            self.connection.execute("select pg_advisory_xact_lock(hashtext('early_warning.open_run'))")
            self._leave_what_is_gone_on_with()
            self.connection.execute(
                _DROP_RUNS, {**retention.model_dump(), "today": self.today, "old_run_id": self.old_run_id}
            )
            self._delete("ops.publication", "where run_id in (select run_id from ops.run where dropped_at is not null)")
        for table in self._marts():
            passing = _PASSING.get(table, sql.SQL("true"))
            for run_id in self._dropped_runs_in(table, passing):
                with self._step():
                    what = sql.SQL("where run_id = %(run_id)s and {}").format(passing)
                    self._delete(table, what, run_id=run_id)
        for table in ("ops.gate_result", "ops.problem", "ops.run_step"):
            with self._step():
                self._delete(table, "where run_id in (select run_id from ops.run where dropped_at is not null)")

    def drop_explanations(self) -> None:
        """Drop rows in quarantine, and the bodies of mails that have left; their entries in the ledger stay."""
        with self._step():
            self._delete("ops.quarantine", "where run_id <= %(old_run_id)s")
        with self._step():
            self._note(
                "ops.outbox",
                sql.SQL(
                    "update ops.outbox set mime = null from ops.outbox as before"
                    " where outbox.mail_key = before.mail_key and outbox.mime is not null"
                    " and outbox.state <> 'pending' and outbox.run_id <= %(old_run_id)s"
                    " returning pg_column_size(before.mime) as bytes"
                ),
            )

    def drop_replays(self, retention: Retention) -> None:
        """Drop what back-tests judged so long ago; whoever asks again has it judged again."""
        old = sql.SQL("judged_at < now() - make_interval(days => {})").format(retention.detail_days)
        with self._step():
            of_old = sql.SQL("where run_id in (select run_id from ops.replay where {})").format(old)
            self._delete("ops.replayed_customer", of_old)
            self._delete("ops.replayed_fact", of_old)
            self._delete("ops.replay", sql.SQL("where {}").format(old))

    def drop_unaccepted_batches(self) -> None:
        """Drop what gates turned away and what runs that never came to an end left: their files count as unread."""
        for batch_id, data_set in self._batches(
            "state <> 'accepted' and exists (select from ops.run where run.run_id = batch.run_id"
            " and (dropped_at is not null or run.state = 'published'))"
        ):
            with self._step():
                # a batch without rows must never be accepted
                turned_away = self.connection.execute(
                    "update ops.batch set state = 'rejected', upkept_at = now()"
                    " where batch_id = %s and state <> 'accepted'",
                    (batch_id,),
                )
                if turned_away.rowcount:
                    self._delete(f"landing.{data_set.table}", "where _batch_id = %(batch_id)s", batch_id=batch_id)
                    self._delete("ops.delivery", "where batch_id = %(batch_id)s", batch_id=batch_id)

    def drop_replaced(self, data_set: DataSet) -> None:
        """Drop what old batches replaced: a snapshot all that came before it, others older versions of their records.

        Only records of batches that upkeep has not been over yet are looked at: cost follows change. Marks of deletion
        stay, being the newest versions. Which files were read stays known.
        """
        accepted = "select batch_id from ops.batch where data_set = %(data_set)s and state = 'accepted'"
        batches = self._batches("state = 'accepted' and data_set = %(data_set)s", data_set=data_set.name)
        if not batches:
            return
        found: dict[str, Any] = {"data_set": data_set.name, "batches": [batch_id for batch_id, _ in batches]}
        found["snapshot"] = _value(
            self.connection,
            "select coalesce(max(batch_id), 0) from ops.batch"
            " where data_set = %s and state = 'accepted' and mode = 'snapshot' and run_id <= %s",
            data_set.name,
            self.old_run_id,
        )
        table = f"landing.{data_set.table}"
        with self._step():
            self._delete(table, f"where _batch_id < %(snapshot)s and _batch_id in ({accepted})", **found)
            if found["batches"][-1] > found["snapshot"]:
                self._delete(table, _older_versions(data_set), **found)
            self.connection.execute(
                "update ops.batch set upkept_at = now() where batch_id = any(%s)", (found["batches"],)
            )

    @contextmanager
    def _step(self) -> Iterator[None]:
        """One transaction, while no transform or back-test is at work (they hold the same locks)."""
        with self.connection.transaction():
            for name, at_work in (("staging", "a run"), ("replay", "a back-test")):
                lock = f"early_warning.{name}"
                if not _value(self.connection, "select pg_try_advisory_xact_lock(hashtext(%s))", lock):
                    raise WarehouseBusy(f"{at_work} is at work")
            self._leave_what_is_gone_on_with()
            yield

    def _leave_what_is_gone_on_with(self) -> None:
        if not _value(self.connection, sql.SQL("select %s < {}").format(_GONE_ON_WITH), self.old_run_id):
            raise WarehouseBusy("somebody goes on with an old run")

    def _delete(self, table: str, condition: LiteralString | sql.Composed, **parameters: Any) -> None:
        statement = sql.SQL("delete from {} as dropped {} returning pg_column_size(dropped.*) as bytes").format(
            sql.Identifier(*table.split(".")), sql.SQL(condition) if isinstance(condition, str) else condition
        )
        self._note(table, statement, **parameters)

    def _note(self, table: str, statement: sql.Composable, **parameters: Any) -> None:
        """Run a statement that drops and returns bytes, and add what went to the ledger, in the same transaction."""
        self.connection.execute(
            sql.SQL(
                "with gone as ({}), total as (select count(*) as rows, coalesce(sum(bytes), 0) as bytes from gone)"
                " update ops.upkeep set dropped = dropped || jsonb_build_object(%(table)s::text, jsonb_build_object("
                " 'rows', total.rows + coalesce((dropped -> %(table)s ->> 'rows')::bigint, 0),"
                " 'bytes', total.bytes + coalesce((dropped -> %(table)s ->> 'bytes')::bigint, 0)))"
                " from total where upkeep_id = %(upkeep_id)s and total.rows > 0"
            ).format(statement),
            {"table": table, "upkeep_id": self.upkeep_id, "old_run_id": self.old_run_id, **parameters},
        )

    def _marts(self) -> list[str]:
        """Tables that hold rows by run, whatever models there are."""
        found = self.connection.execute(
            "select 'marts.' || relname from pg_class join pg_attribute on attrelid = pg_class.oid"
            " where relnamespace = to_regnamespace('marts') and relkind in ('r', 'p') and attname = 'run_id'"
            " and not attisdropped order by 1"
        )
        return [table for (table,) in found]

    def _dropped_runs_in(self, table: str, passing: sql.SQL) -> list[int]:
        """Dropped runs that have rows left to drop, found by leaping through the index on run_id."""
        found = self.connection.execute(
            sql.SQL(
                "with recursive present as (select min(run_id) as run_id from {table} where {passing} union all"
                " select (select min(run_id) from {table} where run_id > present.run_id and {passing})"
                " from present where present.run_id is not null)"
                " select run_id from present join ops.run using (run_id) where dropped_at is not null order by run_id"
            ).format(table=sql.Identifier(*table.split(".")), passing=passing)
        )
        return [run_id for (run_id,) in found]

    def _batches(self, condition: LiteralString, **parameters: Any) -> list[tuple[int, DataSet]]:
        """Old batches that upkeep is not done with."""
        found = self.connection.execute(
            sql.SQL(
                "select batch_id, data_set from ops.batch where upkept_at is null and run_id <= %(old_run_id)s"
                " and {} order by batch_id"
            ).format(sql.SQL(condition)),
            {"old_run_id": self.old_run_id, **parameters},
        )
        return [(batch_id, DATA_SETS[data_set]) for batch_id, data_set in found]


def _value(connection: Connection, query: LiteralString | sql.Composed, *parameters: Any) -> Any:
    row = connection.execute(query, parameters or None).fetchone()
    assert row is not None
    return row[0]


# What of a mart goes with its run, if not all: how a case ended, and what became of a customer, is told but once, by
# the run that closed or settled it.
_PASSING = {
    "marts.fct_warning_cases": sql.SQL("closed_on is distinct from as_of_date"),
    **dict.fromkeys(
        ("marts.fct_warning_outcomes", "marts.fct_warning_recoveries", "marts.fct_lost_customers"), sql.SQL("false")
    ),
}

# A published day goes by its date, a run that no day shows by its age. What runs still need stays: the newest published
# run, from which the next one goes on; runs that are not finished or owe mails; the run before each of these, and
# whatever hysteresis or the horizon of outcomes looks back on from there (a little more than the chain, which is the
# same in one step), or from the newest published run that could settle something: while orders stand still none can.
_DROP_RUNS = """
with alive as (select * from ops.run where dropped_at is null),
anchor as (
    (
        select * from alive where state = 'published'
        order by as_of_date <= %(today)s desc, as_of_at desc, run_id desc
        limit 1
    )
    union all
    select * from alive where state = 'published' and finished_at is null
    union all
    select * from alive where state in ('running', 'failed') and run_id > %(old_run_id)s
),
lookback as (
    select coalesce(max(value), 0)::integer as days
    from (
        select * from policy.hysteresis_and_budget where parameter = 'cooldown_days'
        union all
        select * from policy.outcomes where parameter = 'horizon_days'
    ) as spans
    where policy_hash in (select policy_hash from ops.run)
),
settling as (
    select max(as_of_date) as as_of_date
    from alive
    where state = 'published' and as_of_date <= %(today)s and not 'sales.orders' = any(stale_data_sets)
),
needed as (
    select alive.run_id
    from alive
    cross join lookback
    cross join settling
    inner join anchor
        on alive.run_id in (anchor.run_id, anchor.previous_run_id)
        or (
            alive.as_of_date > least(anchor.as_of_date, settling.as_of_date) - lookback.days
            and alive.as_of_date <= anchor.as_of_date
        )
),
month_end as (
    select max(as_of_date) as as_of_date
    from ops.publication
    where as_of_date > (%(today)s::date - make_interval(months => %(month_end_months)s))
    group by date_trunc('month', as_of_date)
)
update ops.run
set dropped_at = now()
from alive
left join ops.publication as shown on alive.run_id = shown.run_id
where
    run.run_id = alive.run_id
    and alive.run_id not in (select run_id from needed)
    and case
        when shown.run_id is null then alive.run_id <= %(old_run_id)s
        else
            shown.as_of_date <= %(today)s::date - %(daily_days)s
            and shown.as_of_date not in (select as_of_date from month_end)
    end
"""


# Versions that arrived together with the same time of change both stay.
_OLDER_VERSIONS = """
using (
    select
        {columns},
        rank() over (partition by {key} order by updated_at desc nulls last, _batch_id desc) as place,
        {first_seen} is not null and row_number() over (
            partition by {key} order by {first_seen} asc nulls last, updated_at desc nulls last, _batch_id desc
        ) = 1 as is_first_seen
    from {table}
    where
        _batch_id in (
            select batch_id from ops.batch
            where
                data_set = %(data_set)s
                and state = 'accepted'
                and batch_id >= %(snapshot)s
                and run_id <= %(old_run_id)s
        )
        and ({key}) in (select {key} from {table} where _batch_id = any(%(batches)s))
) as placed
where {same} and placed.place > 1 and not placed.is_first_seen
"""


def _older_versions(data_set: DataSet) -> sql.Composed:
    """Condition of the versions of a data set's records that one of some batches, or an earlier one, stands above."""
    columns = (*data_set.storage_key, "_batch_id")
    same = (sql.SQL("dropped.{0} = placed.{0}").format(sql.Identifier(column)) for column in columns)
    first_seen = _FIRST_SEEN.get(data_set.name)
    return sql.SQL(_OLDER_VERSIONS).format(
        table=sql.Identifier("landing", data_set.table),
        key=sql.SQL(", ").join(map(sql.Identifier, data_set.key)),
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        first_seen=sql.Identifier(first_seen) if first_seen else sql.NULL,
        same=sql.SQL(" and ").join(same),
    )
