"""What each department knew at the end of a day, in its own words: exports in its own file formats, or its database."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from early_warning.demo import dirt
from early_warning.demo.crm import CustomerDatabase
from early_warning.demo.files import replacing, write_csv, write_parquet, write_xlsx
from early_warning.demo.finance import GUARANTEES
from early_warning.demo.service import KINDS
from early_warning.demo.timeline import Table, Times, export_periods, horizon
from early_warning.demo.world import World, simulate
from early_warning.settings import SimulationPlan

ORDER_EVENTS = ("ordered_at", "fulfilled_at", "cancelled_at")


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
            database.enter(
                through,
                customers=_customers(_until(world.customers, "since", through)),
                orders=_orders(changed(world.orders, ORDER_EVENTS, first, through)),
                damaged_orders=dirt.lines(plan, "orders", first, through),
            )
        if exported_until < through:
            _export(folder, plan, world, reached, through)


def _export(folder: Path, plan: SimulationPlan, world: World, reached: date | None, through: date) -> None:
    for first, last in export_periods(plan):
        if last <= through and (reached is None or last > reached):
            _write_logs(folder, plan, world, first, last)
    _write_snapshots(folder, world, through)
    with replacing(folder / "prepared.json") as part:  # last, so that what was cut off is done again
        part.write_text(json.dumps({"plan": plan.model_dump(mode="json"), "through": through.isoformat()}))


def _reached(state: Path, plan: SimulationPlan) -> date | None:
    if not state.exists():
        return None
    found = json.loads(state.read_text())
    if found["plan"] != plan.model_dump(mode="json"):
        raise ValueError(f"{state.parent} holds the exports of another plan ({found['plan']}); use another folder")
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
    write_parquet(folder / "service" / "surveys.parquet", _surveys(_until(world.surveys, "answered_at", through)))
    terms = _terms(_until(world.terms, "valid_from", through))
    write_csv(folder / "finance" / "credit_terms.csv", terms, encoding="gb18030")
    write_csv(folder / "truth.csv", _truth(world.truth))


def _until(table: Table, moment: str, through: date) -> Table:
    rows = np.flatnonzero(table[moment] < np.datetime64(through + timedelta(days=1), "D"))
    return {name: column[rows] for name, column in table.items()} | {"number": rows}


def _customers(rows: Table) -> pa.Table:
    return pa.table(
        {
            "客户编号": _code("C", rows["number"]),
            "客户名称": rows["name"],
            "客户分级": rows["segment"],
            "行业": rows["industry"],
            "地区": rows["region"],
            "规模": rows["size"],
            "建档日期": _days(rows["since"]),
            "客户经理": rows["owner_name"],
            "客户经理邮箱": rows["owner_email"],
            "联系人": rows["contact_name"],
            "联系电话": rows["contact_phone"],
            "联系邮箱": rows["contact_email"],
        }
    )


def _orders(rows: Table) -> pa.Table:
    by_whom = np.where(rows["is_cancelled_by_us"], "我方", "客户")
    return pa.table(
        {
            "订单号": _code("SO", rows["number"], 8),
            "客户编号": _code("C", rows["customer"]),
            "下单时间": _local(rows["ordered_at"]),
            "金额": rows["cents"] / 100,
            "承诺交期": _local(rows["promised_at"]),
            "实际交付": _local(rows["fulfilled_at"]),
            "取消时间": _local(rows["cancelled_at"]),
            "取消方": pa.array(by_whom, mask=np.isnat(rows["cancelled_at"])),
            "更新时间": _local(rows["updated_at"]),
        }
    )


def _tickets(rows: Table) -> pa.Table:
    return pa.table(
        {
            "ticket_no": _code("T", rows["number"], 7),
            "customer_code": _code("C", rows["customer"]),
            "type": np.array(KINDS)[rows["kind"]],
            "priority": np.array(["P1", "P2", "P3", "P4"])[rows["priority"]],
            "opened_at": _utc(rows["opened_at"]),
            "first_reply_at": _utc(rows["responded_at"]),
            "solved_at": _utc(rows["resolved_at"]),
            "updated_at": _utc(rows["updated_at"]),
        }
    )


def _surveys(rows: Table) -> pa.Table:
    return pa.table(
        {
            "response_id": _code("R", rows["number"], 7),
            "customer_code": _code("C", rows["customer"]),
            "answered_at": _local(rows["answered_at"]),
            "score_of_10": rows["score"],
        }
    )


def _invoices(rows: Table) -> pa.Table:
    return pa.table(
        {
            "发票号": _code("FP", rows["number"], 7),
            "客户编号": _code("C", rows["customer"]),
            "开票日期": _days(rows["issued_on"]),
            "到期日": _days(rows["due_on"]),
            "价税合计": rows["cents"] / 100,
            "争议日期": _days(rows["disputed_on"]),
            "核销日期": _days(rows["written_off_on"]),
        }
    )


def _payments(rows: Table) -> pa.Table:
    return pa.table(
        {
            "收款单号": _code("SK", rows["number"], 7),
            "客户编号": _code("C", rows["customer"]),
            "发票号": pc.if_else(pa.array(rows["names_invoice"]), _code("FP", rows["invoice"], 7), None),
            "收款日期": _days(rows["paid_on"]),
            "金额": rows["cents"] / 100,
            "红字": pa.array(np.full(len(rows["cents"]), "红字冲销"), mask=~rows["is_credit"]),
        }
    )


def _terms(rows: Table) -> pa.Table:
    return pa.table(
        {
            "客户编号": _code("C", rows["customer"]),
            "生效日期": _days(rows["valid_from"]),
            "信用额度": rows["limit"],
            "账期天数": rows["payment_days"],
            "担保方式": np.array(GUARANTEES, dtype=object)[rows["guarantee"]],
            "限制交易": np.where(rows["is_restricted"], "是", "否"),
        }
    )


def _truth(rows: Table) -> pa.Table:
    return pa.table(
        {
            "customer_id": _code("C", rows["customer"]),
            "fate": rows["fate"],
            "starts_on": _days(rows["starts_on"]),
            "leaves_on": _days(rows["leaves_on"]),
            "defaults_on": _days(rows["defaults_on"]),
            "note": rows["note"],
        }
    )


def _code(prefix: str, numbers: NDArray[Any], width: int = 6) -> pa.Array:
    """Return record numbers as the exports write them, from 1 on: C000001."""
    digits = pc.utf8_lpad(pc.cast(pa.array(numbers + 1), pa.string()), width, "0")
    return pc.binary_join_element_wise(prefix, digits, "")


def _days(days: Times) -> pa.Array:
    return pa.array(days.astype("datetime64[D]"))


def _local(times: Times) -> pa.Array:
    return pa.array(times.astype("datetime64[s]"))


def _utc(times: Times) -> pa.Array:
    """Write times as the service desk's vendor does. China has kept UTC+8 the year round since 1992."""
    return pc.strftime(_local(times - np.timedelta64(8, "h")), "%Y-%m-%dT%H:%M:%SZ")


_LOGS = (
    Log("service", "tickets", ("opened_at", "responded_at", "resolved_at"), _tickets),
    Log("finance", "invoices", ("issued_on", "disputed_on", "written_off_on"), _invoices, sheet="发票"),
    Log("finance", "payments", ("paid_on",), _payments, sheet="收款"),
)
