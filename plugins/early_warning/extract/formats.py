"""File formats: whatever a file is, it becomes Arrow batches of its columns and each row's place in the file.

Values keep the file's own types or are text; what they should be is checked later, set-wise. Memory is flat for CSV and
Parquet; a sheet is read whole.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import fastexcel
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from early_warning.settings import Table

ROW = "_row"
BROKEN = "\ufffd"
"""What stands where bytes could not be decoded, and for a NUL, which no text may hold."""

_CHUNK = 1 << 20
_BLOCK = 8 << 20
_KEPT_MISFITS = 10_000
_LONGEST_RECORD_LINES = 50


class Unreadable(Exception):
    """The file as a whole can't be read: what is wrong, and what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        self.message, self.remedy = message, remedy
        super().__init__(message)


@dataclass
class Misfit:
    """A CSV record with the wrong number of fields. `row` is its first line, once all before it has been read."""

    record: int
    fields: int
    line_breaks: int
    text: str | None
    row: int = 0


class Content(Protocol):
    """An open file: its columns as they are called there, then its rows."""

    header: tuple[str, ...]
    misfits: list[Misfit]

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Rows of these columns (each in `header`) and `_row`, their place; rows without any value are included.

        Raises:
            Unreadable: the file turns out to be damaged.
        """
        ...

    def doubts(self) -> Iterator[str]:
        """What is not certain after all rows were read, in words; none of it makes the file unusable."""
        ...


def open_file(path: Path, table: Table) -> Content:
    """Open a file in the table's format.

    Raises:
        Unreadable: it is empty, damaged, in another encoding or another format.
    """
    if path.stat().st_size == 0:
        raise Unreadable("the file is empty (0 bytes)", "deliver it again, at least with its header")
    if table.format == "xlsx":
        return _Sheet(path, table.sheet)
    if table.format == "parquet":
        return _Parquet(path)
    return _Csv(path, table.encoding, table.delimiter)


def guess_encoding(path: Path) -> str:
    """Name the encoding that the beginning of a file most likely has: utf-8, utf-16 (-le, -be), gb18030 or latin-1."""
    with _open_bytes(path) as stream:
        sample = stream.read(_CHUNK)
    if sample[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    if sample.count(0) > len(sample) // 4:
        return "utf-16-le" if sample[1::2].count(0) > sample[::2].count(0) else "utf-16-be"
    if _decodes(sample, "utf-8"):
        return "utf-8"
    high = np.frombuffer(sample, np.uint8) > 0x7F
    in_pairs = high[1:] & high[:-1]
    if in_pairs.sum() > high.sum() // 2 and _decodes(sample, "gb18030"):
        return "gb18030"
    return "latin-1"


def _decodes(sample: bytes, encoding: str) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return False
    return True


def _open_bytes(path: Path) -> io.BufferedIOBase:
    with path.open("rb") as stream:
        is_gzip = stream.read(2) == b"\x1f\x8b"
    return gzip.open(path) if is_gzip else path.open("rb")


class _Utf8(io.RawIOBase):
    """A file's text as UTF-8, decoded as it is read; what can't be decoded becomes U+FFFD."""

    def __init__(self, path: Path, encoding: str) -> None:
        self._path = path
        self._encoding = encoding
        self._bytes = _open_bytes(path)
        try:
            self._decoder = codecs.getincrementaldecoder(encoding)("replace")
            is_ascii_alike = "a".encode(encoding) == b"a"
        except (LookupError, TypeError, UnicodeError) as error:
            raise Unreadable(
                f"{encoding!r} is no encoding", "set encoding: in source.yml to utf-8, gb18030, utf-16 or latin-1"
            ) from error
        self._declared_utf8 = codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")
        self._utf8: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()
        self._is_telling = not is_ascii_alike
        self._is_start = True
        self._pending = b""
        self.quotes = 0
        self.ends_with_line_end = False

    @property
    def is_really_utf8(self) -> bool:
        """Whether what was read so far is UTF-8 although something else was declared, and it makes a difference."""
        return not self._declared_utf8 and self._utf8 is not None and self._is_telling

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        view = memoryview(target).cast("B")
        try:
            while not self._pending:
                chunk = self._bytes.read(_CHUNK)
                self._pending = self._convert(chunk)
                if not chunk:
                    break
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise Unreadable(
                f"the gzip file is truncated or damaged: {error}",
                "deliver the whole file again; write it under another name and rename it when it is complete",
            ) from error
        except UnicodeError as error:  # UTF-16 without a byte order mark
            raise Unreadable(
                f"the file is not {self._encoding}: {error}",
                f"set encoding: {guess_encoding(self._path)} for this table in source.yml",
            ) from error
        piece, self._pending = self._pending[: len(view)], self._pending[len(view) :]
        view[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._bytes.close()
        super().close()

    def _convert(self, chunk: bytes) -> bytes:
        if not self._declared_utf8:
            self._look_for_utf8(chunk)
        text = self._decoder.decode(chunk, not chunk).replace("\0", BROKEN)
        if self._is_start and text:
            text, self._is_start = text.removeprefix("\ufeff"), False
        self.quotes += text.count('"')
        if text:
            self.ends_with_line_end = text[-1] in "\r\n"
        return text.encode("utf-8", "replace")

    def _look_for_utf8(self, chunk: bytes) -> None:
        if self._utf8 is None:
            return
        self._is_telling = self._is_telling or not chunk.isascii()
        try:
            self._utf8.decode(chunk, not chunk)
        except UnicodeDecodeError:
            self._utf8 = None
        if 0 in chunk:
            self._utf8 = None


class _Csv:
    """A CSV, plain or gzipped. Rows count lines, the header's included, also where a value spans several."""

    def __init__(self, path: Path, encoding: str, delimiter: str) -> None:
        self._encoding = encoding
        self._delimiter = delimiter
        self._text = _Utf8(path, encoding)
        self._stream = io.BufferedReader(self._text, _CHUNK)
        self.misfits: list[Misfit] = []
        self._header_record, self.header = self._read_header()

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        positions = [self.header.index(name) for name in columns]
        try:
            for rows, batch in self._numbered():
                numbered = [batch.column(position) for position in positions]
                yield pa.RecordBatch.from_arrays([*numbered, rows], names=[*columns, ROW])
            self._check_end()
        except pa.ArrowInvalid as error:
            raise Unreadable(
                f"not readable as CSV: {error}", "look for a quotation mark that is opened and never closed"
            ) from error
        finally:
            self._stream.close()

    def doubts(self) -> Iterator[str]:
        if not self._text.ends_with_line_end:
            yield "the last line has no line end: if the file was cut short there, its last value is incomplete"

    def _read_header(self) -> tuple[int, tuple[str, ...]]:
        beginning = self._stream.peek().decode("utf-8", "replace")
        if not beginning.strip():
            raise Unreadable("the file holds no text", "deliver it again, at least with its header")
        for number, fields in enumerate(csv.reader(io.StringIO(beginning, newline=""), delimiter=self._delimiter), 1):
            if any(fields):
                return number, tuple(field.strip() for field in fields)
        raise Unreadable("the file holds no header", "deliver it again, with its header in the first line")

    def _numbered(self) -> Iterator[tuple[pa.Array, pa.RecordBatch]]:
        """Batches of all columns with the line each of their records begins at."""
        good, breaks = 0, 0  # records read so far, and line breaks inside their values
        settled = 0
        for batch in self._open_arrow():
            breaks_before = breaks + np.concatenate([[0], np.cumsum(self._line_breaks(batch))])
            after_good = np.array([bad.record - number for number, bad in enumerate(self.misfits)], np.int64)
            bad_breaks = np.concatenate([[0], np.cumsum([bad.line_breaks for bad in self.misfits])]).astype(np.int64)
            records = good + 1 + np.arange(batch.num_rows)
            misfits_before = np.searchsorted(after_good, records, side="right")
            lines = records + misfits_before + bad_breaks[misfits_before] + breaks_before[:-1]
            good += batch.num_rows
            while settled < len(self.misfits) and after_good[settled] <= good + 1:
                passed = int(after_good[settled]) - 1 - (good - batch.num_rows)
                self.misfits[settled].row = int(
                    self.misfits[settled].record + bad_breaks[settled] + breaks_before[max(passed, 0)]
                )
                settled += 1
            breaks = int(breaks_before[-1])
            is_data = records + misfits_before > self._header_record
            if is_data.all():
                yield pa.array(lines), batch
            else:
                yield pa.array(lines[is_data]), batch.filter(pa.array(is_data))
        for number, bad in enumerate(self.misfits[settled:], settled):
            bad.row = bad.record + breaks + sum(earlier.line_breaks for earlier in self.misfits[:number])
        self._records = good + len(self.misfits)

    def _open_arrow(self) -> pa_csv.CSVStreamingReader:
        names = [str(position) for position in range(len(self.header))]
        return pa_csv.open_csv(
            pa.PythonFile(self._stream, mode="r"),
            read_options=pa_csv.ReadOptions(column_names=names, block_size=_BLOCK, use_threads=False),
            parse_options=pa_csv.ParseOptions(
                delimiter=self._delimiter,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=self._keep_misfit,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types={name: pa.string() for name in names},
                null_values=[""],
                strings_can_be_null=True,
                check_utf8=False,
            ),
        )

    def _keep_misfit(self, row: pa_csv.InvalidRow) -> str:
        text = row.text if len(self.misfits) < _KEPT_MISFITS else None
        self.misfits.append(Misfit(row.number, row.actual_columns, row.text.count("\n"), text))
        return "skip"

    def _line_breaks(self, batch: pa.RecordBatch) -> np.ndarray:
        """Line breaks inside the values of each record; there are none without quotation marks."""
        total = np.zeros(batch.num_rows, np.int64)
        if self._text.quotes:
            for column in batch.columns:
                total += pc.fill_null(pc.count_substring(column, "\n"), 0).to_numpy(zero_copy_only=False)
        return total

    def _check_end(self) -> None:
        if self._text.is_really_utf8:
            raise Unreadable(
                f"the file is UTF-8 and not {self._encoding}", "set encoding: utf-8 for this table in source.yml"
            )
        last = self.misfits[-1] if self.misfits and self.misfits[-1].record == self._records else None
        if last and (not self._text.ends_with_line_end or (last.text or "").count('"') % 2):
            raise Unreadable(
                f"the last line, row {last.row}, is cut short: {last.fields} of {len(self.header)} fields",
                "deliver the whole file again; write it under another name and rename it when it is complete",
            )
        if self._text.quotes % 2 and not self._text.ends_with_line_end:
            raise Unreadable(
                "the file ends inside a quoted value", "deliver the whole file again; a quotation mark is never closed"
            )
        for bad in self.misfits:
            if bad.line_breaks > _LONGEST_RECORD_LINES:
                raise Unreadable(
                    f"row {bad.row} has {bad.fields} of {len(self.header)} fields and goes on for"
                    f" {bad.line_breaks + 1} lines",
                    "close the quotation mark that is opened there, or double it inside a quoted value",
                )


class _Sheet:
    """A sheet of an Excel workbook, every cell as text. Rows count as Excel shows them."""

    def __init__(self, path: Path, sheet: str | None) -> None:
        self.misfits: list[Misfit] = []
        try:
            workbook = fastexcel.read_excel(path)
            if sheet is not None and sheet not in workbook.sheet_names:
                raise Unreadable(
                    f"there is no sheet {sheet!r}",
                    f"set sheet: in source.yml to one of {', '.join(workbook.sheet_names)}",
                )
            # as text: fastexcel's own guess makes big integers floats and drops what does not fit a column's type
            loaded = workbook.load_sheet(sheet or 0, header_row=None, skip_rows=0, dtypes="string")
            self._cells: pa.RecordBatch = loaded.to_arrow()
        except fastexcel.FastExcelError as error:
            reason = str(error).splitlines()[0]
            raise Unreadable(
                f"not readable as an Excel workbook: {reason}", "save it again as .xlsx, without a password"
            ) from error
        filled = [
            row for row in range(min(self._cells.num_rows, 100)) if any(column[row].is_valid for column in self._cells)
        ]
        if not filled:
            raise Unreadable("the sheet is empty", "deliver it again, at least with its header")
        self._header_row = filled[0]
        names = (column[self._header_row].as_py() for column in self._cells)
        self.header = tuple((name or "").strip() for name in names)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        data = self._cells.slice(self._header_row + 1)
        rows = pa.array(np.arange(data.num_rows, dtype=np.int64) + self._header_row + 2)
        chosen = [data.column(self.header.index(name)) for name in columns]
        yield pa.RecordBatch.from_arrays([*chosen, rows], names=[*columns, ROW])

    def doubts(self) -> Iterator[str]:
        return iter(())


class _Parquet:
    """A Parquet file. Rows count from 1."""

    def __init__(self, path: Path) -> None:
        self.misfits: list[Misfit] = []
        try:
            self._file = pq.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise _damaged_parquet(error) from error
        self.header = tuple(self._file.schema_arrow.names)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        row = 0
        try:
            for batch in self._file.iter_batches(columns=list(columns)):
                rows = pa.array(np.arange(row + 1, row + batch.num_rows + 1))
                row += batch.num_rows
                chosen = [batch.column(name) for name in columns]
                yield pa.RecordBatch.from_arrays([*chosen, rows], names=[*columns, ROW])
        except (pa.ArrowException, OSError) as error:
            raise _damaged_parquet(error) from error
        finally:
            self._file.close()

    def doubts(self) -> Iterator[str]:
        return iter(())


def _damaged_parquet(error: Exception) -> Unreadable:
    return Unreadable(f"not readable as Parquet: {error}".splitlines()[0], "deliver the whole file again")
