"""Writing export files, each of which appears whole or not at all and holds the same bytes for the same content."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet
import xlsxwriter

_EXCEL_DAY_OF_1970 = 25_569  # a spreadsheet counts dates from 1899-12-30


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a hidden name beside `path` to write to; when the block ends well the file takes its real name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    yield part
    part.replace(path)


def write_csv(path: Path, table: pa.Table, *, encoding: str = "utf-8", extra_lines: Sequence[str] = ()) -> None:
    """Write a CSV with a header, gzipped if the name ends in .gz. `extra_lines` follow as they are."""
    buffer = io.BytesIO()
    pa_csv.write_csv(table, buffer, pa_csv.WriteOptions(include_header=False, quoting_style="needed"))
    tail = "".join(f"{line}\n" for line in extra_lines)
    content = ",".join(table.column_names).encode(encoding) + b"\n"
    content += buffer.getvalue() if encoding == "utf-8" else buffer.getvalue().decode().encode(encoding)
    content += tail.encode(encoding)
    with replacing(path) as part:
        part.write_bytes(gzip.compress(content, 5, mtime=0) if path.suffix == ".gz" else content)


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a Parquet file."""
    with replacing(path) as part:
        pa_parquet.write_table(table, part)


def write_xlsx(path: Path, sheet: str, table: pa.Table) -> None:
    """Write a workbook of one sheet: texts, numbers and dates (date32); nulls are empty cells."""
    columns = [_cells(table[name]) for name in table.column_names]
    with replacing(path) as part:
        workbook = xlsxwriter.Workbook(str(part), {"constant_memory": True})
        workbook.set_properties({"created": datetime(2020, 1, 1)})  # else the clock would be in the file
        day = workbook.add_format({"num_format": "yyyy-mm-dd"})
        page = workbook.add_worksheet(sheet)
        page.set_column(0, len(columns) - 1, 14)
        page.write_row(0, 0, table.column_names)
        formats = [(day,) if pa.types.is_date(field.type) else () for field in table.schema]
        writers = [page.write_string if pa.types.is_string(field.type) else page.write_number for field in table.schema]
        for number, row in enumerate(zip(*columns, strict=True), start=1):
            for column, cell in enumerate(row):
                if cell is not None:
                    writers[column](number, column, cell, *formats[column])
        workbook.close()


def _cells(column: pa.ChunkedArray) -> list[Any]:
    if not pa.types.is_date(column.type):
        return list(column.to_pylist())
    return [None if day is None else day + _EXCEL_DAY_OF_1970 for day in column.cast(pa.int32()).to_pylist()]
