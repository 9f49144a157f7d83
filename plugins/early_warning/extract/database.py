"""The database reader: PostgreSQL runs the mapping SELECTs, and their rows pass through as binary COPY.

Everything a source delivers comes from one read-only snapshot. The database itself gives the rows the contract's types
and judges them, so here no row is looked at: bytes come from one connection and are handed on.
"""

# ruff: noqa: S608 - the adopter's own SELECTs make the SQL; every identifier and text in it is quoted
from __future__ import annotations

from collections.abc import Generator, Iterator
from collections.abc import Mapping as Columns
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import errors, pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from early_warning.contract import DATA_SETS, Column
from early_warning.extract import (
    STORED_UNUSABLE_ROWS,
    DeliveryFailed,
    Extract,
    LiveRows,
    ReadBefore,
    Reading,
    SourceUnavailable,
    Unusable,
)
from early_warning.extract.checks import (
    ContractRules,
    Mapping,
    Rule,
    as_typed,
    charge,
    column_problems,
    explain,
    literal,
    name,
)
from early_warning.problems import Problem
from early_warning.settings import DatabaseDelivery, DatabaseSource
from early_warning.warehouse import Connection

_PIECE = 1 << 16  # larger pieces leave the processor's cache and are slower
_COUNTER = "early_warning.unusable"
_PATIENCE = {"connect_timeout": "20", "keepalives_idle": "60", "keepalives_interval": "15", "keepalives_count": "4"}
_NUMBERS = ("int2", "int4", "int8", "numeric", "float4", "float8")
_FITS = {  # the types whose every value is one of the contract's type too
    "numeric": ("int2", "int4", "int8"),
    "integer": ("int2", "int4"),
    "date": ("date", "timestamp", "timestamptz"),
    "timestamptz": ("date", "timestamp", "timestamptz"),
    "boolean": ("bool",),
    "jsonb": ("json", "jsonb"),
}
_WORTH_ANOTHER_TRY = (
    "08",
    "40",
    "53",
    "55",
    "57",
)  # classes of SQLSTATE: connection, serialization, resources, timeout


class DatabaseReader:
    """Reads a source of kind postgres. Use as a context manager: it owns a connection and the snapshot it reads."""

    def __init__(self, reading: Reading, config: DatabaseSource, dsn: str) -> None:
        self._reading = reading
        self._config = config
        self._dsn = dsn

    def __enter__(self) -> Self:
        defaults = _PATIENCE | {"application_name": "early_warning"}
        try:
            given = {key: str(value) for key, value in conninfo_to_dict(self._dsn).items() if value is not None}
            dsn = make_conninfo(**(defaults | given | {"client_encoding": "utf8"}))
        except psycopg.ProgrammingError:  # its words may hold the password
            raise self._unavailable("the connection string makes no sense") from None
        try:
            self._connection = psycopg.connect(dsn)
            self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            self._connection.read_only = True
            limit = f"{self._config.timeout_seconds}s"
            settings = {
                "TimeZone": self._reading.source.time_zone.key,
                "DateStyle": "ISO, YMD",
                "standard_conforming_strings": "on",
                "statement_timeout": limit,
                "idle_in_transaction_session_timeout": limit,
            }
            for setting, value in settings.items():
                self._connection.execute("select set_config(%s, %s, false)", (setting, value))
        except psycopg.OperationalError as error:
            raise self._unavailable(str(error).strip()) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    def extracts(self) -> Iterator[Extract]:
        """Yield one extract a data set, see `extract.Reader`."""
        for data_set, delivery in self._config.data_sets.items():
            yield self._extract(data_set, delivery)

    def _extract(self, data_set: str, delivery: DatabaseDelivery) -> Extract:
        """Describe a mapping SELECT; if its columns are right, prepare to read it."""
        source = self._reading.source
        mapping = Mapping(
            source=source.name,
            data_set=DATA_SETS[data_set],
            select=source.mappings[data_set].strip().rstrip(";"),
            mode=delivery.mode,
            currency=self._reading.currency,
            extracted_at=self._reading.extracted_at,
            time_zone=source.time_zone,
        )
        session = _Session(self._connection, mapping, self._config)
        try:
            given = session.describe(f"select * from (\n{mapping.select}\n) as mapped")
        except DeliveryFailed as failure:
            return Extract(data_set, delivery.mode, problems=(failure.problem,))
        problems = (*column_problems(mapping, given), *_cursor_problems(mapping, delivery, given))
        if any(problem.is_critical for problem in problems):
            return Extract(data_set, delivery.mode, problems=problems)
        before = self._reading.read_before.get(data_set, ReadBefore())
        rules = _PostgresRules(mapping, given, self._connection.info.server_version, delivery.cursor)
        rows = DatabaseRows(session, rules, delivery, before, self._reading)
        return Extract(data_set, delivery.mode, rows, problems=problems)

    def _unavailable(self, message: str) -> SourceUnavailable:
        remedy = f"check the Airflow connection {self._config.connection}, its network, role and password"
        return SourceUnavailable(Problem(message, remedy, source=self._reading.source.name))


class DatabaseRows(LiveRows):
    """The rows of one mapping SELECT, in the snapshot that its reader holds."""

    def __init__(
        self,
        session: _Session,
        rules: _PostgresRules,
        delivery: DatabaseDelivery,
        before: ReadBefore,
        reading: Reading,
    ) -> None:
        self._session = session
        self._rules = rules
        self._delivery = delivery
        self._before = before
        self._reading = reading
        self._list = rules.rules()
        self._has_repeats = False
        self._unusable = 0
        self.cursor = delivery.cursor
        self.time_zone = rules.mapping.time_zone
        self.is_window = delivery.cursor is not None and before.through is not None

    def copy(self, batch_id: int) -> Generator[bytes, None, None]:
        """Stream the usable rows; the unusable ones are counted as they are met, so nothing is read twice for them."""
        given = {column.name for column in self._rules.columns}
        columns = ", ".join(
            as_typed(column.name) if column.name in given else f"null::{column.sql_type}"
            for column in self._rules.data_set.columns
        )
        count = f"set_config('{_COUNTER}', (current_setting('{_COUNTER}')::bigint + 1)::text, false)"
        self._session.rows(f"select set_config('{_COUNTER}', '0', false)")
        yield from self._session.copy(
            f"select {columns}, {batch_id}::bigint, null::text, null::bigint from ({self._charged()}) as charged"
            f" where case when _rule is null then true else {count} is null end"
        )
        [[counted]] = self._session.rows(f"select current_setting('{_COUNTER}')::bigint")
        self._unusable = int(counted)

    def set_repeats_aside(self) -> None:
        """Let the newest row of each key, by the cursor, be the one that counts."""
        self._has_repeats = True

    def judged(self) -> tuple[int, tuple[Unusable, ...]]:
        """Fetch the unusable rows by their rules; without one the source is not asked again."""
        if self._unusable == 0:
            return 0, ()
        values = ", ".join(f"{literal(column.name)}, {name(column.name)}" for column in self._rules.columns)
        rows = self._session.rows(
            f"select {explain(self._all_rules(), '_rule')}, jsonb_build_object({values})::text"
            f" from ({self._charged()}) as charged where _rule is not null"
            f" order by {self._typed(self._rules.data_set.key)} limit {STORED_UNUSABLE_ROWS}"
        )
        return self._unusable, tuple(
            Unusable(reason, remedy, None, None, column, row_data) for column, reason, remedy, row_data in rows
        )

    def keys(self) -> Generator[bytes, None, None] | None:
        """Stream the keys if this run is to look for deleted records: never before anything was read."""
        last, period = self._before.reconciled_on, {"daily": 0, "weekly": 7}.get(self._delivery.reconcile)
        if not self.is_window or period is None:
            return None
        if last and abs((self._reading.as_of_date - last).days) < period:
            return None
        columns = {column.name: column for column in self._rules.columns}
        keys = ", ".join(self._rules.typed(columns[key]) for key in self._rules.data_set.key)
        return self._session.copy(f"select {keys} from (\n{self._rules.mapping.select}\n) as mapped")

    def stale(self, newest: datetime | None) -> Problem | None:
        """Tell a cursor that stands still."""
        known = [moment for moment in (newest, self._before.through) if moment]
        limit = self._delivery.freshness_days
        if limit is None or not known:
            return None
        latest = max(known).astimezone(self._rules.mapping.time_zone)
        age = (self._reading.as_of_date - latest.date()).days
        if age <= limit:
            return None
        problem = self._rules.mapping.problem(
            f"the newest {self.cursor} is {latest:%Y-%m-%d %H:%M}, {age} days older than {self._reading.as_of_date};"
            f" at most {limit} are allowed",
            "find out why nothing changes in the source any more, or raise freshness_days: in source.yml",
            column=self.cursor,
        )
        return replace(problem, is_critical=False, is_stale=True)

    def _all_rules(self) -> list[Rule]:
        """Give the rules with the last one of all, which looks at more than one row."""
        key = self._rules.data_set.key
        shown = " || ', ' || ".join(f"{literal(f'{column} ')} || {as_typed(column)}::text" for column in key)
        return [
            *self._list,
            Rule(
                key[-1],
                "false",
                f"'duplicate key ' || {shown} || '; the newest row is kept'",
                f"deliver each key once, or pick one row a key in {self._rules.mapping.file}",
            ),
        ]

    def _charged(self) -> str:
        """SQL for the rows in the contract's types, with the rule that makes one unusable (_rule)."""
        # offset 0 keeps PostgreSQL from working out every typed value anew in each rule
        typed = (
            f"select {self._rules.typed_columns()} from (\n{self._rules.mapping.select}\n) as mapped"
            f" where {self._window()} offset 0"
        )
        charged = f"select *, {charge(self._list)} as _rule from ({typed}) as typed"
        if not self._has_repeats:
            return charged
        order = f"{as_typed(self.cursor)} desc nulls last, " if self.cursor else ""
        nth = (
            f"row_number() over (partition by {self._typed(self._rules.data_set.key)}, _first_rule is null"
            f" order by {order}alone::text)"
        )
        return (
            f"select *, case when _first_rule is null and {nth} > 1 then {len(self._list) + 1} else _first_rule end"
            f" as _rule from ({charged.replace(' as _rule ', ' as _first_rule ')}) as alone"
        )

    def _window(self) -> str:
        """SQL that chooses the rows to read: on the cursor as the SELECT gives it, so that an index of it serves."""
        if self.cursor is None or self._before.through is None:
            return "true"
        since = self._before.through - timedelta(hours=self._delivery.overlap_hours)
        kind = self._rules.given[self.cursor]
        local = since.astimezone(self._rules.mapping.time_zone)
        shown = {"date": local.date().isoformat(), "timestamp": local.replace(tzinfo=None).isoformat()}
        return f"mapped.{name(self.cursor)} >= {kind} {literal(shown.get(kind, since.isoformat()))}"

    def _typed(self, columns: tuple[str, ...]) -> str:
        return ", ".join(map(as_typed, columns))


@dataclass(frozen=True)
class _PostgresRules(ContractRules):
    """The contract's rules as SQL of PostgreSQL."""

    server_version: int
    cursor: str | None

    def rules(self) -> list[Rule]:
        rules = super().rules()
        if self.cursor:
            rules.append(
                Rule(
                    self.cursor,
                    f"{as_typed(self.cursor)} is null",
                    literal(f"{self.cursor} is empty and is the cursor: later changes would not be seen"),
                    f"fill it in {self.mapping.file}, for instance with the time of creation",
                )
            )
        return rules

    def typed(self, column: Column) -> str:
        value, given = name(column.name), self.given[column.name]
        if column.sql_type == "text":
            if given in ("numeric", "float4", "float8"):
                return f"regexp_replace({value}::text, '\\.0+$', '')"
            return (
                f"{value}::text" if given in _NUMBERS else f"case when trim({value}::text) <> '' then {value}::text end"
            )
        if not self.may_be_unreadable(column):
            return f"{value}::{column.sql_type}"
        if given not in _NUMBERS:
            return self._typed_text(f"nullif(trim({value}::text), '')", column.sql_type)
        if column.sql_type == "integer":
            is_whole = f"{value} between -2147483648 and 2147483647 and {value} = trunc({value}::numeric)"
            return f"case when {is_whole} then {value}::integer end"
        return (
            _finite(f"{value}::numeric")
            if column.sql_type == "numeric"
            else self._typed_text(f"{value}::text", column.sql_type)
        )

    def may_be_unreadable(self, column: Column) -> bool:
        return column.sql_type != "text" and self.given[column.name] not in _FITS[column.sql_type]

    def shortest(self, value: str) -> str:
        return f"trim_scale({value}::numeric)::text"

    def _typed_text(self, text: str, sql_type: str) -> str:
        """SQL that reads a text; before PostgreSQL 16 one that can't be read fails the whole SELECT."""
        value = _finite(f"{text}::numeric") if sql_type == "numeric" else f"{text}::{sql_type}"
        return (
            f"case when pg_input_is_valid({text}, '{sql_type}') then {value} end"
            if self.server_version >= 160000
            else value
        )


@dataclass(frozen=True)
class _Session:
    """The reader's connection while it reads one data set; what goes wrong is told in the data set's name.

    Every statement has a savepoint of its own: one that fails leaves the snapshot as it was.
    """

    connection: Connection
    mapping: Mapping
    config: DatabaseSource

    def describe(self, select: str) -> dict[str, str]:
        """Return a SELECT's columns with the names of their types, without running it.

        The protocol used here takes one statement at a time, so nothing can hide behind the SELECT.
        """
        pgconn = self.connection.pgconn
        with self._attempt():
            _check(pgconn.prepare(b"", select.encode()))
            result = _check(pgconn.describe_prepared(b""))
        names = ((result.fname(number) or b"").decode() for number in range(result.nfields))
        types = (self.connection.adapters.types.get(result.ftype(number)) for number in range(result.nfields))
        return {column: kind.name if kind else "" for column, kind in zip(names, types, strict=True)}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Fetch the few rows of a query."""
        with self._attempt():
            return self.connection.execute(query.encode()).fetchall()

    def copy(self, select: str) -> Generator[bytes, None, None]:
        """Stream a SELECT as binary COPY."""
        with self._attempt():
            yield from _copy_out(self.connection.pgconn, f"copy ({select}) to stdout (format binary)".encode())

    @contextmanager
    def _attempt(self) -> Iterator[None]:
        try:
            with self.connection.transaction():
                yield
        except psycopg.Error as error:
            raise self._told(error) from None

    def _told(self, error: psycopg.Error) -> DeliveryFailed | SourceUnavailable:
        message = (error.diag.message_primary or str(error)).strip()
        if isinstance(error, errors.QueryCanceled):
            message = f"the SELECT takes longer than {self.config.timeout_seconds} s ({message})"
            remedy = "let an index serve it, or raise timeout_seconds: in source.yml"
            return SourceUnavailable(self.mapping.problem(message, remedy))
        if error.sqlstate is None or error.sqlstate.startswith(_WORTH_ANOTHER_TRY):
            remedy = f"run again once the database of connection {self.config.connection} is well"
            return SourceUnavailable(self.mapping.problem(f"the database broke off: {message}", remedy))
        remedies: dict[type[psycopg.Error], str] = {
            errors.InsufficientPrivilege: f"grant select on it to the role of connection {self.config.connection}",
            errors.ReadOnlySqlTransaction: f"let {self.mapping.file} do nothing but read",
        }
        remedy = remedies.get(type(error), f"mend {self.mapping.file}")
        return DeliveryFailed(self.mapping.problem(f"the mapping SELECT fails: {message}", remedy))


def _copy_out(pgconn: pq.abc.PGconn, statement: bytes) -> Generator[bytes, None, None]:
    """Collect the rows of a COPY TO STDOUT into pieces: libpq hands them out one by one, which is dear in Python.

    Twice as fast as psycopg's own copy, and as fast as two psql in a pipe (benchmarks/extraction.py).
    """
    _check(pgconn.exec_(statement))
    pieces, size, is_through = [], 0, False
    try:
        while True:
            length, row = pgconn.get_copy_data(0)
            if length < 0:
                break
            pieces.append(row)
            size += length
            if size >= _PIECE:
                yield b"".join(pieces)
                pieces, size = [], 0
        is_through = True
        if pieces:
            yield b"".join(pieces)
    finally:
        if not is_through:
            pgconn.get_cancel().cancel()
            while pgconn.get_copy_data(0)[0] >= 0:
                pass
        results = list(iter(pgconn.get_result, None))
    for result in results:
        _check(result)


def _check(result: pq.abc.PGresult) -> pq.abc.PGresult:
    if result.status == pq.ExecStatus.FATAL_ERROR:
        state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
        message = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or result.error_message
        kind = errors.lookup(state) if state else psycopg.OperationalError
        raise kind(message.decode(errors="replace"))
    return result


def _finite(number: str) -> str:
    """SQL for a number that is one: NaN and the infinities lie beyond every other."""
    return f"case when {number} between -1e29 and 1e29 then {number} end"


def _cursor_problems(mapping: Mapping, delivery: DatabaseDelivery, given: Columns[str, str]) -> Iterator[Problem]:
    """Tell a cursor that the SELECT does not return as a moment."""
    cursor = delivery.cursor
    if cursor is None or given.get(cursor) in ("date", "timestamp", "timestamptz"):
        return
    found = f"returns {cursor} as {given[cursor] or 'a type of its own'}" if cursor in given else f"lacks {cursor}"
    yield mapping.problem(
        f"the SELECT {found}, which is the cursor",
        f"return it as date, timestamp or timestamptz in {mapping.file}, or set another cursor: in source.yml",
        column=cursor,
    )
