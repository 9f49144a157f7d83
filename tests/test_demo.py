"""The demo company: its exports and its CRM follow from the plan and the day alone, and know nothing of the future."""

from __future__ import annotations

import csv
import gzip
import io
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import fastexcel
import numpy as np
import psycopg
import pyarrow.parquet as pa_parquet
import pytest
import yaml
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from demo_states import Judged
from early_warning.demo import SimulationPlan, first_as_of, prepare
from early_warning.demo.contacts import CHANNELS
from early_warning.demo.fates import FATES
from early_warning.demo.products import FAULTY
from early_warning.demo.timeline import horizon
from early_warning.demo.world import World, simulate
from early_warning.settings import PROJECT

PLAN = SimulationPlan(seed=3, customers=150, starts_on=date(2024, 1, 1), months=18)
DAY = first_as_of(PLAN)
MAY_LIE_AHEAD = {"承诺交期", "到期日", "施行日期"}
BOOKS = ("客户", "产品", "订单", "订单明细", "退货", "互动")
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
            return connection.execute(f"select * from {table} order by 1, 2".encode()).fetchall()

    @property
    def contents(self) -> dict[str, Any]:
        """All that can be seen, by file and by table."""
        files = [path for path in sorted(self.folder.rglob("*")) if path.is_file()]
        tables = (*BOOKS, "模拟进度")
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


def sheet_rows(path: Path) -> list[dict[str, Any]]:
    return list(fastexcel.read_excel(path).load_sheet(0).to_arrow().to_pylist())


def moments(demo: Demo) -> Iterator[tuple[str, str, datetime]]:
    """Every date and time in exports and CRM: file or table, column, local time."""
    for table in BOOKS:
        for row in demo.rows(table):
            yield from ((table, column, found) for column, cell in row.items() if (found := as_moment(cell)))
    for path in sorted(demo.folder.glob("*/*")):
        if path.suffix == ".parquet":
            rows = pa_parquet.read_table(path).to_pylist()
        elif path.suffix == ".xlsx":
            rows = sheet_rows(path)
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
    assert [row["退货单号"] for row in demo.rows("退货") if row["客户编号"] not in customers] == ["TH9000001"]
    assert [row["互动编号"] for row in demo.rows("互动") if row["渠道"] not in CHANNELS] == ["HD90000001"]


def test_lines_add_up_to_their_orders_and_returns_belong_to_a_line_that_was_delivered(demo: Demo) -> None:
    products = {row["产品编号"] for row in demo.rows("产品")}
    orders = {row["订单号"]: row for row in demo.rows("订单") if row["订单号"] < "SO9"}
    amounts: dict[str, Decimal] = {}
    sold = set()
    for line in demo.rows("订单明细"):
        amounts[line["订单号"]] = amounts.get(line["订单号"], Decimal()) + line["金额"]
        sold.add((line["订单号"], line["产品编号"]))
        assert line["金额"] >= 0
        assert line["数量"] > 0
    assert {product for _, product in sold} == products
    assert amounts == {number: order["金额"] for number, order in orders.items()}
    returns = [row for row in demo.rows("退货") if row["退货单号"] < "TH9"]
    assert len(returns) > 20
    for row in returns:
        order = orders[row["订单号"]]
        assert (row["订单号"], row["产品编号"]) in sold
        assert row["客户编号"] == order["客户编号"]
        assert order["实际交付"] < row["退货时间"]


def test_tickets_tell_what_complaints_are_about_and_what_feedback_sounds_like(demo: Demo) -> None:
    products = {row["产品编号"] for row in demo.rows("产品")}
    files = sorted((demo.folder / "service").glob("tickets-*.csv.gz"))
    tickets = {row["ticket_no"]: row for path in files for row in csv_rows(path)}.values()
    assert {row["product_code"] for row in tickets} <= products | {""}
    assert {row["type"] for row in tickets if row["product_code"] or row["category"]} == {"complaint"}
    assert {row["sentiment"] for row in tickets if row["type"] == "feedback"} >= {"negative", "neutral", "positive", ""}
    assert {row["sentiment"] for row in tickets if row["type"] != "feedback"} == {""}


def test_market_research_names_known_customers_and_industries(demo: Demo) -> None:
    customers = {row["客户编号"]: row["行业"] for row in demo.rows("客户")}
    market = demo.folder / "market"
    signals = [row for path in sorted(market.glob("competitors-*.xlsx")) for row in sheet_rows(path)]
    policies = sheet_rows(market / "policies.xlsx")
    assert len({row["线索编号"] for row in signals}) == len(signals) > 10
    assert {row["客户编号"] for row in signals} <= customers.keys()
    assert {row["客户意向"] for row in signals} == {"有意向", "无意向", None}
    assert len({row["编号"] for row in policies}) == len(policies) > 10
    assert {row["行业"] for row in policies} <= set(customers.values())
    assert {row["影响"] for row in policies} == {"不利", "中性", "有利"}


def test_surveys_ask_for_satisfaction_and_recommendation(demo: Demo) -> None:
    answers = pa_parquet.read_table(demo.folder / "service" / "surveys.parquet").to_pylist()
    assert {row["survey"] for row in answers} == {"csat", "nps"}
    assert len({row["response_id"] for row in answers}) == len(answers)
    assert all(0 <= row["score_of_10"] <= 10 for row in answers)


@pytest.fixture(scope="module")
def shipped() -> tuple[SimulationPlan, World]:
    """The plan and the world of the company as it is shipped."""
    company = yaml.safe_load((PROJECT / "company" / "company.yml").read_text(encoding="utf-8"))
    plan = SimulationPlan(**company["simulation"])
    return plan, simulate(plan)


def test_one_product_line_comes_back_and_is_complained_about_more_than_others(
    shipped: tuple[SimulationPlan, World],
) -> None:
    _, world = shipped
    category = world.products["category"]
    sold, back, complaints = (
        Counter(category[numbers].tolist())
        for numbers in (
            world.lines["product"],
            world.returns["product"],
            world.tickets["product"][world.tickets["product"] >= 0],
        )
    )
    shares = sorted((back[name] / sold[name], name) for name in sold)
    assert shares[-1][1] == max(complaints, key=complaints.__getitem__) == "密封件"
    assert shares[-1][0] > 2 * shares[-2][0]


def test_one_product_is_newly_complained_about_in_the_shipped_demo_until_its_bad_batch_is_over(
    shipped: tuple[SimulationPlan, World],
) -> None:
    plan, world = shipped
    day = first_as_of(plan)
    assert conspicuous(world, day - timedelta(days=90)) == set()
    assert conspicuous(world, day) == {FAULTY}
    assert conspicuous(world, day + timedelta(days=120)) == set()


def conspicuous(world: World, as_of: date) -> set[str]:
    """Names of the products and categories that have twice as many problems an order line as in the year before."""
    day, end = np.datetime64(as_of, "D"), np.datetime64(as_of + timedelta(days=1), "s")
    is_sold = ~(world.orders["cancelled_at"] < end)[world.lines["order"]]
    is_complaint = world.tickets["product"] >= 0
    sold = (world.lines["product"][is_sold], world.orders["ordered_at"][world.lines["order"][is_sold]])
    back = (world.returns["product"], world.returns["returned_at"])
    complaints = (world.tickets["product"][is_complaint], world.tickets["opened_at"][is_complaint])
    found = set()
    for names in (world.products["name"], world.products["category"]):
        counted: Counter[tuple[str, str, bool]] = Counter()
        for kind, (product, happened_at) in (("line", sold), ("problem", back), ("problem", complaints)):
            age = (day - happened_at.astype("datetime64[D]")).astype(np.int64)
            within = (age >= 0) & (age < 90 + 365)
            counted.update(
                (name, kind, is_late) for name, is_late in zip(names[product[within]], age[within] < 90, strict=True)
            )
        for name in set(names):
            lines, problems = counted[name, "line", True], counted[name, "problem", True]
            usual = counted[name, "problem", False] / counted[name, "line", False]
            if problems >= 10 and problems / lines > 2 * usual:
                found.add(name)
    return found


def test_each_indicator_of_the_shipped_demo_has_customers_in_every_state_and_few_that_breach(
    shipped: tuple[SimulationPlan, World],
) -> None:
    plan, world = shipped
    found = Judged(world, first_as_of(plan)).states
    assert len(found) == 13
    for code, states in found.items():
        shares = {state: float(np.mean(states == state)) for state in ("serious", "watch", "clear")}
        has_serious_state = code not in ("rhythm_break", "policy_change")
        assert (shares["serious"] > 0) == has_serious_state, code
        assert shares["watch"] > 0, code
        assert shares["clear"] > 0.4, code
        assert shares["serious"] < 0.06, code


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
