"""Worlds in contract shape: the columns of the data sets the indicators need, how batches make one, and CSVs."""

import csv
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from .customers import Row, World

CREDIT_SCORES = "credit.scores"
"""No data set that anybody delivers, but what the platform's own scorecard has found; absent from a world = empty."""

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
    "sales.order_lines": ("customer_id", "order_id", "line_no", "product_id", "quantity", "amount"),
    "sales.products": ("product_id", "name", "category"),
    "sales.returns": ("return_id", "order_id", "product_id", "customer_id", "returned_at", "amount", "reason"),
    "sales.interactions": ("interaction_id", "customer_id", "occurred_at", "channel", "summary"),
    "sales.competitor_signals": (
        *("signal_id", "customer_id", "observed_on", "competitor", "has_customer_interest", "note"),
    ),
    "sales.policy_signals": ("signal_id", "industry", "observed_on", "effective_on", "effect", "note"),
    "finance.invoices": (
        *("invoice_id", "customer_id", "issued_on", "due_on", "amount", "currency"),
        *("disputed_on", "written_off_on", "voided_on"),
    ),
    "finance.payments": ("payment_id", "customer_id", "invoice_id", "paid_on", "amount", "kind"),
    "finance.credit_terms": (
        *("customer_id", "valid_from", "credit_limit", "payment_days", "guarantee", "is_restricted"),
    ),
    "service.tickets": (
        *("ticket_id", "customer_id", "kind", "category", "priority", "channel", "sentiment", "order_id", "product_id"),
        *("opened_at", "first_responded_at", "resolved_at", "subject"),
    ),
    "service.surveys": (
        *("survey_id", "customer_id", "answered_at", "kind", "score", "scale_min", "scale_max", "channel", "comment"),
    ),
    "model.churn_scores": ("customer_id", "scored_on", "probability", "model_version", "reasons"),
    "handling.actions": (
        *("action_id", "customer_id", "case_id", "taken_at", "department", "actor", "outcome", "note"),
        *("follow_up_on", "corrects_action_id"),
    ),
    CREDIT_SCORES: ("customer_id", "scored_on", "score"),
}
"""Contract columns of each data set that the rules read."""

KEYS: Mapping[str, tuple[str, ...]] = {
    **{data_set: columns[:1] for data_set, columns in COLUMNS.items()},
    "sales.order_lines": ("order_id", "line_no"),
    "finance.credit_terms": ("customer_id", "valid_from"),
    "model.churn_scores": ("customer_id", "scored_on"),
    CREDIT_SCORES: ("customer_id", "scored_on"),
}
"""What identifies a record of each data set."""

LANDED = tuple(data_set for data_set in COLUMNS if data_set != CREDIT_SCORES)
"""The data sets that companies deliver."""

Mode = Literal["append", "snapshot"]
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Batch:
    """What arrived of a data set at once: one version a record at most, in contract shape.

    A version may also carry `updated_at`, and `_is_deleted` when its source says that the record is gone.
    """

    data_set: str
    mode: Mode
    rows: Sequence[Row]


def world_of(batches: Iterable[Batch]) -> World:
    """The world that accepted batches tell of, given in the order they arrived (0002, Versions).

    A snapshot is the whole state, so it replaces all that came before. A record is what its key says, whichever
    customer it names: an order delivered anew for another customer is that one's and nobody else's, and if nobody
    knows that customer, nobody's. A deletion is a version like any other: what is newer brings the record back, and
    a late one undoes nothing. A customer's `customer_since` is the earliest that any version read tells.
    """
    read: dict[str, list[Batch]] = {}
    for batch in batches:
        before = [] if batch.mode == "snapshot" else read.get(batch.data_set, [])
        read[batch.data_set] = [*before, batch]
    return {data_set: _current_rows(data_set, each) for data_set, each in read.items()}


def _current_rows(data_set: str, batches: Iterable[Batch]) -> list[Row]:
    versions: defaultdict[Key, list[Row]] = defaultdict(list)
    for batch in batches:
        for version in batch.rows:
            versions[key_of(data_set, version)].append(version)
    current = (max(reversed(each), key=_updated_at) for each in versions.values())  # max takes the first of equals
    return [
        {**row, **_earliest_since(versions[key_of(data_set, row)])} if data_set == "sales.customers" else row
        for row in current
        if not row.get("_is_deleted")
    ]


def _updated_at(version: Row) -> datetime:
    """When its source changed a version; one that does not say is older than any that does."""
    return version.get("updated_at") or datetime.min.replace(tzinfo=UTC)


def _earliest_since(versions: Iterable[Row]) -> Row:
    told = [version["customer_since"] for version in versions if version.get("customer_since")]
    return {"customer_since": min(told, default=None)}


NUMBERS = {"amount", "quantity", "score", "scale_min", "scale_max", "credit_limit", "payment_days", "probability"}


def key_of(data_set: str, record: Row) -> Key:
    """What identifies a record, as the values of its key's columns."""
    return tuple(record[column] for column in KEYS[data_set])


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
    if column == "line_no":
        return int
    if column.endswith("_at"):
        return datetime.fromisoformat
    if column in {"has_customer_interest", "is_restricted"}:
        return {"true": True, "false": False}.__getitem__
    return date.fromisoformat if column.endswith(("_on", "_since", "_from")) else str
