"""What makes a row unusable, as SQL: first in a delivered table (types, encoding), then in the contract's shape.

A rule is a condition and how to speak of the rows it hits. A row is charged with the first rule that hits it; nothing
here looks at rows one by one.
"""

from __future__ import annotations

import difflib
from collections import abc
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from early_warning.contract import Column, DataSet
from early_warning.extract.formats import BROKEN
from early_warning.problems import Problem
from early_warning.settings import ColumnType, Table

NUMERIC = "decimal(38, 9)"
_LEAST, _GREATEST = "1900-01-01", "9999-12-31"

_STORED_AS: dict[str, str] = {
    "text": "varchar",
    "integer": "bigint",
    "numeric": NUMERIC,
    "date": "date",
    "timestamp": "timestamptz",
    "timestamptz": "timestamptz",
    "boolean": "boolean",
    "jsonb": "varchar",
}
_CALLED: dict[str, str] = {
    "text": "text",
    "integer": "a whole number",
    "numeric": "a number",
    "date": "a date",
    "timestamp": "a timestamp",
    "timestamptz": "a timestamp",
    "boolean": "true or false",
    "jsonb": "JSON",
}
_WRITTEN: dict[str, str] = {
    "integer": "such as 1234",
    "numeric": "such as 1234.56, without thousands separators, units, NaN or Infinity",
    "date": "such as 2024-05-31",
    "timestamp": "such as 2024-05-31 14:05:00",
    "timestamptz": "such as 2024-05-31 14:05:00+08:00",
    "boolean": "such as true",
    "jsonb": "as JSON",
}


def name(identifier: str) -> str:
    """Quote an identifier for DuckDB."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text for DuckDB."""
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True)
class Rule:
    """Rows where `condition` holds are unusable; `reason` is SQL for a text, `column` and `remedy` are plain words."""

    column: str
    condition: str
    reason: str
    remedy: str


def charge(rules: Sequence[Rule]) -> str:
    """SQL for the number (from 1) of the first rule that hits a row, null for a usable row."""
    cases = " ".join(f"when {rule.condition} then {number}" for number, rule in enumerate(rules, 1))
    return f"case {cases} end" if cases else "null::integer"


def explain(rules: Sequence[Rule], number: str) -> str:
    """SQL for the columns column_name, reason and remedy of rows that were charged with rule `number`."""

    def choose(texts: Iterator[str], alias: str) -> str:
        cases = " ".join(f"when {position} then {text}" for position, text in enumerate(texts, 1))
        return f"case {number} {cases} end as {alias}" if cases else f"null::varchar as {alias}"

    return ", ".join(
        (
            choose((literal(rule.column) for rule in rules), "column_name"),
            choose((rule.reason for rule in rules), "reason"),
            choose((literal(rule.remedy) for rule in rules), "remedy"),
        )
    )


def stored_type(column_type: str) -> str:
    """DuckDB's type for a type of source.yml or of the contract."""
    return _STORED_AS[column_type]


def typed(value: str, column_type: str) -> str:
    """SQL that turns a value of any type into a type of source.yml or of the contract; null where it can't be."""
    if column_type == "text":
        return f"case when trim({value}::varchar) <> '' then {value}::varchar end"
    if column_type == "integer":
        as_number = f"try_cast({value} as {NUMERIC})"
        return f"case when {as_number} = trunc({as_number}) then try_cast({as_number} as bigint) end"
    if column_type == "jsonb":
        return f"case when json_valid({value}::varchar) then {value}::varchar end"
    return f"try_cast({value} as {_STORED_AS[column_type]})"


def table_rules(table_name: str, table: Table) -> list[Rule]:
    """Rules for the rows of a delivered table, whose columns are still text."""
    rules = []
    for column, column_type in table.columns.items():
        value = name(column)
        rules.append(
            Rule(
                column,
                f"{is_broken(value)}",
                literal(f"{column} holds bytes that are no {table.encoding} text"),  # the value may be personal
                f"correct the text in the source, or set encoding: of table {table_name} in source.yml",
            )
        )
        if column_type != "text":
            rules.append(
                Rule(
                    column,
                    _is_unreadable(value, column_type),
                    _not_a(column, column_type, value),
                    f"write it {_WRITTEN[column_type]}, or declare {column} as text in source.yml and convert it in the"
                    " mapping SELECT",
                )
            )
    return rules


def is_broken(value: str) -> str:
    """SQL that says whether a text holds what could not be decoded."""
    return f"(contains({value}, {literal(BROKEN)}) or contains({value}, chr(0)))"


def typed_columns(columns: abc.Mapping[str, ColumnType]) -> str:
    """Select list that gives a delivered table's text columns their declared types."""
    return ", ".join(f"{typed(name(column), kind)} as {name(column)}" for column, kind in columns.items())


@dataclass(frozen=True)
class Mapping:
    """What is known about a data set before its SELECT runs.

    `only_file` is the place of rows whose SELECT does not pass `_file` on: the one file read, if it is one. In append
    mode a record may come in several files; the newest file (table `file_dates`: file, file_date) wins.
    """

    source: str
    data_set: DataSet
    select: str
    mode: Literal["snapshot", "append"]
    currency: str
    extracted_at: datetime
    time_zone: ZoneInfo
    only_file: str | None = None

    @property
    def file(self) -> str:
        """Name of the file the SELECT stands in."""
        return f"{self.data_set.name}.sql"

    def problem(self, message: str, remedy: str, *, column: str | None = None, is_critical: bool = True) -> Problem:
        """Say what is wrong with the SELECT."""
        return Problem(message, remedy, self.source, self.data_set.name, self.file, None, column, is_critical)


def column_problems(mapping: Mapping, given: Collection[str], also: Collection[str] = ()) -> Iterator[Problem]:
    """Compare the columns that a mapping SELECT returns with the contract; those in `also` are known besides."""
    known = {column.name for column in mapping.data_set.columns}
    for column in mapping.data_set.columns:
        if (column.is_required or column.is_key) and column.name not in given:
            near = difflib.get_close_matches(column.name, given, 1)
            hint = f"; is it {near[0]}?" if near else ""
            yield mapping.problem(
                f"the SELECT does not return {column.name}{hint}",
                f"return it as {column.name} in {mapping.file}",
                column=column.name,
            )
    for column_name in given:
        if column_name not in known and column_name not in also:
            near = difflib.get_close_matches(column_name, known, 1)
            yield mapping.problem(
                f"the contract has no column {column_name}: it is ignored",
                f"rename it to {near[0]}" if near else "leave it out",
                column=column_name,
                is_critical=False,
            )


@dataclass(frozen=True)
class ContractRules:
    """Rules for the rows of a mapping SELECT, by the data set's definition in the contract, as SQL of DuckDB.

    `given` are the SELECT's columns with their types. In the rules' SQL a column's own name is the value as the
    SELECT gave it, `as_typed` its name once it has the contract's type. What another database writes differently is
    in the methods that a subclass may replace.
    """

    mapping: Mapping
    given: abc.Mapping[str, str]

    @property
    def data_set(self) -> DataSet:
        """The data set's definition."""
        return self.mapping.data_set

    @property
    def columns(self) -> list[Column]:
        """The contract's columns that the SELECT returns."""
        return [column for column in self.data_set.columns if column.name in self.given]

    def typed_columns(self) -> str:
        """Select list of all columns, as given and as typed."""
        return ", ".join(
            f"{name(column.name)}, {self.typed(column)} as {as_typed(column.name)}" for column in self.columns
        )

    def rules(self) -> list[Rule]:
        """All rules, those that speak of one column first."""
        return [rule for column in self.columns for rule in self._column_rules(column)] + list(self._row_rules())

    def typed(self, column: Column) -> str:
        """SQL for a column's value in the contract's type; null where it can't be."""
        value = name(column.name)
        if column.sql_type == "text" and self.given[column.name].startswith(("DECIMAL", "DOUBLE", "FLOAT")):
            value = f"regexp_replace({value}::varchar, '\\.0+$', '')"  # an identifier that was read as a number
        as_contract = typed(value, column.sql_type)
        return f"try_cast({as_contract} as integer)" if column.sql_type == "integer" else as_contract

    def may_be_unreadable(self, column: Column) -> bool:
        """Whether a value of the type that the SELECT gives may not fit the contract's."""
        return column.sql_type != "text"

    def shortest(self, value: str) -> str:
        """SQL for a number as text, without trailing zeros."""
        return _shortest(value)

    def _column_rules(self, column: Column) -> Iterator[Rule]:
        value, given = as_typed(column.name), name(column.name)
        mapping = self.mapping.file
        if self.may_be_unreadable(column):
            yield Rule(
                column.name,
                f"{value} is null and trim({given}::varchar) <> ''",
                _not_a(column.name, column.sql_type, given),
                f"write it {_WRITTEN[column.sql_type]}, or convert it in {mapping}",
            )
        if column.is_required or column.is_key:
            yield Rule(
                column.name,
                f"{value} is null",
                literal(f"{column.name} is empty" + (" and is part of the key" if column.is_key else "")),
                f"fill it in the source, or leave such rows out in {mapping}",
            )
        if column.sql_type in ("date", "timestamptz"):
            yield from self._date_rules(column, value)
        if column.name in self.data_set.enums:
            words = sorted(self.data_set.enums[column.name])
            yield Rule(
                column.name,
                f"{value} not in ({', '.join(map(literal, words))})",
                f"{literal(f'{column.name} has the unknown word ')} || {_quoted(value)}",
                f"map it in {mapping} to one of {', '.join(words)}",
            )
        if column.name in self.data_set.not_negative:
            yield Rule(
                column.name,
                f"{value} < 0",
                f"{literal(f'{column.name} is negative: ')} || {self.shortest(value)}",
                f"correct it in the source, or deliver it as a return or credit note ({mapping})",
            )

    def _date_rules(self, column: Column, value: str) -> Iterator[Rule]:
        kind = stored_type(column.sql_type)
        yield Rule(
            column.name,
            f"{value} not between {kind} '{_LEAST}' and {kind} '{_GREATEST}'",  # the infinities lie outside
            f"{literal(f'{column.name} is no date of our time: ')} || {value}::varchar",
            "correct the date in the source",
        )
        if column.name not in self.data_set.may_lie_ahead:
            moment = self.mapping.extracted_at.astimezone(self.mapping.time_zone)
            latest = moment.date().isoformat() if kind == "date" else moment.isoformat()
            yield Rule(
                column.name,
                f"{value} > {kind} '{latest}'",
                f"{literal(f'{column.name} lies after the extraction on {moment:%Y-%m-%d %H:%M}: ')}"
                f" || {value}::varchar",
                "correct the date in the source; check time_zone: in source.yml and the source's clock",
            )

    def _row_rules(self) -> Iterator[Rule]:
        mapping = self.mapping.file
        if {"currency", "amount"} <= set(self.given):
            currency = as_typed("currency")
            yield Rule(
                "currency",
                f"{currency} <> {literal(self.mapping.currency)}",
                f"'foreign currency is not converted yet: ' || {_quoted(currency)}",
                f"convert the amount to {self.mapping.currency} in {mapping}, or leave such rows out there",
            )
        if {"scale_min", "scale_max", "score"} <= set(self.given):
            least, greatest, score = map(as_typed, ("scale_min", "scale_max", "score"))
            yield Rule(
                "scale_max",
                f"{greatest} <= {least}",
                f"'scale_max ' || {self.shortest(greatest)} || ' is not above scale_min ' || {self.shortest(least)}",
                f"give the survey's least and greatest possible score in {mapping}",
            )
            yield Rule(
                "score",
                f"{score} not between {least} and {greatest}",
                f"'score ' || {self.shortest(score)} || ' is outside its scale'",
                f"correct the score, or scale_min and scale_max in {mapping}",
            )


def as_typed(column: str) -> str:
    """Quoted name of a contract column once it has the contract's type."""
    return name(f"{column} typed")


def _is_unreadable(value: str, column_type: str) -> str:
    return f"trim({value}) <> '' and {typed(value, column_type)} is null"


def _not_a(column: str, column_type: str, value: str) -> str:
    return f"{literal(f'{column} is not {_CALLED[column_type]}: ')} || {_quoted(value)}"


def _quoted(value: str) -> str:
    return f"'''' || left({value}::varchar, 80) || ''''"


def _shortest(value: str) -> str:
    """SQL for a number of type NUMERIC as text, without trailing zeros."""
    return f"rtrim(rtrim({value}::varchar, '0'), '.')"


def for_postgres(column: Column) -> str:
    """SQL for a typed column as it goes to PostgreSQL: numbers without trailing zeros."""
    value = name(column.name)
    return _shortest(value) if column.sql_type == "numeric" else value
