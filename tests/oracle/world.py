"""Worlds in contract shape: the contract columns of the data sets the eight indicators need, and a CSV reader."""

import csv
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from .customers import World

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "sales.customers": (
        *(
            "customer_id",
            "name",
            "segment",
            "industry",
            "region",
            "size",
            "customer_since",
            "owner_name",
            "owner_email",
        ),
        *("contact_name", "contact_phone", "contact_email", "merged_into_id"),
    ),
    "sales.orders": (
        *("order_id", "customer_id", "ordered_at", "amount", "currency"),
        *("promised_at", "fulfilled_at", "cancelled_at", "cancelled_by"),
    ),
    "finance.invoices": (
        *("invoice_id", "customer_id", "issued_on", "due_on", "amount", "currency"),
        *("disputed_on", "written_off_on", "voided_on"),
    ),
    "finance.payments": ("payment_id", "customer_id", "invoice_id", "paid_on", "amount", "kind"),
    "service.tickets": (
        *("ticket_id", "customer_id", "kind", "category", "priority", "channel", "sentiment", "order_id", "product_id"),
        *("opened_at", "first_responded_at", "resolved_at", "subject"),
    ),
    "service.surveys": (
        *("survey_id", "customer_id", "answered_at", "kind", "score", "scale_min", "scale_max", "channel", "comment"),
    ),
}
"""Contract columns of each data set that the eight indicators read."""

NUMBERS = {"amount", "score", "scale_min", "scale_max"}


def row(data_set: str, **values: Any) -> dict[str, Any]:
    """A row in contract shape: the given values, all other columns null; an unknown column is an error."""
    if unknown := values.keys() - set(COLUMNS[data_set]):
        raise TypeError(f"{data_set} has no column {', '.join(sorted(unknown))}")
    return {column: values.get(column) for column in COLUMNS[data_set]}


def read_world(folder: Path) -> World:
    """Read `<data set>.csv` files: ISO dates, timestamps with offset, empty = null; no file = not delivered."""
    return {data_set: _read_rows(path) for data_set in COLUMNS if (path := folder / f"{data_set}.csv").exists()}


def _read_rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return [
            {column: _parser(column)(text) if text else None for column, text in record.items()}
            for record in csv.DictReader(lines)
        ]


def _parser(column: str) -> Callable[[str], Any]:
    if column in NUMBERS:
        return Decimal
    if column.endswith("_at"):
        return datetime.fromisoformat
    return date.fromisoformat if column.endswith(("_on", "_since")) else str
