"""What each department knew at the end of a day, in its own words: exports in its own file formats, or its database."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from early_warning.demo import dirt, records
from early_warning.demo.crm import CustomerDatabase
from early_warning.demo.files import replacing, write_csv, write_parquet, write_xlsx
from early_warning.demo.timeline import Table, export_periods, horizon, made_from
from early_warning.demo.world import World, simulate
from early_warning.settings import SimulationPlan


@dataclass(frozen=True)
class Log:
    """An export that grows: each file holds the records that came or changed in its days, as they stood at their end.

    `name` is the world's table too, `events` are its columns whose moments make a new version. With a `sheet` it is a
    workbook, else a gzipped CSV.
    """

    source: str
    name: str
    events: tuple[str, ...]
    present: Callable[[Table], pa.Table]
    sheet: str | None = None

    def path(self, folder: Path, day: date) -> Path:
        """Return the file that closes with `day`."""
        return folder / self.source / f"{self.name}-{day:%Y-%m-%d}{'.xlsx' if self.sheet else '.csv.gz'}"


@dataclass(frozen=True)
class Book:
    """A table of the CRM that grows; `name` and `events` as in `Log`."""

    table: str
    name: str
    events: tuple[str, ...]
    present: Callable[[Table], pa.Table]


def prepare(folder: Path, plan: SimulationPlan, through: date, crm: str) -> None:
    """See `early_warning.demo.prepare`."""
    if not plan.starts_on <= through <= horizon(plan):
        raise ValueError(f"{through} is not simulated; the plan goes from {plan.starts_on} to {horizon(plan)}")
    state = folder / "prepared.json"
    reached = _reached(state, plan)
    with CustomerDatabase.open(crm, plan) as database:
        exported_until, entered_until = reached or date.min, database.reached or date.min
        if min(exported_until, entered_until) >= through:
            return
        world = simulate(plan)
        if entered_until < through:
            first = database.reached + timedelta(days=1) if database.reached else plan.starts_on
            _enter(database, world, first, through)
        if exported_until < through:
            _export(folder, plan, world, reached, through)


def _enter(database: CustomerDatabase, world: World, first: date, through: date) -> None:
    rows = {
        "客户": records.customers(_until(world.customers, "since", through)),
        "产品": records.products(world.products | {"number": np.arange(len(world.products["name"]))}),
    }
    damaged = {}
    for book in _BOOKS:
        rows[book.table] = book.present(changed(getattr(world, book.name), book.events, first, through))
        damaged[book.table] = dirt.lines(database.plan, book.name, first, through)
    database.enter(through, rows, damaged)


def _export(folder: Path, plan: SimulationPlan, world: World, reached: date | None, through: date) -> None:
    for first, last in export_periods(plan):
        if last <= through and (reached is None or last > reached):
            _write_logs(folder, plan, world, first, last)
    _write_snapshots(folder, world, through)
    with replacing(folder / "prepared.json") as part:  # last, so that what was cut off is done again
        part.write_text(json.dumps({"plan": made_from(plan), "through": through.isoformat()}))


def _reached(state: Path, plan: SimulationPlan) -> date | None:
    if not state.exists():
        return None
    found = json.loads(state.read_text())
    if found["plan"] != made_from(plan):
        other = found["plan"]
        raise ValueError(f"{state.parent} holds the exports of another plan or edition ({other}); use another folder")
    return date.fromisoformat(found["through"])


def _write_logs(folder: Path, plan: SimulationPlan, world: World, first: date, last: date) -> None:
    for log in _LOGS:
        versions = changed(getattr(world, log.name), log.events, first, last)
        if not len(versions["customer"]):
            continue
        path, table = log.path(folder, last), log.present(versions)
        if log.sheet:
            write_xlsx(path, log.sheet, table)
        else:
            write_csv(path, table, extra_lines=dirt.lines(plan, log.name, last, last))


def changed(table: Table, events: tuple[str, ...], first: date, last: date) -> Table:
    """Return the records with an event from `first` to `last`; later events are not known yet."""
    begin, end = np.datetime64(first, "D"), np.datetime64(last + timedelta(days=1), "D")
    moments = [table[event] for event in events]
    is_changed = np.logical_or.reduce([(begin <= moment) & (moment < end) for moment in moments])
    rows = np.flatnonzero(is_changed)
    versions = {name: column[rows] for name, column in table.items()} | {"number": rows}
    for event in events:
        versions[event] = np.where(versions[event] < end, versions[event], np.datetime64("NaT"))
    versions["updated_at"] = np.fmax.reduce([versions[event] for event in events])
    return versions


def _write_snapshots(folder: Path, world: World, through: date) -> None:
    write_parquet(
        folder / "service" / "surveys.parquet", records.surveys(_until(world.surveys, "answered_at", through))
    )
    terms = records.terms(_until(world.terms, "valid_from", through))
    write_csv(folder / "finance" / "credit_terms.csv", terms, encoding="gb18030")
    policies = records.policies(_until(world.policies, "observed_on", through))
    write_xlsx(folder / "market" / "policies.xlsx", "政策动态", policies)
    write_csv(folder / "truth.csv", records.truth(world.truth))


def _until(table: Table, moment: str, through: date) -> Table:
    rows = np.flatnonzero(table[moment] < np.datetime64(through + timedelta(days=1), "D"))
    return {name: column[rows] for name, column in table.items()} | {"number": rows}


_BOOKS = (
    Book("订单", "orders", ("ordered_at", "fulfilled_at", "cancelled_at"), records.orders),
    Book("订单明细", "lines", ("entered_at",), records.lines),
    Book("退货", "returns", ("returned_at",), records.returns),
    Book("互动", "interactions", ("occurred_at",), records.interactions),
)
_LOGS = (
    Log("service", "tickets", ("opened_at", "responded_at", "resolved_at"), records.tickets),
    Log("finance", "invoices", ("issued_on", "disputed_on", "written_off_on"), records.invoices, sheet="发票"),
    Log("finance", "payments", ("paid_on",), records.payments, sheet="收款"),
    Log("market", "competitors", ("observed_on",), records.competitors, sheet="竞品动态"),
)
