"""The run ledger: which run judges which moment, how far it got, and what is published.

A run is `running` until it is `published`, `stopped` by a gate or `failed`. A killed or failed run is gone on with
under its own id; a stopped one is history, its day is run anew. Rows are written under the run's id first; publishing
moves one pointer row in a transaction of its own, so no reader ever sees half a run.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import time as clock
from typing import Any
from zoneinfo import ZoneInfo

from early_warning.problems import GateStopped
from early_warning.warehouse import Warehouse


@dataclass(frozen=True)
class Moment:
    """What a run judges: the day, and the cut-off (exclusive) before which things are seen."""

    as_of_date: date
    cut_off: datetime

    @property
    def asked(self) -> str:
        """The text that `parse` reads back as this moment."""
        is_daily = self == Moment.of_day(self.as_of_date, _zone_of(self.cut_off))
        return self.as_of_date.isoformat() if is_daily else self.cut_off.isoformat()

    @classmethod
    def of_day(cls, day: date, zone: ZoneInfo) -> Moment:
        """The daily run of a day cuts at the midnight after it."""
        return cls(day, datetime.combine(day + timedelta(days=1), clock(), zone))

    @classmethod
    def parse(cls, text: str, zone: ZoneInfo) -> Moment:
        """A date, or a timestamp for a run within the day (in the company's time zone unless it has an offset).

        Raises:
            ValueError: when the text is neither.
        """
        try:
            return cls.of_day(date.fromisoformat(text), zone)
        except ValueError:
            stamp = datetime.fromisoformat(text)
        stamp = stamp.replace(tzinfo=zone) if stamp.tzinfo is None else stamp.astimezone(zone)
        return cls((stamp - timedelta(microseconds=1)).date(), stamp)

    @staticmethod
    def day_before(instant: datetime, zone: ZoneInfo) -> date:
        """The last whole day before an instant, in the company's time zone."""
        return instant.astimezone(zone).date() - timedelta(days=1)


def _zone_of(stamp: datetime) -> ZoneInfo:
    assert isinstance(stamp.tzinfo, ZoneInfo)
    return stamp.tzinfo


@dataclass
class Step:
    """A task of a run while it works: it says how many rows it handled and, if it wants, what came of them."""

    rows: int | None = None
    message: str | None = None


@contextmanager
def alone(warehouse: Warehouse) -> Iterator[bool]:
    """Let one at a time begin runs: each goes on from the levels of the one before. Whether nobody else does."""
    with warehouse.connect(autocommit=True) as connection:
        row = connection.execute("select pg_try_advisory_lock(hashtext('early_warning.run'))").fetchone()
        yield bool(row and row[0])


def take_turn(warehouse: Warehouse, dag_run: str, is_at_work: Callable[[str], bool]) -> bool:
    """Make a scheduler's DAG run the one at work, unless a command or another DAG run is. Whether it is the one now.

    A command holds `alone` while it runs. A DAG run's tasks are processes of their own that could hold nothing in
    between, so its name is kept, and `is_at_work` tells whether the run of that name still is.
    """
    if scheduled(warehouse) == dag_run:
        return True
    with alone(warehouse) as is_alone:
        other = scheduled(warehouse)
        if not is_alone or (other and is_at_work(other)):
            return False
        with warehouse.connect() as connection:
            connection.execute("delete from ops.scheduled_run")
            connection.execute("insert into ops.scheduled_run (dag_run_id) values (%s)", (dag_run,))
        return True


def scheduled(warehouse: Warehouse) -> str | None:
    """The scheduler's DAG run that is at work, or was the last that was."""
    rows = warehouse.rows("select dag_run_id from ops.scheduled_run")
    return rows[0]["dag_run_id"] if rows else None


def is_published(warehouse: Warehouse, run_id: int) -> bool:
    """Whether readers may have seen the run: then its rows stay as they are."""
    return bool(warehouse.rows("select 1 from ops.run where run_id = %s and state = 'published'", run_id))


def has_fixed_batches(warehouse: Warehouse, run_id: int) -> bool:
    """Whether it is fixed which batches the run reads (see `landing.accept`): then it reads no source again."""
    return bool(
        warehouse.rows(
            "select 1 from ops.run where run_id = %s and (through_batch_id is not null or state = 'published')", run_id
        )
    )


def open_run(warehouse: Warehouse, moment: Moment, zone: ZoneInfo, policy_hash: str) -> int:
    """Begin the run of a moment, or go on with the one that was killed or failed there. Returns its id.

    One that was killed, while none was opened after it, stays by the batches it had accepted. Another reads its sources
    again: what made it fail may be mended, and what came since counts for a day of the past.
    """
    with warehouse.connect() as connection:
        connection.execute("select pg_advisory_xact_lock(hashtext('early_warning.open_run'))")
        ahead = connection.execute(
            "select exists (select from ops.run where published_at is not null and as_of_at > %s)",
            (moment.cut_off,),
        ).fetchone()
        before = connection.execute(
            "select run_id from ops.run where published_at is not null and dropped_at is null and as_of_at < %s"
            " order by as_of_at desc, run_id desc limit 1",
            (moment.cut_off,),
        ).fetchone()
        is_backfill, previous_run_id = bool(ahead and ahead[0]), before and before[0]
        resumed = connection.execute(
            "update ops.run set state = 'running', message = null, policy_hash = %s, previous_run_id = %s,"
            " is_backfill = %s, dropped_at = null, through_batch_id = case when state = 'running'"
            " and dropped_at is null and run_id = (select max(run_id) from ops.run) then through_batch_id end"
            " where run_id = (select max(run_id) from ops.run where as_of_at = %s)"
            " and state in ('running', 'failed') returning run_id",
            (policy_hash, previous_run_id, is_backfill, moment.cut_off),
        ).fetchone()
        if resumed:
            connection.execute(  # upkeep leaves alone what is gone on with, however old
                "insert into ops.run_step (run_id, step, state) values (%s, 'open_run', 'running')"
                " on conflict (run_id, step) do update set started_at = now()",
                resumed,
            )
            return int(resumed[0])
        opened = connection.execute(
            "insert into ops.run (as_of_date, as_of_at, company_time_zone, policy_hash, state, previous_run_id,"
            " is_backfill) values (%s, %s, %s, %s, 'running', %s, %s) returning run_id",
            (moment.as_of_date, moment.cut_off, zone.key, policy_hash, previous_run_id, is_backfill),
        ).fetchone()
        assert opened is not None
        return int(opened[0])


def publish(warehouse: Warehouse, run_id: int) -> None:
    """Move the pointer of the run's day to this run, unless the day shows a later cut-off already."""
    with warehouse.connect() as connection:
        connection.execute(
            "insert into ops.publication (as_of_date, run_id) select as_of_date, run_id from ops.run where run_id = %s"
            " on conflict (as_of_date) do update set run_id = excluded.run_id, published_at = now()"
            " where (select as_of_at from ops.run where run_id = publication.run_id)"
            " <= (select as_of_at from ops.run where run_id = excluded.run_id)",
            (run_id,),
        )
        connection.execute(
            "update ops.run set state = 'published', message = null, published_at = now() where run_id = %s", (run_id,)
        )


def finish(warehouse: Warehouse, run_id: int) -> None:
    """Close a published run once every mail it composed has left or was refused. Chats keep none open."""
    warehouse.execute(
        "update ops.run set finished_at = now() where run_id = %s and state = 'published' and not exists"
        " (select from ops.outbox where outbox.run_id = run.run_id and outbox.state = 'pending'"
        " and outbox.channel = 'mail')",
        run_id,
    )


def fail(warehouse: Warehouse, run_id: int, message: str) -> None:
    """Mark a run that is still at work as failed; one that a gate stopped or that is published stays what it is."""
    warehouse.execute(
        "update ops.run set state = 'failed', message = %s where run_id = %s and state = 'running'", message, run_id
    )


def owed(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Published runs that still owe mails, oldest cut-off first."""
    return warehouse.rows(
        "select run_id, as_of_date, as_of_at, state from ops.run where state = 'published' and finished_at is null"
        " order by as_of_at, run_id"
    )


def is_finished(warehouse: Warehouse, run_id: int) -> bool:
    """Whether nothing of a run is owed any more."""
    return bool(warehouse.rows("select 1 from ops.run where run_id = %s and finished_at is not null", run_id))


def interrupted(warehouse: Warehouse) -> dict[str, Any] | None:
    """The newest run if it was killed or failed, so that it has to be gone on with."""
    rows = warehouse.rows(
        "select run_id, as_of_date, as_of_at, state from ops.run where run_id = (select max(run_id) from ops.run)"
        " and state in ('running', 'failed')"
    )
    return rows[0] if rows else None


def at(warehouse: Warehouse, moment: Moment) -> int | None:
    """Id of the latest run of a moment."""
    rows = warehouse.rows("select max(run_id) as run_id from ops.run where as_of_at = %s", moment.cut_off)
    return rows[0]["run_id"] if rows else None


def newest(warehouse: Warehouse) -> dict[str, Any] | None:
    """The run with the latest cut-off, whatever became of it."""
    rows = warehouse.rows(
        "select run_id, as_of_date, as_of_at, state from ops.run order by as_of_at desc, run_id desc limit 1"
    )
    return rows[0] if rows else None


@contextmanager
def step(warehouse: Warehouse, run_id: int, name: str) -> Iterator[Step]:
    """Record one task of a run: rows, seconds, and how it ended; tell whoever watches.

    A GateStopped ends the run as `stopped`, any other exception as `failed` until the task is tried again.
    """
    started, current = time.monotonic(), Step()
    warehouse.execute(
        "insert into ops.run_step (run_id, step, state) values (%s, %s, 'running')"
        " on conflict (run_id, step) do update set state = 'running', started_at = now(), message = null",
        run_id,
        name,
    )
    warehouse.execute(  # a task that is tried again takes back that the run had failed because of it
        "update ops.run set state = 'running', message = null where run_id = %s and state = 'failed'"
        " and starts_with(message, %s)",
        run_id,
        f"{name}: ",
    )
    try:
        yield current
    except BaseException as error:
        state = "stopped" if isinstance(error, GateStopped) else "failed"
        _end_step(warehouse, run_id, name, "failed", current, time.monotonic() - started, str(error))
        warehouse.execute(  # of gates side by side each one that stops the run is heard
            "update ops.run set message = concat_ws(E'\\n', case when state = 'stopped' then message end, %s::text),"
            " state = case when state = 'stopped' then state else %s end where run_id = %s and state <> 'published'",
            f"{name}: {error}",
            state,
            run_id,
        )
        raise
    _end_step(warehouse, run_id, name, "done", current, time.monotonic() - started, current.message)


def _end_step(
    warehouse: Warehouse, run_id: int, name: str, state: str, current: Step, seconds: float, message: str | None
) -> None:
    warehouse.execute(
        "update ops.run_step set state = %s, rows = %s, seconds = %s, message = %s where run_id = %s and step = %s",
        state,
        current.rows,
        round(seconds, 3),
        message,
        run_id,
        name,
    )
    if os.environ.get("EARLY_WARNING_PROGRESS"):
        rows = "" if current.rows is None else f"{current.rows:>10,} rows"
        mark = "✓" if state == "done" else "✗"
        first_line = (message or "").splitlines()[:1]
        with suppress(BrokenPipeError):  # whoever watched has left; that is no reason to fail
            print(
                f"  {mark} {name:<18}{rows:>15}{seconds:>8.1f} s   {''.join(first_line)}".rstrip(), file=sys.__stderr__
            )


def report(warehouse: Warehouse, run_id: int) -> dict[str, Any]:
    """What became of a run, in the shape that `run --json` prints (spec: interfaces, command line)."""
    run = warehouse.rows("select * from ops.run where run_id = %s", run_id)[0]
    zone = ZoneInfo(run["company_time_zone"])
    batches = warehouse.rows(
        "select data_set, max(batch_id) as batch, sum(rows)::bigint as rows,"
        " sum(quarantined + orphans)::bigint as quarantined"
        " from ops.batch where run_id = %s group by data_set order by data_set",
        run_id,
    )
    gates = warehouse.rows(
        "select gate as name, case when bool_or(verdict = 'fail') then 'fail' else 'pass' end as verdict,"
        " count(*) filter (where verdict = 'fail') as critical, count(*) filter (where verdict = 'warn') as warnings"
        " from ops.gate_result where run_id = %s group by gate order by gate",
        run_id,
    )
    mails = warehouse.rows(
        "select count(*) as composed, count(*) filter (where state = 'sent') as sent from ops.outbox"
        " where run_id = %s and channel = 'mail' and audience not in ('operators', 'policy_review')",
        run_id,
    )[0]
    change = warehouse.rows(
        "select previous_run_id, previous_hash, changed_by, differences, expected from ops.policy_change"
        " where run_id = %s",
        run_id,
    )
    steps = warehouse.rows("select step, seconds from ops.run_step where run_id = %s order by started_at", run_id)
    return {
        "run_id": run_id,
        "as_of": run["as_of_at"].astimezone(zone).isoformat(),
        "as_of_date": run["as_of_date"].isoformat(),
        "state": run["state"],
        "policy": run["policy_hash"],
        "previous_run_id": run["previous_run_id"],
        "is_backfill": run["is_backfill"],
        "batches": {
            row["data_set"]: {"batch": row["batch"], "rows": row["rows"], "quarantined": row["quarantined"]}
            for row in batches
        },
        "gates": gates,
        **({"policy_change": change[0]} if change else {}),
        **(_judged(warehouse, run_id) if run["state"] == "published" else {}),
        "mails": mails,
        "seconds": {row["step"]: float(row["seconds"]) for row in steps if row["seconds"] is not None},
        **({"message": run["message"]} if run["message"] else {}),
    }


def _judged(warehouse: Warehouse, run_id: int) -> dict[str, Any]:
    customers = warehouse.rows(
        "select count(*) filter (where is_judged) as judged, count(*) filter (where state = 'prospect') as prospect,"
        " count(*) filter (where state = 'lapsed') as lapsed from marts.dim_customers where run_id = %s",
        run_id,
    )[0]
    levels = warehouse.rows(
        "select level::text, count(warning_level) from generate_series(1, 3) as level"
        " left join marts.fct_customer_levels on warning_level = level and run_id = %s group by level order by level",
        run_id,
    )
    unknown: dict[str, dict[str, int]] = {}
    for row in warehouse.rows(
        "select indicator_code, unknown_reason, count(*) as customers from marts.fct_indicator_values"
        " where run_id = %s and state = 'unknown' group by 1, 2 order by 1, 2",
        run_id,
    ):
        unknown.setdefault(row["indicator_code"], {})[row["unknown_reason"]] = row["customers"]
    return {
        "customers": customers,
        "levels": {row["level"]: row["count"] for row in levels},
        "unknown": unknown,
    }
