"""The one writer of `landing.*`: batches, the versions in them, the rows and files that belong to them.

A data set of a source lands in one transaction, so a crash leaves a whole batch or nothing. A batch is read by nobody
until its gate accepts it: landed → accepted or rejected.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from psycopg import sql

from early_warning.contract import DATA_SETS
from early_warning.extract import (
    STORED_UNUSABLE_ROWS,
    Delivered,
    DeliveryFailed,
    Extract,
    LiveRows,
    ReadBefore,
    Unusable,
    open_reader,
)
from early_warning.landing import live
from early_warning.problems import Problem
from early_warning.settings import Source
from early_warning.warehouse import Connection, Warehouse

ORPHAN_REASON = "the customer_id is not in sales.customers"


@dataclass(frozen=True)
class BatchSummary:
    """What landing did with one data set. `batch_id` is None when there was nothing new to read.

    `seconds` are those of reading and landing; what the source's data sets share is counted with the first.
    """

    data_set: str
    batch_id: int | None
    rows: int
    quarantined: int
    problems: tuple[Problem, ...]
    seconds: float


def land(
    warehouse: Warehouse,
    run_id: int,
    source: Source,
    *,
    currency: str,
    extracted_at: datetime | None = None,
    dsn: str | None = None,
) -> list[BatchSummary]:
    """Read what is new at a source for a run and land each data set as a batch of its own, in state landed.

    What an earlier attempt of the same run landed for the source and no gate accepted is removed first, so it can be
    repeated. A data set with nothing new lands no batch; its problems are stored all the same.

    Args:
        warehouse: where to land.
        run_id: the run; its as_of_date says which files are meant.
        source: the checked source folder.
        currency: the company's; rows in another one are quarantined.
        extracted_at: the moment of extraction, which no event may come after; default now, or the latest cut-off of
            all runs if that lies ahead (simulated days).
        dsn: libpq connection string of a database source; it belongs in no log.

    Raises:
        SourceUnavailable: the database can't be reached or took too long; what landed before stays.
    """
    run = warehouse.rows(
        "select as_of_date, (select max(as_of_at) from ops.run) as latest_cut_off from ops.run where run_id = %s",
        run_id,
    )[0]
    _remove_unaccepted(warehouse, run_id, source.name)
    summaries = []
    with open_reader(
        source,
        as_of_date=run["as_of_date"],
        currency=currency,
        read_before=_read_before(warehouse, source.name),
        extracted_at=extracted_at or max(datetime.now(UTC), run["latest_cut_off"]),
        dsn=dsn,
    ) as reader:
        started = time.monotonic()
        for extract in reader.extracts():
            batch_id, landed = _land_one(warehouse, run_id, source.name, extract)
            seconds = time.monotonic() - started
            summaries.append(
                BatchSummary(landed.data_set, batch_id, landed.rows, landed.quarantined, landed.problems, seconds)
            )
            started = time.monotonic()
    return summaries


def accept(warehouse: Warehouse, run_id: int) -> int:
    """Make a run's landed batches readable, and fix what the run reads: all accepted by now. Returns how many.

    Both in one transaction, so that a run that is gone on with either reads its sources once more or needs no more.
    """
    with warehouse.connect() as connection:
        accepted = _set_state(connection, run_id, "accepted")
        connection.execute(
            "update ops.run set through_batch_id = (select max(batch_id) from ops.batch where state = 'accepted')"
            " where run_id = %s",
            (run_id,),
        )
    return accepted


def reject(warehouse: Warehouse, run_id: int) -> int:
    """Turn away a run's landed batches: their rows are never read, their files count as unread; returns how many."""
    with warehouse.connect() as connection:
        return _set_state(connection, run_id, "rejected")


def find_orphans(warehouse: Warehouse, run_id: int) -> int:
    """Quarantine the rows of a run's batches whose customer is not in sales.customers.

    To be called after all sources have landed, since another source may bring the customer; may be repeated. Current
    are the customers of accepted batches and of this run's. The rows stay in landing: staging leaves them out for as
    long as the customer is missing.

    Returns:
        The number of such rows; ops.batch.orphans counts them by batch.
    """
    with warehouse.connect() as connection:
        connection.execute("delete from ops.quarantine where run_id = %s and reason = %s", (run_id, ORPHAN_REASON))
        customers = _current_customer_batches(connection, run_id)
        found = 0
        batches = connection.execute(
            "select batch_id, source, data_set from ops.batch where run_id = %s and state in ('landed', 'accepted')"
            " and data_set <> 'sales.customers' order by batch_id",
            (run_id,),
        ).fetchall()
        for batch_id, source, data_set in batches:
            if any(column.name == "customer_id" for column in DATA_SETS[data_set].columns):
                found += _quarantine_orphans(connection, run_id, batch_id, source, data_set, customers)
    return found


def _read_before(warehouse: Warehouse, source: str) -> dict[str, ReadBefore]:
    """Say by data set what the source's accepted batches have read."""
    accepted = warehouse.rows(
        "select data_set, max(read_through) as through, max(as_of_date) filter (where present is not null)"
        " as reconciled_on from ops.batch join ops.run using (run_id)"
        " where source = %s and ops.batch.state = 'accepted' group by data_set",
        source,
    )
    before = {row["data_set"]: ReadBefore((), (), row["through"], row["reconciled_on"]) for row in accepted}
    rows = warehouse.rows(
        "select data_set, batch_id, table_name, file, file_date, size_bytes, modified_ns, sha256"
        " from ops.delivery join ops.batch using (batch_id, source)"
        " where source = %s and state = 'accepted' order by data_set, batch_id",
        source,
    )
    for data_set, of_data_set in groupby(rows, key=lambda row: str(row["data_set"])):
        deliveries = list(of_data_set)
        newest = deliveries[-1]["batch_id"]
        before[data_set] = replace(
            before[data_set],
            deliveries=tuple(map(_delivered, deliveries)),
            newest=tuple(_delivered(row) for row in deliveries if row["batch_id"] == newest),
        )
    return before


def _delivered(row: Mapping[str, Any]) -> Delivered:
    return Delivered(
        row["table_name"], row["file"], row["file_date"], row["size_bytes"], row["modified_ns"], row["sha256"]
    )


def _remove_unaccepted(warehouse: Warehouse, run_id: int, source: str) -> None:
    with warehouse.connect() as connection:
        batches = connection.execute(
            "select batch_id, data_set from ops.batch where run_id = %s and source = %s and state <> 'accepted'",
            (run_id, source),
        ).fetchall()
        for batch_id, data_set in batches:
            landing_table = sql.Identifier("landing", DATA_SETS[data_set].table)
            tables = (landing_table, *(sql.Identifier("ops", name) for name in ("quarantine", "problem", "delivery")))
            columns = ("_batch_id", "batch_id", "batch_id", "batch_id")
            for table, column in zip(tables, columns, strict=True):
                connection.execute(
                    sql.SQL("delete from {} where {} = %s").format(table, sql.Identifier(column)), (batch_id,)
                )
            connection.execute("delete from ops.batch where batch_id = %s", (batch_id,))
        connection.execute(
            "delete from ops.problem where run_id = %s and source = %s and batch_id is null", (run_id, source)
        )


def _land_one(warehouse: Warehouse, run_id: int, source: str, extract: Extract) -> tuple[int | None, Extract]:
    """Land one data set, all of it or nothing; returns its batch, if it has one, and the extract as it was found."""
    batch_id = None
    with warehouse.connect() as connection:
        if extract.usable is not None:
            try:
                with connection.transaction():
                    batch_id = _open_batch(connection, run_id, source, extract)
                    extract = _land_rows(connection, batch_id, extract)
                    _store_deliveries(connection, batch_id, source, extract.deliveries)
                    _store_unusable(connection, run_id, batch_id, source, extract)
                    connection.execute(
                        "update ops.batch set state = 'landed', rows = %s, quarantined = %s,"
                        " landed_at = clock_timestamp() where batch_id = %s",
                        (extract.rows, extract.quarantined, batch_id),
                    )
            except live.NothingNew:
                batch_id = None
            except DeliveryFailed as failure:
                batch_id = None
                extract = replace(extract, rows=0, problems=(*extract.problems, failure.problem))
        _store_problems(connection, run_id, batch_id, source, extract)
        _note_staleness(connection, run_id, extract)
    return batch_id, extract


def _land_rows(connection: Connection, batch_id: int, extract: Extract) -> Extract:
    """Stream the usable rows into the landing table.

    Raises:
        RuntimeError: fewer or more rows arrived than a reader announced that had counted them.
    """
    assert extract.usable is not None
    if isinstance(extract.usable, LiveRows):
        return live.land(connection, batch_id, extract, extract.usable)
    rows = live.copy_rows(connection, batch_id, extract.data_set, extract.usable)
    if rows != extract.rows:
        raise RuntimeError(f"{extract.data_set}: {rows} of {extract.rows} rows landed")
    return extract


def _open_batch(connection: Connection, run_id: int, source: str, extract: Extract) -> int:
    row = connection.execute(
        "insert into ops.batch (run_id, source, data_set, mode, state, previous_rows, newest_file_date)"
        " values (%s, %s, %s, %s, 'landing', (select rows from ops.batch"
        " where data_set = %s and state = 'accepted' order by batch_id desc limit 1), %s) returning batch_id",
        (
            run_id,
            source,
            extract.data_set,
            extract.mode,
            extract.data_set,
            extract.newest_file_date,
        ),
    ).fetchone()
    if row is None:
        raise AssertionError("insert … returning gave no row")
    return int(row[0])


def _store_deliveries(connection: Connection, batch_id: int, source: str, deliveries: Iterable[Delivered]) -> None:
    with connection.cursor() as cursor, cursor.copy("copy ops.delivery from stdin") as copy:
        for item in deliveries:
            copy.write_row(
                (
                    batch_id,
                    source,
                    item.table,
                    item.file,
                    item.file_date,
                    item.size_bytes,
                    item.modified_ns,
                    item.sha256,
                )
            )


def _store_unusable(connection: Connection, run_id: int, batch_id: int, source: str, extract: Extract) -> None:
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "copy ops.quarantine (batch_id, run_id, source, data_set, source_file, source_row, column_name, reason,"
            " remedy, row_data) from stdin"
        ) as copy,
    ):
        for row in extract.unusable:
            copy.write_row((batch_id, run_id, source, extract.data_set, *_without_nul(row)))


def _without_nul(row: Unusable) -> Iterator[Any]:
    """Fields of a quarantined row; PostgreSQL's text holds no NUL, so it becomes U+FFFD."""
    for value in (row.source_file, row.source_row, row.column, row.reason, row.remedy, row.row_data):
        yield value.replace("\0", "\ufffd").replace("\\u0000", "\\ufffd") if isinstance(value, str) else value


def _store_problems(connection: Connection, run_id: int, batch_id: int | None, source: str, extract: Extract) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into ops.problem (run_id, batch_id, source, data_set, file, row, column_name, is_critical, message,"
            " remedy) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    run_id,
                    batch_id,
                    problem.source or source,
                    problem.data_set or extract.data_set,
                    problem.file,
                    problem.row,
                    problem.column,
                    problem.is_critical,
                    problem.message.replace("\0", "\ufffd"),
                    problem.remedy,
                )
                for problem in extract.problems
            ],
        )


def _note_staleness(connection: Connection, run_id: int, extract: Extract) -> None:
    """Let the run know which data sets are too old to judge by; a source that is read again is judged again."""
    is_stale = any(problem.is_stale for problem in extract.problems)
    stale, fresh = (
        "array(select unnest(stale_data_sets || %(name)s::text) order by 1)",
        "array_remove(stale_data_sets, %(name)s)",
    )
    connection.execute(
        sql.SQL(
            "update ops.run set stale_data_sets = {} where run_id = %(run_id)s"
            " and (%(name)s = any(stale_data_sets)) <> %(is_stale)s"
        ).format(sql.SQL(stale if is_stale else fresh)),
        {"name": extract.data_set, "run_id": run_id, "is_stale": is_stale},
    )


def _set_state(connection: Connection, run_id: int, state: str) -> int:
    return connection.execute(
        "update ops.batch set state = %s where run_id = %s and state = 'landed'", (state, run_id)
    ).rowcount


def _current_customer_batches(connection: Connection, run_id: int) -> list[int]:
    """Name the batches that hold the current customers: the newest snapshot and what was appended since."""
    found = connection.execute(
        "select batch_id from (select batch_id, max(batch_id) filter (where mode = 'snapshot') over ()"
        " as newest_snapshot_id from ops.batch where data_set = 'sales.customers'"
        " and (state = 'accepted' or (state = 'landed' and run_id = %s))) as batch"
        " where batch_id >= coalesce(newest_snapshot_id, 0)",
        (run_id,),
    ).fetchall()
    return [row[0] for row in found]


def _quarantine_orphans(
    connection: Connection, run_id: int, batch_id: int, source: str, data_set: str, customer_batches: list[int]
) -> int:
    orphans = sql.SQL(
        "from landing.{table} as landed where landed._batch_id = %(batch_id)s and not exists (select from"
        " landing.sales_customers as customers where customers.customer_id = landed.customer_id"
        " and customers._batch_id = any(%(customer_batches)s))"
    ).format(table=sql.Identifier(DATA_SETS[data_set].table))
    parameters = {
        "batch_id": batch_id,
        "customer_batches": customer_batches,
        "run_id": run_id,
        "source": source,
        "data_set": data_set,
        "reason": ORPHAN_REASON,
        "remedy": "deliver the customer, or correct the customer_id; the row counts as soon as the customer is there",
    }
    row = connection.execute(sql.SQL("select count(*) {orphans}").format(orphans=orphans), parameters).fetchone()
    count = int(row[0]) if row else 0
    connection.execute("update ops.batch set orphans = %s where batch_id = %s", (count, batch_id))
    if count:
        connection.execute(
            sql.SQL(
                "insert into ops.quarantine (batch_id, run_id, source, data_set, source_file, source_row, column_name,"
                " reason, remedy, row_data) select %(batch_id)s, %(run_id)s, %(source)s, %(data_set)s,"
                " landed._source_file, landed._source_row, 'customer_id', %(reason)s, %(remedy)s, to_jsonb(landed)"
                " {orphans} order by landed._source_file, landed._source_row limit {limit}"
            ).format(orphans=orphans, limit=sql.Literal(STORED_UNUSABLE_ROWS)),
            parameters,
        )
    return count
