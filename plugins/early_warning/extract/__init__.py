"""Readers: a source's mapping SELECTs to rows of the landing contract and everything that is wrong with them.

A reader knows its kind of source and nothing of the warehouse; landing knows Extract and nothing of files. A reader for
another kind of source is one more module with a Reader and one more line in `open_reader`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

from early_warning.problems import Problem
from early_warning.settings import DatabaseSource, Source

STORED_UNUSABLE_ROWS = 10_000
"""How many unusable rows of an extract are kept in full; `Extract.quarantined` counts them all."""


@dataclass(frozen=True)
class Delivered:
    """One thing a reader read for one table: a file (`file` is its path below the source's path) and its fingerprint.

    `sha256` is of the bytes as they lie there, in hex; `modified_ns` is the file's time of modification.
    """

    table: str
    file: str
    file_date: date | None
    size_bytes: int
    modified_ns: int
    sha256: str


@dataclass(frozen=True)
class ReadBefore:
    """What accepted batches of one data set have read.

    Of files all of them, oldest first, and those of the newest batch. Of a database the newest cursor value, and the
    as-of date of the run that last looked for deleted records.
    """

    deliveries: tuple[Delivered, ...] = ()
    newest: tuple[Delivered, ...] = ()
    through: datetime | None = None
    reconciled_on: date | None = None


@dataclass(frozen=True)
class Unusable:
    """A row that can't be used: why, what to do, where it stands, and as JSON the row as it was read."""

    reason: str
    remedy: str
    source_file: str | None
    source_row: int | None
    column: str | None
    row_data: str | None


class Rows(Protocol):
    """The usable rows of an extract, ready for PostgreSQL."""

    format: Literal["csv", "binary"]

    def copy(self, batch_id: int) -> Generator[bytes, None, None]:
        """Stream the rows as PostgreSQL's `copy … from stdin` in this format wants them, in pieces of 64 kB to 1 MB.

        Fields: the contract's columns in its order, then batch_id, source file, source row: a landing table's columns.
        CSV is UTF-8, an unquoted empty field is null, timestamps carry their offset. Flat memory; may be called again
        until the reader yields its next extract.

        Raises:
            DeliveryFailed: the source broke off in the middle of it.
        """
        ...


class LiveRows(ABC):
    """The usable rows of an extract that the database they come from judges while they are streamed."""

    format: Literal["csv", "binary"] = "binary"
    cursor: str | None = None
    """Column of an append data set by which it is read on."""
    time_zone: ZoneInfo
    """Of dates and of timestamps without an offset."""
    is_window: bool = False
    """Whether only rows are read that may have changed since the last accepted batch."""

    @abstractmethod
    def copy(self, batch_id: int) -> Generator[bytes, None, None]:
        """Stream the usable rows, see `Rows.copy`; of rows with the same key all, until repeats are set aside."""

    @abstractmethod
    def set_repeats_aside(self) -> None:
        """Let `copy` give one row a key from now on, and count the others as unusable. Costs the source a sort."""

    @abstractmethod
    def judged(self) -> tuple[int, tuple[Unusable, ...]]:
        """Count the unusable rows that the last `copy` met, and fetch the first of them."""

    @abstractmethod
    def keys(self) -> Generator[bytes, None, None] | None:
        """Stream the keys of all records the source holds now, as binary COPY; None if nobody asks for them."""

    @abstractmethod
    def stale(self, newest: datetime | None) -> Problem | None:
        """Say whether the newest cursor value of this batch (None: it has no rows) and of those before is too old."""


@dataclass(frozen=True)
class Extract:
    """What one run reads of one data set.

    Without `usable` there was nothing new to read, and no batch to land; its problems count all the same. `rows` usable
    rows are in `usable`; `quarantined` rows could not be used, the first of them are in `unusable`. Live rows are not
    counted before they are streamed.
    """

    data_set: str
    mode: Literal["snapshot", "append"]
    usable: Rows | LiveRows | None = None
    rows: int = 0
    quarantined: int = 0
    unusable: tuple[Unusable, ...] = ()
    problems: tuple[Problem, ...] = ()
    deliveries: tuple[Delivered, ...] = ()

    @property
    def newest_file_date(self) -> date | None:
        """Date of the newest dated file read, if any."""
        return max((item.file_date for item in self.deliveries if item.file_date), default=None)


class DeliveryFailed(Exception):
    """A data set can't be read, and reading it again will not help: the problem is the source's gate's to tell."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


class SourceUnavailable(Exception):
    """The source can't be reached just now, or took too long: worth another try."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))


class Reader(Protocol):
    """Reads one source for one run."""

    def extracts(self) -> Iterator[Extract]:
        """Yield one extract a data set, in the order of source.yml. An extract's rows live until the next one.

        What is wrong with a delivery comes as problems and unusable rows; only the platform's own faults raise.

        Raises:
            SourceUnavailable: try again later.
        """
        ...


@dataclass(frozen=True)
class Reading:
    """What a reader is asked to do, see `open_reader`."""

    source: Source
    as_of_date: date
    currency: str
    read_before: Mapping[str, ReadBefore]
    extracted_at: datetime


def open_reader(
    source: Source,
    *,
    as_of_date: date,
    currency: str,
    read_before: Mapping[str, ReadBefore] | None = None,
    extracted_at: datetime | None = None,
    dsn: str | None = None,
) -> AbstractContextManager[Reader]:
    """Open the reader for a source's kind.

    Args:
        source: the checked source folder.
        as_of_date: files dated later are left for a later run.
        currency: the company's; rows in another one can't be used.
        read_before: by data set, what accepted batches have read, so that it need not be read again.
        extracted_at: the moment of extraction, which no event may come after; default now.
        dsn: libpq connection string of a database source.

    Raises:
        SourceUnavailable: on entering, the database can't be reached.
    """
    reading = Reading(source, as_of_date, currency, read_before or {}, extracted_at or datetime.now(UTC))
    if isinstance(source.config, DatabaseSource):
        from early_warning.extract.database import DatabaseReader

        assert dsn is not None, f"source {source.name} needs the connection string of {source.config.connection}"
        return DatabaseReader(reading, source.config, dsn)
    from early_warning.extract.files import FileReader  # opens DuckDB and Arrow: not while a DAG file is parsed

    return FileReader(reading, source.config)
