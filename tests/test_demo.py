"""The demo company: its exports and its CRM follow from the plan and the day alone, and know nothing of the future."""

from __future__ import annotations

import csv
import gzip
import io
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from typing import Any

import fastexcel
import numpy as np
import psycopg
import pyarrow.parquet as pa_parquet
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from early_warning.demo import SimulationPlan, first_as_of, prepare
from early_warning.demo.fates import FATES
from early_warning.demo.timeline import horizon
from early_warning.demo.world import simulate

PLAN = SimulationPlan(seed=3, customers=150, starts_on=date(2024, 1, 1), months=18)
DAY = first_as_of(PLAN)
MAY_LIE_AHEAD = {"承诺交期", "到期日"}
CHINA = timezone(timedelta(hours=8))


@dataclass(frozen=True)
class Demo:
    """The departments' exports, and the CRM of sales."""

    folder: Path
    crm: str

    def prepare(self, day: date, plan: SimulationPlan = PLAN) -> None:
        prepare(self.folder, plan, day, self.crm)

    def rows(self, table: str) -> list[dict[str, Any]]:
        with psycopg.connect(self.crm, row_factory=dict_row) as connection:
            return connection.execute(f"select * from {table} order by 1".encode()).fetchall()

    @property
    def contents(self) -> dict[str, Any]:
        """All that can be seen, by file and by table."""
        files = [path for path in sorted(self.folder.rglob("*")) if path.is_file()]
        tables = ("客户", "订单", "模拟进度")
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files} | {
            table: self.rows(table) for table in tables
        }


@pytest.fixture(scope="module")
def new_demo(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Demo]]:
    """Makes demos in which nothing has been prepared yet."""
    names = []

    def make() -> Demo:
        names.append(f"crm_{uuid.uuid4().hex[:12]}")
        with psycopg.connect(postgres.admin_dsn, autocommit=True) as connection:
            connection.execute(f"create database {names[-1]}".encode())
        return Demo(tmp_path_factory.mktemp("demo"), make_conninfo(postgres.admin_dsn, dbname=names[-1]))

    yield make
    with psycopg.connect(postgres.admin_dsn, autocommit=True) as connection:
        for name in names:
            connection.execute(f"drop database {name} with (force)".encode())


@pytest.fixture(scope="module")
def demo(new_demo: Callable[[], Demo]) -> Demo:
    """All that is known by the first as-of date."""
    demo = new_demo()
    demo.prepare(DAY)
    return demo


def csv_rows(path: Path, encoding: str = "utf-8") -> list[dict[str, str]]:
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode(encoding)
    return list(csv.DictReader(io.StringIO(text)))


def moments(demo: Demo) -> Iterator[tuple[str, str, datetime]]:
    """Every date and time in exports and CRM: file or table, column, local time."""
    for table in ("客户", "订单"):
        for row in demo.rows(table):
            yield from ((table, column, found) for column, cell in row.items() if (found := as_moment(cell)))
    for path in sorted(demo.folder.glob("*/*")):
        if path.suffix == ".parquet":
            rows = pa_parquet.read_table(path).to_pylist()
        elif path.suffix == ".xlsx":
            rows = fastexcel.read_excel(path).load_sheet(0).to_arrow().to_pylist()
        else:
            rows = csv_rows(path, "gb18030" if path.name == "credit_terms.csv" else "utf-8")
        for row in rows:
            for column, cell in row.items():
                found = as_moment(cell)
                if found:
                    yield path.name, column, found


def as_moment(cell: object) -> datetime | None:
    if isinstance(cell, datetime):
        return cell
    if isinstance(cell, date):
        return datetime.combine(cell, datetime.min.time())
    try:
        found = datetime.fromisoformat(str(cell)) if str(cell).count("-") == 2 else None
    except ValueError:
        return None
    return found.astimezone(CHINA).replace(tzinfo=None) if found and found.tzinfo == UTC else found


def test_same_plan_leaves_the_same_bytes(demo: Demo, new_demo: Callable[[], Demo]) -> None:
    other = new_demo()
    other.prepare(DAY)
    assert other.contents == demo.contents


def test_days_asked_for_before_leave_no_trace(new_demo: Callable[[], Demo]) -> None:
    later = DAY + timedelta(days=3)
    by_steps, at_once = new_demo(), new_demo()
    for day in (date(2024, 11, 14), DAY, DAY + timedelta(days=1), later):
        by_steps.prepare(day)
    at_once.prepare(later)
    assert by_steps.contents == at_once.contents


def test_next_day_only_adds_logs_renews_snapshots_and_touches_what_changed(new_demo: Callable[[], Demo]) -> None:
    demo, next_day = new_demo(), DAY + timedelta(days=1)
    demo.prepare(DAY)
    before, orders = demo.contents, demo.rows("订单")
    demo.prepare(next_day)
    after = demo.contents
    changed = {name for name, content in before.items() if after[name] != content}
    assert all("-20" not in name for name in changed)
    assert {name for name in after if name not in before} >= {f"service/tickets-{next_day}.csv.gz"}
    touched = [order for order in demo.rows("订单") if order not in orders]
    known = {order["订单号"] for order in orders}
    assert {order["更新时间"].date() for order in touched} == {next_day}
    assert {order["订单号"] in known for order in touched} == {True, False}, "new orders, and known ones that changed"


def test_day_already_reached_changes_nothing(demo: Demo) -> None:
    before = demo.contents
    demo.prepare(DAY - timedelta(days=40))
    assert demo.contents == before


def test_crm_that_was_lost_is_entered_again(demo: Demo, new_demo: Callable[[], Demo]) -> None:
    lost = new_demo()
    other = Demo(demo.folder, lost.crm)
    other.prepare(DAY)
    assert other.contents == demo.contents


def test_exports_know_nothing_after_their_day(demo: Demo) -> None:
    late = [found for found in moments(demo) if found[1] not in MAY_LIE_AHEAD and found[2].date() > DAY]
    assert late == []


def test_each_file_knows_nothing_after_the_day_it_closes_with(demo: Demo) -> None:
    closes = {path.name: date.fromisoformat(path.name.split(".")[0][-10:]) for path in demo.folder.glob("*/*-20*")}
    late = [
        found
        for found in moments(demo)
        if found[0] in closes and found[1] not in MAY_LIE_AHEAD and found[2].date() > closes[found[0]]
    ]
    assert len(closes) > 40
    assert late == []


def test_changed_ticket_is_exported_again_when_it_is_answered(demo: Demo) -> None:
    versions: dict[str, list[dict[str, str]]] = {}
    for path in sorted((demo.folder / "service").glob("tickets-*.csv.gz")):
        for row in csv_rows(path):
            versions.setdefault(row["ticket_no"], []).append(row)
    reopened = [rows for rows in versions.values() if len({row["updated_at"] for row in rows}) == 2]
    assert len(reopened) > 10
    assert all(first["solved_at"] == "" and second["first_reply_at"] for first, second in reopened)


def test_truth_tells_every_customer_and_covers_every_fate(demo: Demo) -> None:
    truth = csv_rows(demo.folder / "truth.csv")
    customers = {row["客户编号"] for row in demo.rows("客户")}
    assert {row["fate"] for row in truth} == {fate.name for fate in FATES}
    assert customers < {row["customer_id"] for row in truth}
    for row in truth:
        outcome = next(fate.outcome for fate in FATES if fate.name == row["fate"])
        assert bool(row["leaves_on"]) == (outcome == "leaves")
        assert bool(row["defaults_on"]) == (outcome == "defaults")


def test_those_who_left_order_no_more(demo: Demo) -> None:
    left = {row["customer_id"]: row["leaves_on"] for row in csv_rows(demo.folder / "truth.csv") if row["leaves_on"]}
    assert not [row for row in demo.rows("订单") if str(row["下单时间"]) > left.get(row["客户编号"], "9")]


def test_damaged_rows_are_few_and_known(demo: Demo) -> None:
    customers = {row["客户编号"] for row in demo.rows("客户")}
    damaged = [
        row
        for row in demo.rows("订单")
        if row["下单时间"].year < 2000 or row["金额"] < 0 or row["客户编号"] not in customers
    ]
    assert [row["订单号"] for row in damaged] == ["SO90000001", "SO90000002", "SO90000003"]
    tickets = [row["ticket_no"] for row in csv_rows(demo.folder / "service" / "tickets-2024-11-30.csv.gz")]
    assert tickets.count("T9000001") == 2


def test_customers_scale(demo: Demo, new_demo: Callable[[], Demo]) -> None:
    larger = new_demo()
    larger.prepare(DAY, PLAN.model_copy(update={"customers": 300}))
    assert [len(each.rows("客户")) for each in (demo, larger)] == [150, 300]
    assert len({row["客户名称"] for row in larger.rows("客户")}) == 300


def test_call_that_was_cut_off_leaves_whole_files_and_is_finished_by_the_next(
    demo: Demo, new_demo: Callable[[], Demo], monkeypatch: pytest.MonkeyPatch
) -> None:
    real_replace, calls, cut = Path.replace, count(1), new_demo()

    def replace_until_cut_off(part: Path, path: Path) -> Path:
        if next(calls) > 20:
            raise KeyboardInterrupt
        return real_replace(part, path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace_until_cut_off)
        with pytest.raises(KeyboardInterrupt):
            cut.prepare(DAY)
    files = {str(path.relative_to(cut.folder)): path.read_bytes() for path in cut.folder.rglob("*") if path.is_file()}
    visible = {name: content for name, content in files.items() if not Path(name).name.startswith(".")}
    assert len(visible) == 20
    assert visible.items() < {name: value for name, value in demo.contents.items() if isinstance(value, bytes)}.items()
    cut.prepare(DAY)
    assert cut.contents == demo.contents


def test_day_outside_the_simulation_is_refused(tmp_path: Path) -> None:
    for day in (PLAN.starts_on - timedelta(days=1), horizon(PLAN) + timedelta(days=1)):
        with pytest.raises(ValueError, match="is not simulated"):
            prepare(tmp_path, PLAN, day, "")


def test_folder_or_crm_of_another_plan_is_refused(demo: Demo, new_demo: Callable[[], Demo]) -> None:
    fresh, other_plan = new_demo(), PLAN.model_copy(update={"seed": 4})
    for mixed in (Demo(demo.folder, fresh.crm), Demo(fresh.folder, demo.crm)):
        with pytest.raises(ValueError, match="another plan"):
            mixed.prepare(DAY, other_plan)


def test_simulation_goes_on_for_more_than_a_year() -> None:
    world = simulate(PLAN)
    days = world.orders["ordered_at"].astype("datetime64[D]")
    later = DAY + timedelta(days=400)
    assert horizon(PLAN) >= later
    assert np.sum(days > np.datetime64(later)) > 100
    assert world.customers["since"].max() > np.datetime64(DAY)
