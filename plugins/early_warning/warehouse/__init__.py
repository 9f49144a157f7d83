"""The warehouse: how to reach it, its roles, and the tables that dbt does not build.

Roles: the owner (`early_warning`) runs everything; `early_warning_reader` is for BI tools and people: it sees the
schema bi, nothing else, and can't write.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow, dict_row

from early_warning.contract import DATA_SETS, DataSet

READER = "early_warning_reader"
Connection = psycopg.Connection[TupleRow]


@dataclass(frozen=True)
class Warehouse:
    """Where the warehouse is. Both are libpq connection strings; neither belongs in a log."""

    dsn: str = field(repr=False)
    reader_dsn: str = field(repr=False)

    @property
    def parameters(self) -> dict[str, str]:
        """The owner's connection, taken apart (host, port, user, password, dbname)."""
        return {name: str(value) for name, value in conninfo_to_dict(self.dsn).items() if value is not None}

    @contextmanager
    def connect(self, *, autocommit: bool = False) -> Iterator[Connection]:
        """Connect as the owner; commits at the end, rolls back on an error."""
        with psycopg.connect(self.dsn, autocommit=autocommit) as connection:
            yield connection

    def rows(self, query: str, *parameters: Any, **named: Any) -> list[dict[str, Any]]:
        """Rows of a query as the owner, each a dict by column name. Parameters go by place or by name."""
        with self.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query.encode(), parameters or named or None).fetchall()

    def execute(self, statement: str, *parameters: Any) -> int:
        """Run one statement in a transaction of its own and return the number of rows it touched."""
        with self.connect() as connection:
            return connection.execute(statement.encode(), parameters or None).rowcount


def migrate(warehouse: Warehouse) -> None:
    """Create what is missing: schemas, tables of the ledgers, one landing table a data set, the reader's role.

    Safe to repeat, and safe beside another process doing the same. Nothing is touched when it is all there: even
    `create … if not exists` waits for whoever writes to the table, and nobody who only looks should wait for a landing.
    """
    statements = [statement.as_bytes() for statement in _statements()]
    fingerprint = hashlib.sha256(b"\0".join(statements)).hexdigest()
    with warehouse.connect() as connection:
        connection.execute("select pg_advisory_xact_lock(hashtext('early_warning.migrate'))")
        if not _is_migrated(connection, fingerprint):
            for statement in statements:
                connection.execute(statement)
            connection.execute("delete from ops.migration")
            connection.execute("insert into ops.migration (fingerprint) values (%s)", (fingerprint,))
        password = conninfo_to_dict(warehouse.reader_dsn).get("password")
        if password:
            connection.execute(
                sql.SQL("alter role {} with login password {}").format(
                    sql.Identifier(READER), verifier(connection, READER, str(password))
                )
            )


def verifier(connection: Connection, role: str, password: str) -> sql.Literal:
    """What stands for a role's password in SQL: the server never sees the password, so none of its logs can hold it."""
    encrypted = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
    return sql.Literal(encrypted.decode())


def _statements() -> Iterator[sql.Composable]:
    """Everything that dbt does not build, in order, idempotent."""
    yield _script("ops")
    yield _script("policy")
    yield _script("scores")
    for data_set in DATA_SETS.values():
        yield _landing_table(data_set)
        yield sql.SQL(  # for homes of an earlier version
            "alter table landing.{} add column if not exists _is_deleted boolean not null default false"
        ).format(sql.Identifier(data_set.table))
        yield _batch_index(data_set)
    yield _script("reader")


def _script(name: str) -> sql.SQL:
    return sql.SQL(files(__package__).joinpath(f"schema/{name}.sql").read_text("utf-8"))


def _is_migrated(connection: Connection, fingerprint: str) -> bool:
    row = connection.execute("select to_regclass('ops.migration') is not null").fetchone()
    if not (row and row[0]):
        return False
    return connection.execute("select from ops.migration where fingerprint = %s", (fingerprint,)).rowcount == 1


def _batch_index(data_set: DataSet) -> sql.Composed:
    """DDL of a tiny index by which a batch's rows are found in an append-only table without reading all of it."""
    return sql.SQL(
        "create index if not exists {name} on landing.{table} using brin (_batch_id int8_minmax_multi_ops)"
    ).format(name=sql.Identifier(f"{data_set.table}_batch"), table=sql.Identifier(data_set.table))


def _landing_table(data_set: DataSet) -> sql.Composed:
    """DDL of a landing table: the contract's columns, then where each version came from.

    A version with `_is_deleted` says that its record is gone at the source; its other columns repeat the last known.
    """
    columns = [
        sql.SQL("{} {}{}").format(
            sql.Identifier(column.name),
            sql.SQL(column.sql_type),
            sql.SQL(" not null" if column.is_required else ""),
        )
        for column in data_set.columns
    ]
    return sql.SQL(
        "create table if not exists landing.{table} ({columns}, _batch_id bigint not null, _source_file text,"
        " _source_row bigint, _is_deleted boolean not null default false, primary key ({key}))"
    ).format(
        table=sql.Identifier(data_set.table),
        columns=sql.SQL(", ").join(columns),
        key=sql.SQL(", ").join(map(sql.Identifier, (*data_set.storage_key, "_batch_id"))),
    )
