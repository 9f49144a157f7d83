"""The demo company: its exports follow from the plan and the day alone, and know nothing of the future."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import count
from pathlib import Path

import fastexcel
import numpy as np
import pyarrow.parquet as pa_parquet
import pytest

from early_warning.demo import SimulationPlan, first_as_of, prepare
from early_warning.demo.fates import FATES
from early_warning.demo.timeline import horizon
from early_warning.demo.world import simulate

PLAN = SimulationPlan(seed=3, customers=150, starts_on=date(2024, 1, 1), months=18)
DAY = first_as_of(PLAN)
MAY_LIE_AHEAD = {"承诺交期", "到期日"}
CHINA = timezone(timedelta(hours=8))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exports up to the first as-of date."""
    folder = tmp_path_factory.mktemp("demo")
    prepare(folder, PLAN, DAY)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def csv_rows(path: Path, encoding: str = "utf-8") -> list[dict[str, str]]:
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode(encoding)
    return list(csv.DictReader(io.StringIO(text)))


def moments(folder: Path) -> Iterator[tuple[str, str, datetime]]:
    """Every date and time in the exports: file, column, local time."""
    for path in sorted(folder.glob("*/*")):
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


def test_same_plan_leaves_the_same_bytes(demo: Path, tmp_path: Path) -> None:
    prepare(tmp_path, PLAN, DAY)
    assert contents(tmp_path) == contents(demo)


def test_days_asked_for_before_leave_no_trace(tmp_path: Path) -> None:
    later = DAY + timedelta(days=3)
    for day in (date(2024, 11, 14), DAY, DAY + timedelta(days=1), later):
        prepare(tmp_path / "by_steps", PLAN, day)
    prepare(tmp_path / "at_once", PLAN, later)
    assert contents(tmp_path / "by_steps") == contents(tmp_path / "at_once")


def test_next_day_only_adds_logs_and_renews_snapshots(tmp_path: Path) -> None:
    prepare(tmp_path, PLAN, DAY)
    before = contents(tmp_path)
    prepare(tmp_path, PLAN, DAY + timedelta(days=1))
    after = contents(tmp_path)
    changed = {name for name, content in before.items() if after[name] != content}
    assert all("-20" not in name for name in changed)
    assert {name for name in after if name not in before} >= {f"sales/orders-{DAY + timedelta(days=1)}.csv.gz"}


def test_day_already_reached_changes_nothing(demo: Path) -> None:
    before = contents(demo)
    prepare(demo, PLAN, DAY - timedelta(days=40))
    assert contents(demo) == before


def test_exports_know_nothing_after_their_day(demo: Path) -> None:
    late = [found for found in moments(demo) if found[1] not in MAY_LIE_AHEAD and found[2].date() > DAY]
    assert late == []


def test_each_file_knows_nothing_after_the_day_it_closes_with(demo: Path) -> None:
    closes = {path.name: date.fromisoformat(path.name.split(".")[0][-10:]) for path in demo.glob("*/*-20*")}
    late = [
        found
        for found in moments(demo)
        if found[0] in closes and found[1] not in MAY_LIE_AHEAD and found[2].date() > closes[found[0]]
    ]
    assert len(closes) > 60
    assert late == []


def test_changed_order_is_exported_again_when_it_is_delivered(demo: Path) -> None:
    versions: dict[str, list[dict[str, str]]] = {}
    for path in sorted((demo / "sales").glob("orders-*.csv.gz")):
        for row in csv_rows(path):
            versions.setdefault(row["订单号"], []).append(row)
    reopened = [rows for rows in versions.values() if len(rows) == 2]
    assert len(reopened) > 100
    for first, second in reopened:
        assert first["实际交付"] == first["取消时间"] == ""
        assert second["实际交付"] or second["取消时间"]


def test_truth_tells_every_customer_and_covers_every_fate(demo: Path) -> None:
    truth = csv_rows(demo / "truth.csv")
    customers = {row["客户编号"] for row in csv_rows(demo / "sales" / "customers.csv")}
    assert {row["fate"] for row in truth} == {fate.name for fate in FATES}
    assert customers < {row["customer_id"] for row in truth}
    for row in truth:
        outcome = next(fate.outcome for fate in FATES if fate.name == row["fate"])
        assert bool(row["leaves_on"]) == (outcome == "leaves")
        assert bool(row["defaults_on"]) == (outcome == "defaults")


def test_those_who_left_order_no_more(demo: Path) -> None:
    left = {row["customer_id"]: row["leaves_on"] for row in csv_rows(demo / "truth.csv") if row["leaves_on"]}
    orders = [row for path in (demo / "sales").glob("orders-*.csv.gz") for row in csv_rows(path)]
    assert not [row for row in orders if row["下单时间"] > left.get(row["客户编号"], "9")]


def test_damaged_rows_are_few_and_known(demo: Path) -> None:
    customers = {row["客户编号"] for row in csv_rows(demo / "sales" / "customers.csv")}
    orders = [row for path in sorted((demo / "sales").glob("orders-*.csv.gz")) for row in csv_rows(path)]
    damaged = [
        row
        for row in orders
        if row["下单时间"] < "1" or not row["金额"].replace(".", "").isdigit() or row["客户编号"] not in customers
    ]
    assert [row["订单号"] for row in damaged] == ["SO90000001", "SO90000002", "SO90000003"]
    tickets = [row["ticket_no"] for row in csv_rows(demo / "service" / "tickets-2024-11-30.csv.gz")]
    assert tickets.count("T9000001") == 2


def test_customers_scale(demo: Path, tmp_path: Path) -> None:
    prepare(tmp_path, PLAN.model_copy(update={"customers": 300}), DAY)
    counts = [len(csv_rows(folder / "sales" / "customers.csv")) for folder in (demo, tmp_path)]
    assert counts == [150, 300]
    names = [row["客户名称"] for row in csv_rows(tmp_path / "sales" / "customers.csv")]
    assert len(set(names)) == 300


def test_call_that_was_cut_off_leaves_whole_files_and_is_finished_by_the_next(
    demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_replace, calls = Path.replace, count(1)

    def replace_until_cut_off(part: Path, path: Path) -> Path:
        if next(calls) > 20:
            raise KeyboardInterrupt
        return real_replace(part, path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace_until_cut_off)
        with pytest.raises(KeyboardInterrupt):
            prepare(tmp_path, PLAN, DAY)
    visible = {name: content for name, content in contents(tmp_path).items() if not Path(name).name.startswith(".")}
    assert len(visible) == 20
    assert visible.items() < contents(demo).items()
    prepare(tmp_path, PLAN, DAY)
    assert contents(tmp_path) == contents(demo)


def test_day_outside_the_simulation_is_refused(tmp_path: Path) -> None:
    for day in (PLAN.starts_on - timedelta(days=1), horizon(PLAN) + timedelta(days=1)):
        with pytest.raises(ValueError, match="is not simulated"):
            prepare(tmp_path, PLAN, day)


def test_folder_of_another_plan_is_refused(demo: Path) -> None:
    with pytest.raises(ValueError, match="another plan"):
        prepare(demo, PLAN.model_copy(update={"seed": 4}), DAY)


def test_simulation_goes_on_for_more_than_a_year() -> None:
    world = simulate(PLAN)
    days = world.orders["ordered_at"].astype("datetime64[D]")
    later = DAY + timedelta(days=400)
    assert horizon(PLAN) >= later
    assert np.sum(days > np.datetime64(later)) > 100
    assert world.customers["since"].max() > np.datetime64(DAY)
