"""Landing what a database delivers while it delivers it, and finding what it does not hold any more."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime

import psycopg
from psycopg import errors, sql

from early_warning.contract import DATA_SETS, DataSet
from early_warning.extract import DeliveryFailed, Extract, LiveRows, Rows
from early_warning.problems import Problem
from early_warning.warehouse import Connection

MOST_COMPARED = 2_000_000
"""Rows of a batch whose keys are sorted to find a record under two customers; of more, the gate finds it and stops."""


class NothingNew(Exception):
    """There is no batch to keep."""


def land(connection: Connection, batch_id: int, extract: Extract, rows: LiveRows) -> Extract:
    """Land a batch and return the extract with what was found on the way.

    Of a window only what differs from the version known lands, so that reading it twice changes nothing. A record that
    is gone at the source lands as a version marked deleted.

    Raises:
        NothingNew: a snapshot is what the last accepted one was.
        DeliveryFailed: the source broke off for good, or a row is nothing PostgreSQL can hold.
    """
    data_set = DATA_SETS[extract.data_set]
    landed, newest = _copy_each_key_once(connection, batch_id, data_set, rows)
    if extract.mode == "snapshot" and _is_known_state(connection, batch_id, data_set):
        raise NothingNew
    quarantined, unusable = rows.judged()
    stale = rows.stale(newest)
    if rows.is_window:
        landed -= _drop_known(connection, batch_id, data_set)
    keys = rows.keys()
    present, deleted = _land_deleted(connection, batch_id, data_set, keys) if keys else (None, None)
    connection.execute(
        "update ops.batch set read_through = %s, present = %s, deleted = %s where batch_id = %s",
        (newest, present, deleted, batch_id),
    )
    problems = (*extract.problems, stale) if stale else extract.problems
    return replace(extract, rows=landed, quarantined=quarantined, unusable=unusable, problems=problems)


def copy_rows(connection: Connection, batch_id: int, name: str, rows: Rows | LiveRows) -> int:
    """Stream rows into a data set's landing table; returns how many."""
    data_set = DATA_SETS[name]
    columns = (*(column.name for column in data_set.columns), "_batch_id", "_source_file", "_source_row")
    return _copy(connection, sql.Identifier("landing", data_set.table), columns, rows.copy(batch_id), rows.format)


def _copy(
    connection: Connection,
    table: sql.Identifier,
    columns: tuple[str, ...],
    pieces: Generator[bytes, None, None],
    form: str,
) -> int:
    statement = sql.SQL("copy {} ({}) from stdin (format {})").format(
        table, sql.SQL(", ").join(map(sql.Identifier, columns)), sql.SQL("binary" if form == "binary" else "csv")
    )
    with closing(pieces), connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            for piece in pieces:
                copy.write(piece)
        return cursor.rowcount


def _copy_each_key_once(
    connection: Connection, batch_id: int, data_set: DataSet, rows: LiveRows
) -> tuple[int, datetime | None]:
    """Take it that keys are unique, as they nearly always are; where they are not, begin again without the repeats.

    Returns:
        How many rows landed, and their newest cursor value.
    """
    try:
        with connection.transaction():
            landed = copy_rows(connection, batch_id, data_set.name, rows)
            newest, is_unique = _look_through(connection, batch_id, data_set, rows, landed <= MOST_COMPARED)
            if not is_unique:
                raise errors.UniqueViolation
    except errors.UniqueViolation:
        rows.set_repeats_aside()
        landed = copy_rows(connection, batch_id, data_set.name, rows)
        newest, _ = _look_through(connection, batch_id, data_set, rows, is_compared=False)
    except psycopg.DataError as error:
        raise DeliveryFailed(
            Problem(
                f"a row can't be stored: {error.diag.message_primary}",
                f"mend the value in the source, or leave it out in {data_set.name}.sql",
                data_set=data_set.name,
            )
        ) from None
    return landed, newest


def _look_through(
    connection: Connection, batch_id: int, data_set: DataSet, rows: LiveRows, is_compared: bool
) -> tuple[datetime | None, bool]:
    """Find a batch's newest cursor value (a date counts from midnight at the source) and whether its keys are unique.

    The primary key has seen to that, except for a record that came under two customers: told by hashes, since two keys
    with the same one only cost a second reading. If they are not compared, the gate does so.
    """
    batch = sql.SQL("from landing.{} where _batch_id = {}").format(sql.Identifier(data_set.table), batch_id)
    newest: sql.Composable = sql.SQL("null::timestamptz")
    is_unique: sql.Composable = sql.SQL("true")
    if rows.cursor is not None:
        kind = next(column.sql_type for column in data_set.columns if column.name == rows.cursor)
        midnight = sql.SQL("::timestamp at time zone {}").format(rows.time_zone.key)
        newest = sql.SQL("(select max({}){} {})").format(
            sql.Identifier(rows.cursor), midnight if kind == "date" else sql.SQL(""), batch
        )
    if is_compared and set(data_set.key) != set(data_set.storage_key):
        is_unique = sql.SQL(
            "not exists (select {} group by hashtextextended(concat_ws(chr(31), {}), 0) having count(*) > 1)"
        ).format(batch, _listed(data_set.key))
    with _whole_batches(connection):
        found = connection.execute(sql.SQL("select {}, {}").format(newest, is_unique)).fetchone()
    assert found is not None
    return found[0], found[1]


@contextmanager
def _whole_batches(connection: Connection) -> Iterator[None]:
    """Keep PostgreSQL, which has no statistics of a batch just landed, from looking its rows up one by one."""
    for setting in ("enable_indexscan", "enable_indexonlyscan"):
        connection.execute(f"set local {setting} = off".encode())
    connection.execute("set local work_mem = '128MB'")
    yield
    for setting in ("enable_indexscan", "enable_indexonlyscan", "work_mem"):
        connection.execute(f"set local {setting} = default".encode())


def _is_known_state(connection: Connection, batch_id: int, data_set: DataSet) -> bool:
    """Whether a snapshot's rows are those of the last accepted one."""
    rows = sql.SQL("select {columns} from landing.{table} where _batch_id = ").format(
        columns=_listed(column.name for column in data_set.columns), table=sql.Identifier(data_set.table)
    )
    last = "(select max(batch_id) from ops.batch where data_set = %(data_set)s and state = 'accepted')"
    with _whole_batches(connection):
        found = connection.execute(
            sql.SQL(
                "select not exists (({new} %(batch_id)s) except ({old} {last}))"
                " and not exists (({old} {last}) except ({new} %(batch_id)s))"
            ).format(new=rows, old=rows, last=sql.SQL(last)),
            {"batch_id": batch_id, "data_set": data_set.name},
        ).fetchone()
    return bool(found and found[0])


def _drop_known(connection: Connection, batch_id: int, data_set: DataSet) -> int:
    """Drop a batch's rows that say what their record's current version says; returns how many.

    Without updated_at a row may say again what an older version said, so it stays.
    """
    columns = [column.name for column in data_set.columns]
    return connection.execute(
        sql.SQL(
            "with known as (select distinct on ({known_key}) known.* from landing.{table} as landed"
            " join landing.{table} as known using ({key})"
            " join ops.batch on batch.batch_id = known._batch_id and batch.state = 'accepted'"
            " where landed._batch_id = %(batch_id)s"
            " order by {known_key}, known.updated_at desc nulls last, known._batch_id desc)"
            " delete from landing.{table} as landed using known"
            " where landed._batch_id = %(batch_id)s and landed.updated_at is not null and not known._is_deleted"
            " and ({landed_key}) = ({known_key})"
            " and ({landed}) is not distinct from ({known})"
        ).format(
            table=sql.Identifier(data_set.table),
            key=_listed(data_set.storage_key),
            known_key=_listed(data_set.storage_key, "known"),
            landed_key=_listed(data_set.storage_key, "landed"),
            known=_listed(columns, "known"),
            landed=_listed(columns, "landed"),
        ),
        {"batch_id": batch_id},
    ).rowcount


def _land_deleted(
    connection: Connection, batch_id: int, data_set: DataSet, keys: Generator[bytes, None, None]
) -> tuple[int, int]:
    """Mark the records deleted that accepted batches know and the source does not hold any more.

    Returns:
        How many keys the source holds, and how many records were marked.
    """
    # a table like any other, since a temporary one can't be spread over machines; seen by nobody, gone with a crash
    held = sql.Identifier("landing", f"present_{batch_id}")
    names = {"table": sql.Identifier(data_set.table), "key": _listed(data_set.key), "held": held}
    connection.execute(sql.SQL("create table {held} as select {key} from landing.{table} with no data").format(**names))
    present = _copy(connection, held, data_set.key, keys, "binary")
    connection.execute(sql.SQL("analyze {held}").format(**names))
    deleted = connection.execute(
        sql.SQL(
            "insert into landing.{table} ({columns}, _batch_id, _is_deleted)"
            " select {columns}, %(batch_id)s, true from (select distinct on ({known_key}) known.*"
            " from landing.{table} as known"
            " join ops.batch on batch.batch_id = known._batch_id and batch.state = 'accepted'"
            " where not exists (select from {held} as present where ({present_key}) = ({known_key}))"
            " order by {known_key}, known.updated_at desc nulls last, known._batch_id desc) as gone"
            " where not _is_deleted"
        ).format(
            **names,
            columns=_listed([column.name for column in data_set.columns]),
            known_key=_listed(data_set.key, "known"),
            present_key=_listed(data_set.key, "present"),
        ),
        {"batch_id": batch_id},
    ).rowcount
    connection.execute(sql.SQL("drop table {held}").format(**names))
    return present, deleted


def _listed(columns: Iterable[str], table: str | None = None) -> sql.Composed:
    prefix = (table,) if table else ()
    return sql.SQL(", ").join(sql.Identifier(*prefix, column) for column in columns)
