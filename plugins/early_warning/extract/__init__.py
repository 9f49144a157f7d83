"""Readers: a source's mapping SELECTs to rows of the landing contract and everything that is wrong with them.

A reader knows its kind of source and nothing of PostgreSQL; landing knows Extract and nothing of files. A reader for
another kind of source (database, API) is one more module with a Reader and one more line in `open_reader`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal, Protocol

from early_warning.problems import Problem
from early_warning.settings import Source

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
    """What accepted batches of one data set have read: all of it, oldest first, and what the newest of them read."""

    deliveries: tuple[Delivered, ...] = ()
    newest: tuple[Delivered, ...] = ()


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

    def copy_csv(self, batch_id: int) -> Iterator[bytes]:
        """Stream the rows as PostgreSQL's `copy … from stdin (format csv)` wants them, in pieces of about 1 MB.

        Fields: the contract's columns in its order, then batch_id, source file, source row: a landing table's columns.
        UTF-8, an unquoted empty field is null, timestamps carry their offset. Flat memory; may be called again until
        the reader yields its next extract.
        """
        ...


@dataclass(frozen=True)
class Extract:
    """What one run reads of one data set.

    Without `deliveries` there was nothing new to read, and no batch to land; its problems count all the same.
    `rows` usable rows are in `usable`; `quarantined` rows could not be used, the first of them are in `unusable`.
    """

    data_set: str
    mode: Literal["snapshot", "append"]
    usable: Rows
    rows: int = 0
    quarantined: int = 0
    unusable: tuple[Unusable, ...] = ()
    problems: tuple[Problem, ...] = ()
    deliveries: tuple[Delivered, ...] = ()

    @property
    def newest_file_date(self) -> date | None:
        """Date of the newest dated file read, if any."""
        return max((item.file_date for item in self.deliveries if item.file_date), default=None)


class Reader(Protocol):
    """Reads one source for one run."""

    def extracts(self) -> Iterator[Extract]:
        """Yield one extract a data set, in the order of source.yml. An extract's rows live until the next one.

        What is wrong with a delivery comes as problems and unusable rows; only the platform's own faults raise.
        """
        ...


def open_reader(
    source: Source,
    *,
    as_of_date: date,
    currency: str,
    read_before: Mapping[str, ReadBefore] | None = None,
    extracted_at: datetime | None = None,
) -> AbstractContextManager[Reader]:
    """Open the reader for a source's kind.

    Args:
        source: the checked source folder.
        as_of_date: files dated later are left for a later run.
        currency: the company's; rows in another one can't be used.
        read_before: by data set, what accepted batches have read, so that it need not be read again.
        extracted_at: the moment of extraction, which no event may come after; default now.
    """
    from early_warning.extract.files import FileReader  # opens DuckDB and Arrow: not while a DAG file is parsed

    readers = {"files": FileReader}
    return readers[source.config.kind](
        source,
        as_of_date=as_of_date,
        currency=currency,
        read_before=read_before or {},
        extracted_at=extracted_at or datetime.now(UTC),
    )
