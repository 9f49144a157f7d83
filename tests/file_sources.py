"""Small file sources for the tests of the extract and landing rooms."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from early_warning.contract import DATA_SETS
from early_warning.extract import Extract, ReadBefore, open_reader
from early_warning.settings import FileSource, Source

AS_OF = date(2024, 6, 30)
EXTRACTED_AT = datetime(2024, 7, 1, 1, 0, tzinfo=UTC)

ORDERS = "order_no,customer,placed_at,net,currency"
ORDER_COLUMNS = {"order_no": "text", "customer": "text", "placed_at": "timestamp", "net": "numeric", "currency": "text"}
ORDER_SELECT = """
select order_no as order_id, customer as customer_id, placed_at as ordered_at, net as amount, currency, _file, _row
from orders
"""
CUSTOMER_SELECT = "select id as customer_id, name, _file, _row from customers"


def file_source(
    path: Path,
    tables: Mapping[str, Mapping[str, Any]],
    data_sets: Mapping[str, Mapping[str, Any]],
    mappings: Mapping[str, str],
    *,
    name: str = "sales",
    time_zone: str = "Asia/Shanghai",
) -> Source:
    config = FileSource.model_validate({"kind": "files", "path": ".", "tables": tables, "data_sets": data_sets})
    return Source(name, config, path, ZoneInfo(time_zone), dict(mappings))


def orders_source(
    path: Path, *, mode: str = "append", select: str = ORDER_SELECT, limit: float = 0.5, **table: Any
) -> Source:
    """A source of sales.orders alone: orders*.csv unless told otherwise."""
    return file_source(
        path,
        {"orders": {"files": "orders*.csv", "columns": ORDER_COLUMNS} | table},
        {"sales.orders": {"mode": mode, "max_quarantine_share": limit}},
        {"sales.orders": select},
    )


def order(number: int, **changed: str) -> str:
    """A line of an orders file that nothing is wrong with."""
    values = {
        "order_no": f"O{number}",
        "customer": f"C{number % 3}",
        "placed_at": f"2024-05-{number % 28 + 1:02d} 10:00:00",
        "net": f"{number}.50",
        "currency": "CNY",
    }
    return ",".join((values | changed).values())


def write(path: Path, lines: Sequence[str], *, encoding: str = "utf-8", end: str = "\n") -> Path:
    data = ("\n".join(lines) + end).encode(encoding)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@dataclass(frozen=True)
class Read:
    """An extract with its usable rows as PostgreSQL would see them."""

    extract: Extract
    rows: list[dict[str, str]]

    @property
    def critical(self) -> list[str]:
        return [str(problem) for problem in self.extract.problems if problem.is_critical]

    @property
    def told(self) -> list[str]:
        return [str(problem) for problem in self.extract.problems if not problem.is_critical]

    def column(self, name: str) -> list[str]:
        return sorted(row[name] for row in self.rows)


def read_all(
    source: Source,
    *,
    as_of: date = AS_OF,
    before: Mapping[str, ReadBefore] | None = None,
    extracted_at: datetime = EXTRACTED_AT,
    currency: str = "CNY",
) -> dict[str, Read]:
    """Read a source; by data set the extract and its rows by column."""
    found = {}
    with open_reader(
        source, as_of_date=as_of, currency=currency, read_before=before, extracted_at=extracted_at
    ) as reader:
        for extract in reader.extracts():
            names = [column.name for column in DATA_SETS[extract.data_set].columns]
            text = b"".join(extract.usable.copy(7)).decode() if extract.usable else ""
            rows = csv.DictReader(io.StringIO(text), fieldnames=[*names, "_batch_id", "_source_file", "_source_row"])
            found[extract.data_set] = Read(extract, list(rows))
    return found


def read_orders(source: Source, **options: Any) -> Read:
    return read_all(source, **options)["sales.orders"]
