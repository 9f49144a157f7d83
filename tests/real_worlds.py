"""The two real companies as the oracle sees them: built from the raw files in plain Python, past the platform's own
reader and mapping SELECTs, by the same decisions that those write down."""

from __future__ import annotations

import csv
import gzip
import os
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from oracle import World
from oracle.world import row

SHARED_DATA = Path(
    os.environ.get("EARLY_WARNING_SHARED_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
)
SAO_PAULO, LONDON = ZoneInfo("America/Sao_Paulo"), ZoneInfo("Europe/London")
NEVER_CAME_ABOUT = ("canceled", "unavailable")


def marketplace_sellers() -> World:
    """All that the marketplace exported. A payment belongs to its invoice's customer; survey ids are made up."""
    folder = SHARED_DATA / "marketplace_sellers"

    def at(text: str) -> datetime | None:
        return datetime.fromisoformat(text).replace(tzinfo=SAO_PAULO) if text else None

    def on(text: str) -> date:
        return datetime.fromisoformat(text).date()

    invoices = list(_lines(folder / "finance.invoices.csv.gz"))
    customer_of = {line["invoice_id"]: line["customer_id"] for line in invoices}
    return {
        "sales.customers": [
            row("sales.customers", customer_id=line["customer_id"], name=line["name"], segment=line["segment"] or None)
            for line in _lines(folder / "sales.customers.csv.gz")
        ],
        "sales.orders": [
            row(
                "sales.orders",
                order_id=line["order_id"],
                customer_id=line["customer_id"],
                ordered_at=at(line["ordered_at"]),
                amount=Decimal(line["amount"]),
                promised_at=at(line["promised_at"]),
                fulfilled_at=at(line["fulfilled_at"]),
                cancelled_at=at(line["ordered_at"]) if line["status"] in NEVER_CAME_ABOUT else None,
                cancelled_by="us" if line["status"] == "unavailable" else None,
            )
            for line in _lines(folder / "sales.orders.csv.gz")
        ],
        "service.tickets": [
            row(
                "service.tickets",
                ticket_id=line["ticket_id"],
                customer_id=line["customer_id"],
                kind=line["kind"],
                opened_at=at(line["opened_at"]),
                first_responded_at=at(line["first_response_at"]),
                resolved_at=at(line["resolved_at"]),
            )
            for line in _lines(folder / "service.tickets.csv.gz")
        ],
        "service.surveys": [
            row(
                "service.surveys",
                survey_id=survey_id,
                customer_id=line["customer_id"],
                answered_at=at(line["answered_at"]),
                kind="csat",
                score=Decimal(line["score"]),
                scale_min=Decimal(1),
                scale_max=Decimal(5),
            )
            for survey_id, line in _surveys(folder)
        ],
        "finance.invoices": [
            row(
                "finance.invoices",
                invoice_id=line["invoice_id"],
                customer_id=line["customer_id"],
                issued_on=on(line["issued_on"]),
                due_on=on(line["due_on"]),
                amount=Decimal(line["amount"]),
            )
            for line in invoices
        ],
        "finance.payments": [
            row(
                "finance.payments",
                payment_id=f"{line['invoice_id']} {number}",
                customer_id=customer_of[line["invoice_id"]],
                invoice_id=line["invoice_id"],
                paid_on=on(line["paid_on"]),
                amount=Decimal(line["amount"]),
            )
            for number, line in enumerate(_lines(folder / "finance.payments.csv.gz"))
        ],
    }


def wholesaler(through: date) -> World:
    """The invoice lines of all files up to a day: sums of positive lines are orders, the first line a customer's start.

    Invoices that begin with C are returns; those with A (book-keeping) and lines without a customer are neither.
    """
    folder = SHARED_DATA / "wholesaler" / "daily"
    amounts: defaultdict[str, Decimal] = defaultdict(Decimal)
    starts: dict[str, datetime] = {}
    customer_of: dict[str, str] = {}
    first_seen: dict[str, date] = {}
    returned: dict[str, datetime] = {}
    for path in sorted(folder.glob("*.csv.gz")):
        if date.fromisoformat(path.name.removesuffix(".csv.gz")) > through:
            break
        for line in _lines(path):
            customer, invoice = line["CustomerID"], line["InvoiceNo"]
            if not customer:
                continue
            moment = datetime.fromisoformat(line["InvoiceDate"]).replace(tzinfo=LONDON)
            first_seen[customer] = min(first_seen.get(customer, moment.date()), moment.date())
            if invoice.startswith("C"):
                returned[invoice] = min(returned.get(invoice, moment), moment)
                customer_of[invoice] = customer
            amount = int(line["Quantity"]) * Decimal(line["UnitPrice"])
            if amount > 0 and not invoice.startswith(("C", "A")):
                amounts[invoice] += amount
                starts[invoice] = min(starts.get(invoice, moment), moment)
                customer_of[invoice] = customer
    return {
        "sales.customers": [
            row("sales.customers", customer_id=customer, name=customer, customer_since=since)
            for customer, since in first_seen.items()
        ],
        "sales.orders": [
            row(
                "sales.orders",
                order_id=invoice,
                customer_id=customer_of[invoice],
                ordered_at=starts[invoice],
                amount=amount,
            )
            for invoice, amount in amounts.items()
        ],
        "sales.returns": [
            row("sales.returns", return_id=invoice, customer_id=customer_of[invoice], returned_at=moment)
            for invoice, moment in returned.items()
        ],
    }


def _surveys(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Answers with an id that orders them as the mapping's ids do where two came at the same moment."""
    lines = sorted(
        _lines(folder / "service.surveys.csv.gz"),
        key=lambda line: (line["order_id"], line["customer_id"], line["answered_at"], Decimal(line["score"])),
    )
    times: defaultdict[tuple[str, str], int] = defaultdict(int)
    for line in lines:
        key = (line["order_id"], line["customer_id"])
        times[key] += 1
        yield f"{key[0]}-{key[1]}-{times[key]}", line


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as text:
        yield from csv.DictReader(text)
