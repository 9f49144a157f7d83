"""A mapping SELECT, run in DuckDB: its rows in the contract's types, sorted into usable and unusable ones."""

# ruff: noqa: S608 - the adopter's own tables and columns make the SQL; every identifier and text in it is quoted
from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import duckdb

from early_warning.contract import DataSet
from early_warning.extract import STORED_UNUSABLE_ROWS, Unusable
from early_warning.extract.checks import (
    ContractRules,
    Mapping,
    as_typed,
    charge,
    column_problems,
    explain,
    for_postgres,
    literal,
    name,
)
from early_warning.problems import Problem

_CHUNK = 1 << 20
_PLACE = ("_file", "_row")


@dataclass
class MappedRows:
    """The usable rows, kept in DuckDB until the next SELECT is run there."""

    connection: duckdb.DuckDBPyConnection
    data_set: DataSet
    folder: Path
    given: frozenset[str] = frozenset()
    format: Literal["csv", "binary"] = "csv"

    def copy(self, batch_id: int) -> Generator[bytes, None, None]:
        """Stream them as PostgreSQL's CSV, see `extract.Rows`."""
        if not self.given:
            return
        columns = ", ".join(
            for_postgres(column) if column.name in self.given else "null" for column in self.data_set.columns
        )
        path = self.folder / f"{self.data_set.table}.csv"
        self.connection.execute(
            f"copy (select {columns}, {batch_id}, _file, _row from judged"
            " where _rule is null and not exists (from repeats where repeats._nr = judged._nr))"
            f" to {literal(str(path))} (format csv, header false)"
        )
        try:
            with path.open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    yield chunk
        finally:
            path.unlink()


@dataclass
class Mapped:
    """What came of a mapping SELECT."""

    usable: MappedRows
    rows: int = 0
    quarantined: int = 0
    unusable: list[Unusable] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def run_mapping(connection: duckdb.DuckDBPyConnection, mapping: Mapping, folder: Path) -> Mapped:
    """Run a mapping SELECT over the tables it reads and judge its rows; what is wrong with it comes as problems."""
    result = Mapped(MappedRows(connection, mapping.data_set, folder))
    try:
        statements = connection.extract_statements(mapping.select)
        if len(statements) != 1:
            raise duckdb.ParserException(f"{len(statements)} statements instead of one SELECT")
        select = statements[0].query.strip().rstrip(";")
        connection.execute(
            f"create or replace temp table mapped as select row_number() over () as _nr, * from (\n{select}\n)"
        )
    except duckdb.Error as error:
        first, *more = str(error).strip().split("\n\n")
        message = f"the mapping SELECT fails: {' '.join((first, *more[:1]))}"
        result.problems.append(mapping.problem(message, f"mend {mapping.file}"))
        return result
    described = connection.execute("select column_name, column_type from (describe mapped)").fetchall()
    given = {column: kind for column, kind in described if column != "_nr"}
    result.problems += column_problems(mapping, given, _PLACE)
    if any(problem.is_critical for problem in result.problems):
        return result
    rules = ContractRules(mapping, given)
    _judge(connection, mapping, rules)
    _find_repeats(connection, mapping)
    result.usable.given = frozenset(given)
    result.rows, charged, repeated = _one(
        connection,
        "select (select count(*) from judged where _rule is null) - (select count(*) from repeats),"
        " (select count(*) from judged where _rule is not null), (select count(*) from repeats where is_duplicate)",
    )
    result.quarantined = charged + repeated
    result.unusable += _unusable(connection, mapping, rules) if result.quarantined else []
    return result


def _rows_as_typed(mapping: Mapping, rules: ContractRules) -> str:
    file = "_file::varchar" if "_file" in rules.given else literal(mapping.only_file) if mapping.only_file else "null"
    row = "try_cast(_row as bigint)" if "_row" in rules.given else "null::bigint"
    return f"(select _nr, {file} as _file, {row} as _row, {rules.typed_columns()} from mapped)"


def _judge(connection: duckdb.DuckDBPyConnection, mapping: Mapping, rules: ContractRules) -> None:
    """Fill `judged`: typed rows, each with its place, its number in `mapped` and the rule that makes it unusable."""
    columns = ", ".join(f"{as_typed(column.name)} as {name(column.name)}" for column in rules.columns)
    connection.execute(
        f"create or replace temp table judged as select _nr, _file, _row, {columns}, {charge(rules.rules())} as _rule"
        f" from {_rows_as_typed(mapping, rules)}"
    )


def _find_repeats(connection: duckdb.DuckDBPyConnection, mapping: Mapping) -> None:
    """Fill `repeats`: usable rows that give way to another one of the same key.

    They are duplicates, except those that a newer file of an append data set replaces.
    """
    key = ", ".join(map(name, mapping.data_set.key))
    one_delivery = f"{key}, judged._file" if mapping.mode == "append" else key
    connection.execute(
        f"""
        create or replace temp table repeats as
        with repeated_keys as (
            select {key} from judged where _rule is null group by all having count(*) > 1
        ),
        ranked as (
            select
                _nr,
                {key},
                judged._file,
                file_date,
                row_number() over delivery as nth,
                first_value(judged._file) over delivery as first_file,
                first_value(_row) over delivery as first_row,
            from judged
            semi join repeated_keys using ({key})
            left join file_dates on file_dates.file = judged._file
            where _rule is null
            window delivery as (partition by {one_delivery} order by judged._file, _row, _nr)
        ),
        versions as (
            select
                *,
                row_number() over (partition by {key}, nth order by file_date desc nulls last, _file desc) as version,
            from ranked
        )
        select _nr, nth > 1 as is_duplicate, first_file, first_row from versions where nth > 1 or version > 1
        """
    )


def _unusable(connection: duckdb.DuckDBPyConnection, mapping: Mapping, rules: ContractRules) -> list[Unusable]:
    key = mapping.data_set.key
    row_data = "to_json(struct_pack({}))".format(
        ", ".join(f"{name(column.name)} := rows.{name(column.name)}" for column in rules.columns)
    )
    shown_key = " || ', ' || ".join(f"{literal(f'{column} ')} || rows.{as_typed(column)}::varchar" for column in key)
    found = connection.execute(
        f"""
        select rows._file, rows._row, {explain(rules.rules(), "_rule")}, {row_data} as row_data
        from {_rows_as_typed(mapping, rules)} as rows
        join (select _nr, _rule from judged where _rule is not null) using (_nr)
        union all by name
        select
            rows._file,
            rows._row,
            {literal(key[-1])} as column_name,
            'duplicate key ' || {shown_key}
            || coalesce('; the row kept is ' || first_file || ', row ' || first_row, '') as reason,
            {literal(f"deliver each key once, or pick one row a key in {mapping.file}")} as remedy,
            {row_data} as row_data,
        from {_rows_as_typed(mapping, rules)} as rows
        join repeats using (_nr)
        where is_duplicate
        order by _file, _row
        limit {STORED_UNUSABLE_ROWS}
        """
    ).fetchall()
    return [
        Unusable(reason, remedy, file, row, column, row_data) for file, row, column, reason, remedy, row_data in found
    ]


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    """Fetch the one row of a query."""
    row = connection.execute(query).fetchone()
    return tuple(row) if row else ()
