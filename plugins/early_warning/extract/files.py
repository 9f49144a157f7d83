"""The file reader: CSV, Parquet and XLSX below a folder, read by Arrow, checked and mapped in DuckDB.

A run goes: choose the files each data set has to read; load every one of them once, as text; give the rows their
declared types; then run each data set's mapping SELECT over views that show it its own files.
"""

# ruff: noqa: S608 - the adopter's own tables and columns make the SQL; every identifier and text in it is quoted
from __future__ import annotations

import difflib
import hashlib
import json
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import pyarrow as pa

from early_warning.contract import DATA_SETS
from early_warning.extract import STORED_UNUSABLE_ROWS, Delivered, Extract, ReadBefore, Reading, Unusable
from early_warning.extract import mapping as mapping_select
from early_warning.extract.checks import (
    Mapping,
    charge,
    explain,
    is_broken,
    literal,
    name,
    stored_type,
    table_rules,
    typed_columns,
)
from early_warning.extract.formats import ROW, Content, Unreadable, guess_encoding, open_file
from early_warning.problems import Problem
from early_warning.settings import Delivery, FileSource, Table

_MEMORY_LIMIT = "1GB"


@dataclass(frozen=True)
class _File:
    """A file that belongs to a table. `name` is its path below the source's path."""

    table: str
    name: str
    path: Path
    file_date: date | None


@dataclass
class _Loaded:
    """What came of loading one file: its rows, those no text could be made of, and what is wrong with it."""

    rows: int = 0
    broken: int = 0
    misfits: int = 0
    unkept_misfits: int = 0
    last_row: int = 0
    is_complete: bool = True
    problems: list[Problem] = field(default_factory=list)


@dataclass
class _Choice:
    """The files one data set has to read in this run; none if there is nothing new."""

    files: list[_File] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class FileReader:
    """Reads a source of kind files. Use as a context manager: it owns a DuckDB and a temporary folder."""

    def __init__(self, reading: Reading, config: FileSource) -> None:
        self._source = reading.source
        self._config = config
        self._as_of_date = reading.as_of_date
        self._currency = reading.currency
        self._read_before = reading.read_before
        self._extracted_at = reading.extracted_at
        self._files_of = cache(self._find_files)
        self._fingerprints: dict[_File, Delivered] = {}
        self._loaded: dict[tuple[str, str], _Loaded] = {}

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="early_warning_extract_")
        self._duckdb = duckdb.connect(
            config={
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "memory_limit": _MEMORY_LIMIT,
                "temp_directory": self._folder.name,
                "preserve_insertion_order": False,
            }
        )
        for statement in (
            f"set TimeZone = {literal(self._source.time_zone.key)}",
            "create schema incoming",
            "create schema delivered",
            "create table file_dates (file varchar, file_date date)",
            "create table reads (data_set varchar, table_name varchar, file varchar)",
            "create table unusable (table_name varchar, file varchar, row bigint, column_name varchar, reason varchar,"
            " remedy varchar, row_data varchar)",
        ):
            self._duckdb.execute(statement)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._duckdb.close()
        self._folder.cleanup()

    def extracts(self) -> Iterator[Extract]:
        """Yield one extract a data set, see `extract.Reader`."""
        choices = {data_set: self._choose(data_set, delivery) for data_set, delivery in self._config.data_sets.items()}
        for table_name in self._config.tables:
            self._load_table(table_name, {file for choice in choices.values() for file in choice.files})
        for data_set, choice in choices.items():
            yield self._extract(data_set, choice)

    # Which files

    def _choose(self, data_set: str, delivery: Delivery) -> _Choice:
        """Choose what to read: a snapshot's newest state if it changed, an append data set's unread files."""
        choice = _Choice()
        before = self._read_before.get(data_set, ReadBefore())
        unread: list[_File] = []
        tables = self._tables_of(data_set)
        has_dated = any(self._config.tables[table].file_date for table in tables)
        for table_name in tables:
            files, problems = self._files_of(table_name)
            choice.problems += problems
            table = self._config.tables[table_name]
            in_time = [file for file in files if file.file_date is None or file.file_date <= self._as_of_date]
            if table.file_date:
                dated_before = [item for item in before.deliveries if item.table == table_name]
                choice.problems += self._date_problems(table_name, table, delivery, files, in_time, dated_before)
            if table.file_date and delivery.mode == "snapshot":
                newest = max((file.file_date for file in in_time if file.file_date), default=None)
                in_time = [file for file in in_time if file.file_date == newest]
            new = [file for file in in_time if self._is_unread(file, before, delivery)]
            unread += new if table.file_date or not has_dated or delivery.mode == "snapshot" else []
            choice.files += new if table.file_date and delivery.mode == "append" else in_time
        if not has_dated and delivery.freshness_days is not None:
            choice.problems.append(
                Problem(
                    "freshness_days has no effect: no table it reads has dated files",
                    "set file_date: on a table in source.yml, or leave freshness_days out",
                    is_critical=False,
                )
            )
        is_same_set = len(choice.files) == len(before.newest) or delivery.mode == "append"
        if not unread and is_same_set:
            choice.files = []
        choice.problems = [replace(problem, source=self._source.name, data_set=data_set) for problem in choice.problems]
        return choice

    def _tables_of(self, data_set: str) -> list[str]:
        """Name the source's tables that a mapping SELECT mentions; all of them if it makes no sense (it will fail)."""
        known = {table.lower(): table for table in self._config.tables}
        row = self._duckdb.execute("select json_serialize_sql(?)", [self._source.mappings[data_set]]).fetchone()
        tree = json.loads(row[0]) if row else {}
        mentioned = {table.lower() for table in _mentioned(tree)}
        return [table for lower, table in known.items() if lower in mentioned] or list(known.values())

    def _find_files(self, table_name: str) -> tuple[list[_File], list[Problem]]:
        """List a table's files by name, with problems for what does not look as declared."""
        table = self._config.tables[table_name]
        folder = self._source.path
        assert folder is not None
        files, problems = [], []
        for path in sorted(folder.glob(table.files)):
            if not path.is_file() or path.name.startswith("."):
                continue
            relative = path.relative_to(folder).as_posix()
            file_date = None
            if table.file_date:
                try:
                    file_date = datetime.strptime(
                        relative if "/" in table.file_date else path.name, table.file_date
                    ).date()
                except ValueError:
                    problems.append(
                        Problem(
                            f"the name does not fit {table.file_date}: the file is not read",
                            f"rename it, or correct file_date: of table {table_name} in source.yml",
                            file=relative,
                            is_critical=False,
                        )
                    )
                    continue
            files.append(_File(table_name, relative, path, file_date))
        if not files:
            why = "holds no such file" if folder.is_dir() else "does not exist"
            problems.append(
                Problem(
                    f"table {table_name}: the file is missing, {folder} {why}",
                    "deliver it there, or correct path: and files: in source.yml",
                    file=table.files,
                )
            )
        return files, problems

    def _date_problems(
        self,
        table_name: str,
        table: Table,
        delivery: Delivery,
        files: list[_File],
        in_time: list[_File],
        before: list[Delivered],
    ) -> Iterator[Problem]:
        """Say when dated files start too late or have stopped coming. A day without a file is nothing special."""
        known = [(file.file_date, file.name) for file in in_time if file.file_date]
        known += [
            (item.file_date, item.file) for item in before if item.file_date and item.file_date <= self._as_of_date
        ]
        if not known:
            if files:
                yield Problem(
                    f"table {table_name}: no file is dated up to {self._as_of_date}; the first is {files[0].name}",
                    "deliver the earlier files, or run a later day",
                    file=table.files,
                )
            return
        newest, newest_file = max(known)
        age = (self._as_of_date - newest).days
        if delivery.freshness_days is not None and age > delivery.freshness_days:
            yield Problem(
                f"table {table_name}: the newest file {newest_file} is {age} days older than {self._as_of_date};"
                f" at most {delivery.freshness_days} are allowed",
                "find out why the source has stopped delivering, or raise freshness_days: in source.yml",
                file=newest_file,
                is_critical=False,
                is_stale=True,
            )

    def _is_unread(self, file: _File, before: ReadBefore, delivery: Delivery) -> bool:
        """Whether the file differs from what was last read of it (of a snapshot: by the newest batch)."""
        deliveries = before.newest if delivery.mode == "snapshot" else before.deliveries
        last = {(item.table, item.file): item for item in deliveries}.get((file.table, file.name))
        return last is None or self._fingerprint(file, last).sha256 != last.sha256

    def _fingerprint(self, file: _File, last: Delivered | None = None) -> Delivered:
        """Hash a file; one whose size and time of modification are as they were last time is taken as unchanged."""
        if file not in self._fingerprints:
            facts = file.path.stat()
            if last and (last.size_bytes, last.modified_ns) == (facts.st_size, facts.st_mtime_ns):
                digest = last.sha256
            else:
                with file.path.open("rb") as stream:
                    digest = hashlib.file_digest(stream, "sha256").hexdigest()
            self._fingerprints[file] = Delivered(
                file.table, file.name, file.file_date, facts.st_size, facts.st_mtime_ns, digest
            )
        return self._fingerprints[file]

    # Loading

    def _load_table(self, table_name: str, wanted: set[_File]) -> None:
        """Load the wanted files of a table into delivered.<table>; rows that can't be used into `unusable`."""
        table = self._config.tables[table_name]
        text_columns = ", ".join(f"{name(column)} varchar" for column in table.columns)
        columns = ", ".join(f"{name(column)} {stored_type(kind)}" for column, kind in table.columns.items())
        incoming, delivered = f"incoming.{name(table_name)}", f"delivered.{name(table_name)}"
        self._duckdb.execute(f"create table {incoming} (_file varchar, _row bigint, {text_columns})")
        self._duckdb.execute(f"create table {delivered} (_file varchar, _row bigint, {columns})")
        files = sorted((file for file in wanted if file.table == table_name), key=lambda file: file.name)
        for file in files:
            self._duckdb.execute("insert into file_dates values (?, ?)", [file.name, file.file_date])
            self._loaded[table_name, file.name] = self._load_file(file, table, incoming)
        self._type_rows(table_name, table, incoming, delivered)
        self._judge_files(table_name, table, files)
        self._duckdb.execute(f"drop table {incoming}")

    def _load_file(self, file: _File, table: Table, incoming: str) -> _Loaded:
        loaded = _Loaded()
        self._fingerprint(file)
        try:
            content = open_file(file.path, table)
            problems = list(_header_problems(file, table, content.header))
            loaded.problems += problems
            if any(problem.is_critical for problem in problems):
                return loaded
            self._insert(file, table, content, incoming, loaded)
        except Unreadable as error:
            loaded.problems.append(Problem(error.message, error.remedy, file=file.name))
        except OSError as error:
            loaded.problems.append(
                Problem(f"can't be opened: {error.strerror}", "let this user read it", file=file.name)
            )
        return loaded

    def _insert(self, file: _File, table: Table, content: Content, incoming: str, loaded: _Loaded) -> None:
        """Stream a file's rows into its incoming table, all or none of them."""
        failures: list[Unreadable] = []
        batches = content.batches(tuple(table.columns))
        first = next(batches, None)
        if first is not None:

            def stream() -> Iterator[pa.RecordBatch]:
                yield first
                try:
                    yield from batches
                except Unreadable as error:
                    failures.append(error)
                    raise

            as_text = ", ".join(f"nullif({name(column)}::varchar, '')" for column in table.columns)
            is_filled = " or ".join(f"{name(column)} is not null" for column in table.columns)
            self._duckdb.register("arriving", pa.RecordBatchReader.from_batches(first.schema, stream()))
            try:
                self._duckdb.execute(
                    f"insert into {incoming} select ?, {name(ROW)}, {as_text} from arriving where {is_filled}",
                    [file.name],
                )
            except duckdb.Error as error:
                failures.append(Unreadable(f"can't be read: {error}", "deliver the whole file again"))
                raise failures[0] from error
            finally:
                self._duckdb.unregister("arriving")
        for doubt in content.doubts():
            loaded.is_complete = False
            loaded.problems.append(
                Problem(doubt, "end the last line with a line end", file=file.name, is_critical=False)
            )
        self._keep_misfits(file, content, loaded)

    def _keep_misfits(self, file: _File, content: Content, loaded: _Loaded) -> None:
        """Put records with the wrong number of fields among the unusable rows."""
        loaded.misfits = len(content.misfits)
        kept = [bad for bad in content.misfits if bad.text is not None]
        loaded.unkept_misfits = loaded.misfits - len(kept)
        rows = {
            "row": [bad.row for bad in kept],
            "reason": [f"the row has {bad.fields} fields instead of {len(content.header)}" for bad in kept],
            "line": [bad.text for bad in kept],
        }
        self._duckdb.register("misfits", pa.table(rows))
        self._duckdb.execute(
            "insert into unusable by name select ? as table_name, ? as file, row, reason, ? as remedy,"
            " to_json({'line': line}) as row_data from misfits",
            [file.table, file.name, "quote values that hold the delimiter, a quotation mark or a line end"],
        )
        self._duckdb.unregister("misfits")

    def _type_rows(self, table_name: str, table: Table, incoming: str, delivered: str) -> None:
        """Give the rows their declared types; those that can't take them become unusable."""
        rules = table_rules(table_name, table)
        row_data = ", ".join(f"{name(column)} := {name(column)}" for column in table.columns)
        self._duckdb.execute(
            f"create or replace temp view charged as select *, {charge(rules)} as _rule from {incoming}"
        )
        self._duckdb.execute(
            "insert into unusable by name select ? as table_name, _file as file, _row as row,"
            f" {explain(rules, '_rule')}, to_json(struct_pack({row_data})) as row_data"
            " from charged where _rule is not null",
            [table_name],
        )
        self._duckdb.execute(
            f"insert into {delivered} select _file, _row, {typed_columns(table.columns)} from charged"
            " where _rule is null"
        )
        broken = " or ".join(is_broken(name(column)) for column in table.columns)
        counts = self._duckdb.execute(
            f"select _file, count(*), count(*) filter ({broken}), max(_row) from {incoming} group by _file"
        ).fetchall()
        for file_name, rows, broken_rows, last_row in counts:
            loaded = self._loaded[table_name, file_name]
            loaded.rows, loaded.broken, loaded.last_row = rows, broken_rows, last_row

    def _judge_files(self, table_name: str, table: Table, files: list[_File]) -> None:
        """Say what the rows tell about a file as a whole."""
        for file in files:
            loaded = self._loaded[table_name, file.name]
            if not loaded.is_complete and self._count_unusable(table_name, file.name, loaded.last_row):
                loaded.problems.append(
                    Problem(
                        "the file is cut short: its last row has no line end and can't be used",
                        "deliver the whole file again; write it under another name and rename it when it is complete",
                        file=file.name,
                        row=loaded.last_row,
                    )
                )

    def _count_unusable(self, table_name: str, file_name: str, row: int) -> int:
        found = self._duckdb.execute(
            "select count(*) from unusable where table_name = ? and file = ? and row = ?", [table_name, file_name, row]
        ).fetchone()
        return int(found[0]) if found else 0

    # One data set

    def _extract(self, data_set: str, choice: _Choice) -> Extract:
        """Run a data set's mapping SELECT over its own files and put everything known about it together."""
        delivery = self._config.data_sets[data_set]
        file_problems = [
            replace(problem, source=self._source.name, data_set=data_set)
            for file in choice.files
            for problem in (*self._loaded[file.table, file.name].problems, *self._share_problems(file, delivery))
        ]
        file_problems += self._empty_problems(data_set, choice, delivery)
        mapping = Mapping(
            source=self._source.name,
            data_set=DATA_SETS[data_set],
            select=self._source.mappings[data_set],
            mode=delivery.mode,
            currency=self._currency,
            extracted_at=self._extracted_at,
            time_zone=self._source.time_zone,
            only_file=choice.files[0].name if len(choice.files) == 1 else None,
        )
        if not choice.files:
            return Extract(data_set, delivery.mode, problems=tuple(choice.problems))
        self._show_files(data_set, choice)
        mapped = mapping_select.run_mapping(self._duckdb, mapping, Path(self._folder.name))
        raw_count, raw_rows = self._raw_unusable(data_set, choice)
        return Extract(
            data_set=data_set,
            mode=delivery.mode,
            usable=mapped.usable,
            rows=mapped.rows,
            quarantined=raw_count + mapped.quarantined,
            unusable=(*raw_rows, *mapped.unusable)[:STORED_UNUSABLE_ROWS],
            problems=(*choice.problems, *file_problems, *mapped.problems),
            deliveries=tuple(self._fingerprints[file] for file in choice.files),
        )

    def _show_files(self, data_set: str, choice: _Choice) -> None:
        """Make each table's view show the data set's own files and no others."""
        self._duckdb.executemany(
            "insert into reads values (?, ?, ?)",
            [[data_set, file.table, file.name] for file in choice.files],
        )
        for table_name in self._config.tables:
            self._duckdb.execute(
                f"create or replace temp view {name(table_name)} as select * from delivered.{name(table_name)}"
                f" where _file in (select file from reads where data_set = {literal(data_set)}"
                f" and table_name = {literal(table_name)})"
            )

    def _share_problems(self, file: _File, delivery: Delivery) -> Iterator[Problem]:
        """Tell the encoding when more rows of a file are broken than the data set may lose."""
        loaded = self._loaded[file.table, file.name]
        if loaded.broken > delivery.max_quarantine_share * loaded.rows:
            declared = self._config.tables[file.table].encoding
            yield Problem(
                f"{loaded.broken} of {loaded.rows} rows are no {declared} text",
                f"set encoding: {guess_encoding(file.path)} for table {file.table} in source.yml",
                file=file.name,
            )

    def _empty_problems(self, data_set: str, choice: _Choice, delivery: Delivery) -> Iterator[Problem]:
        """Tell files with a header and no row: a snapshot that is empty altogether is critical."""
        readable = [file for file in choice.files if not self._has_failed(file)]
        empty = {file for file in readable if self._rows_in(file) == 0}
        filled_tables = {file.table for file in readable if file not in empty}
        for file in choice.files:
            if file in empty:
                yield Problem(
                    "the file has a header and no row",
                    "deliver it again with its rows"
                    if delivery.mode == "snapshot"
                    else "nothing to do if nothing happened that day",
                    source=self._source.name,
                    data_set=data_set,
                    file=file.name,
                    is_critical=delivery.mode == "snapshot" and file.table not in filled_tables,
                )

    def _has_failed(self, file: _File) -> bool:
        return any(problem.is_critical for problem in self._loaded[file.table, file.name].problems)

    def _rows_in(self, file: _File) -> int:
        loaded = self._loaded[file.table, file.name]
        return loaded.rows + loaded.misfits

    def _raw_unusable(self, data_set: str, choice: _Choice) -> tuple[int, list[Unusable]]:
        """Count the delivered rows that could not be used, and fetch the first of them."""
        of_data_set = f"(select table_name, file from reads where data_set = {literal(data_set)})"
        found = self._duckdb.execute(
            "select reason, remedy, file, row, column_name, row_data from unusable"
            f" where (table_name, file) in {of_data_set} order by table_name, file, row limit {STORED_UNUSABLE_ROWS}"
        ).fetchall()
        counted = self._duckdb.execute(
            f"select count(*) from unusable where (table_name, file) in {of_data_set}"
        ).fetchone()
        unkept = sum(self._loaded[file.table, file.name].unkept_misfits for file in choice.files)
        total = (counted[0] if counted else 0) + unkept
        return total, [Unusable(*row) for row in found]


def _mentioned(tree: Any) -> Iterator[str]:
    """Names of all tables in a SELECT as DuckDB serializes it (common table expressions are among them)."""
    if isinstance(tree, dict):
        if tree.get("type") == "BASE_TABLE":
            yield str(tree["table_name"])
        for branch in tree.values():
            yield from _mentioned(branch)
    elif isinstance(tree, list):
        for branch in tree:
            yield from _mentioned(branch)


def _header_problems(file: _File, table: Table, header: tuple[str, ...]) -> Iterator[Problem]:
    """Compare a file's header with the declared columns."""
    missing = [column for column in table.columns if column not in header]
    encoding, delimiter = _other_encoding(file, table, header, missing), _other_delimiter(table, header, missing)
    for column in missing:
        near = difflib.get_close_matches(column.lower(), [other.lower() for other in header], 1)
        alike = next((other for other in header if near and other.lower() == near[0]), None)
        hint = f"; is it {alike}?" if alike else ""
        remedy = f"deliver it, or correct columns: of table {file.table} in source.yml and the mapping SELECTs"
        if encoding:
            remedy = f"set encoding: {encoding} for table {file.table} in source.yml"
        elif delimiter:
            remedy = f'set delimiter: "{delimiter}" for table {file.table} in source.yml'
        yield Problem(
            f"table {file.table}: the column {column} is missing{hint} (the file has {_listed(header)})",
            remedy,
            file=file.name,
            column=column,
        )
    for column in table.columns:
        if header.count(column) > 1:
            yield Problem(
                f"table {file.table}: the column {column} is there {header.count(column)} times",
                "deliver each column under a name of its own",
                file=file.name,
                column=column,
            )
    extra = [column for column in header if column and column not in table.columns]
    if extra and not missing:
        yield Problem(
            f"table {file.table}: columns that source.yml does not name are ignored: {_listed(extra)}",
            "nothing to do, or add them to columns: in source.yml",
            file=file.name,
            is_critical=False,
        )


def _other_encoding(file: _File, table: Table, header: tuple[str, ...], missing: list[str]) -> str | None:
    """Guess the encoding of a CSV whose header makes no sense in the declared one."""
    if table.format != "csv" or not missing:
        return None
    is_strange = len(missing) == len(table.columns) or any("\ufffd" in column for column in header)
    guess = guess_encoding(file.path)
    is_other = guess.replace("-", "") != table.encoding.lower().replace("-", "")
    return guess if is_strange and is_other else None


def _other_delimiter(table: Table, header: tuple[str, ...], missing: list[str]) -> str | None:
    """Find the delimiter of a CSV whose header came out as a single column."""
    if table.format != "csv" or not missing or len(header) != 1:
        return None
    found = max(";\t|,", key=header[0].count)
    return found.replace("\t", "\\t") if header[0].count(found) else None


def _listed(names: list[str] | tuple[str, ...]) -> str:
    """Name columns in a message, however many and strange they are."""
    return textwrap.shorten(", ".join(names), 300, placeholder=" …")
