"""A company of forty customers, written by hand: four sources of plain files, two days of deliveries."""

from __future__ import annotations

import csv
import gzip
import io
import shutil
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml

from early_warning.settings import PROJECT

FIRST, SECOND = date(2026, 5, 31), date(2026, 6, 1)
CUSTOMERS = [f"C{number:02d}" for number in range(1, 41)]
_SILENT, _IN_ARREARS = CUSTOMERS[:4], CUSTOMERS[4:8]

_COLUMNS = {
    "customers": {"id": "text", "name": "text", "owner_email": "text"},
    "orders": {"no": "text", "customer": "text", "placed_at": "timestamp", "net": "numeric"},
    "tickets": {"no": "text", "customer": "text", "kind": "text", "opened_at": "timestamp"},
    "surveys": {"no": "text", "customer": "text", "answered_at": "timestamp", "points": "integer"},
    "invoices": {"no": "text", "customer": "text", "issued": "date", "due": "date", "gross": "numeric"},
    "payments": {"no": "text", "customer": "text", "invoice": "text", "paid": "date", "gross": "numeric", "by": "text"},
}
_SELECTS = {
    "sales.customers": "id as customer_id, name, owner_email",
    "sales.orders": "no as order_id, customer as customer_id, placed_at as ordered_at, net as amount",
    "service.tickets": "no as ticket_id, customer as customer_id, kind, opened_at",
    "service.surveys": "no as survey_id, customer as customer_id, answered_at, 'csat' as kind, points as score,"
    " 1 as scale_min, 5 as scale_max",
    "finance.invoices": "no as invoice_id, customer as customer_id, issued as issued_on, due as due_on,"
    " gross as amount",
    "finance.payments": "no as payment_id, customer as customer_id, invoice as invoice_id, paid as paid_on,"
    " gross as amount",
}
_SOURCES = {
    "shop": ("sales.customers", "sales.orders"),
    "desk": ("service.tickets",),
    "panel": ("service.surveys",),
    "books": ("finance.invoices", "finance.payments"),
}
_SNAPSHOTS = ("customers", "surveys")

Lines = list[list[Any]]


def write_company(folder: Path) -> Path:
    """Write the company folder; its sources read `exports/` beside it. Nothing is delivered yet."""
    shutil.copytree(PROJECT / "company" / "policy", folder / "policy")
    shutil.copy(PROJECT / "company" / "recipients.csv", folder)
    _write_yaml(folder / "company.yml", {"name": "Tiny Tools", "time_zone": "UTC", "currency": "EUR", "language": "en"})
    for source, data_sets in _SOURCES.items():
        tables = {name: name.split(".")[1] for name in data_sets}
        _write_yaml(
            folder / "sources" / source / "source.yml",
            {
                "kind": "files",
                "path": "../exports",
                "tables": {table: _table(table) for table in tables.values()},
                "data_sets": {
                    name: {"mode": "snapshot" if table in _SNAPSHOTS else "append"} for name, table in tables.items()
                },
            },
        )
        for name, table in tables.items():
            select = f"select {_SELECTS[name]}, _file, _row from {table}\n"
            (folder / "sources" / source / f"{name}.sql").write_text(select, encoding="utf-8")
    return folder


def file_of(table: str, day: date) -> str:
    """Name of the file that brings a table on a day."""
    ending = "csv.gz" if table == "orders" else "csv"
    return f"{table}.{ending}" if table in _SNAPSHOTS else f"{table}-{day}.{ending}"


def write_table(exports: Path, table: str, day: date, lines: Lines, header: Sequence[str] | None = None) -> Path:
    """Write one delivery of a table as its source would."""
    exports.mkdir(exist_ok=True)
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([header or list(_COLUMNS[table]), *lines])
    content = text.getvalue().encode()
    path = exports / file_of(table, day)
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


def deliver(exports: Path, day: date) -> None:
    """Write all deliveries of the first or the second day."""
    for table, lines in deliveries(day).items():
        write_table(exports, table, day, lines)


def deliveries(day: date) -> dict[str, Lines]:
    """Lines of each table: a year of history on the first day, one day's news on the second."""
    orders = list(_orders(day))
    invoices = [[f"I{no}", customer, at[:10], str(_plus(at, 30)), net] for no, customer, at, net in orders]
    return {
        "customers": [[name, f"Customer {name}", f"owner{int(name[1:]) % 3}@example.com"] for name in CUSTOMERS],
        "orders": orders,
        "tickets": [[f"T{day}-{name}", name, "complaint", f"{day} 09:00"] for name in CUSTOMERS[-3:]],
        "surveys": [
            [f"S{name}{turn}", name, f"2026-0{turn}-15 12:00", 1 if name == "C39" else 5]
            for name in CUSTOMERS
            for turn in (3, 4)
        ],
        "invoices": invoices,
        "payments": [
            [f"P{no}", customer, no, issued, gross, "bank"]
            for no, customer, issued, _, gross in invoices
            if customer not in _IN_ARREARS or issued < "2026-03-01"
        ],
    }


def _orders(day: date) -> Iterator[list[Any]]:
    """Every customer orders once a month, the silent ones until January; the second day brings five orders."""
    if day == SECOND:
        yield from ([f"{name}-13", name, f"{day} 10:00", 80] for name in CUSTOMERS[10:15])
        return
    for position, name in enumerate(CUSTOMERS):
        for turn in range(12):
            month = date(2025 + (turn + 5) // 12, (turn + 5) % 12 + 1, position % 28 + 1)
            if name not in _SILENT or month <= date(2026, 1, 31):
                yield [f"{name}-{turn + 1:02d}", name, f"{month} 10:00", 100 + position]


def _plus(moment: str, days: int) -> date:
    return date.fromisoformat(moment[:10]) + timedelta(days=days)


def _table(table: str) -> dict[str, Any]:
    name = file_of(table, date.min)
    dated = {} if table in _SNAPSHOTS else {"file_date": name.replace(str(date.min), "%Y-%m-%d")}
    return {"files": name.replace(str(date.min), "*"), "columns": _COLUMNS[table], **dated}


def _write_yaml(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
