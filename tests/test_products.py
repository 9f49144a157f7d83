"""Product quality and associations by hand, against the oracle and the SQL alike."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import combinations
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from early_warning.warehouse import Warehouse
from judged_by_sql import POLICY, judge_by_sql, land, read_run
from oracle import IndicatorResult, Moment, Policy, judge, read_world
from oracle.associations import Association, associations
from oracle.world import World, row
from test_worked_example import EXAMPLE, RUN_DATES, TIME_ZONE

SHANGHAI = ZoneInfo("Asia/Shanghai")
DAY = date(2025, 6, 30)
MOMENT = Moment.midnight_after(DAY, SHANGHAI)
# in the window's first and last day, in the baseline's last and first day, before the baseline, after the cut-off
LATELY, USUAL, NEVER = (0, 89), (90, 454), (455, -1)


class Shop:
    """Writes a company of one customer, whose products are counted by hand."""

    def __init__(self) -> None:
        self.world: dict[str, list[dict[str, Any]]] = {
            "sales.customers": [row("sales.customers", customer_id="C", name="C")],
            "sales.products": [
                row("sales.products", product_id="A", name="Ring", category="seals"),
                row("sales.products", product_id="B", name="Cap", category="seals"),
                row("sales.products", product_id="N", name="New"),
            ],
            **{name: [] for name in ("sales.orders", "sales.order_lines", "sales.returns", "service.tickets")},
        }
        self._written = 0

    def write(self, data_set: str, **values: Any) -> str:
        self._written += 1
        key = {"sales.orders": "order_id", "sales.returns": "return_id", "service.tickets": "ticket_id"}.get(data_set)
        given = {key: f"#{self._written}"} if key else {}
        self.world[data_set].append(row(data_set, **{"customer_id": "C", **given, **values}))
        return f"#{self._written}"

    def sell(self, count: int, product_id: str, days: tuple[int, ...], **values: Any) -> str:
        """Place so many orders of one product, on these days in turn; returns the last one's id."""
        order_id = ""
        for number in range(count):
            ordered_at = _at(days[number % len(days)])
            order_id = self.write("sales.orders", ordered_at=ordered_at, amount=Decimal(1), currency="CNY", **values)
            self.line(order_id, product_id)
        return order_id

    def line(self, order_id: str, product_id: str, line_no: int = 1) -> None:
        numbers = {"line_no": line_no, "quantity": 1, "amount": 1}
        self.write("sales.order_lines", order_id=order_id, product_id=product_id, **numbers)

    def complain(self, count: int, days: tuple[int, ...], **about: Any) -> None:
        for number in range(count):
            self.write("service.tickets", kind="complaint", opened_at=_at(days[number % len(days)]), **about)

    def give_back(self, count: int, days: tuple[int, ...], **about: Any) -> None:
        for number in range(count):
            self.write("sales.returns", returned_at=_at(days[number % len(days)]), **about)


def _at(days_ago: int) -> datetime:
    """The first instant of that day in Shanghai, when it is still the day before in UTC."""
    return datetime.combine(DAY - timedelta(days=days_ago), datetime.min.time(), SHANGHAI)


@pytest.fixture(params=["oracle", pytest.param("sql", marks=pytest.mark.slow)])
def judged(request: pytest.FixtureRequest) -> Any:
    """What judges a world's products: by item_kind and item_id, their columns."""

    def by_oracle(world: World) -> Mapping[tuple[str, str], Mapping[str, Any]]:
        products = judge(world, MOMENT, Policy.read(POLICY)).products
        return {item: vars(quality) for item, quality in products.items()}

    def by_sql(world: World) -> Mapping[tuple[str, str], Mapping[str, Any]]:
        warehouse: Warehouse = request.getfixturevalue("warehouse")
        land(warehouse, world, SHANGHAI)
        return read_run(warehouse, judge_by_sql(warehouse, MOMENT, SHANGHAI))["products"]

    return by_oracle if request.param == "oracle" else by_sql


def figures(quality: Mapping[str, Any]) -> list[str]:
    """Lines, complaints, returns, rate · lines, problems, rate of the baseline · threshold, ratio, verdict."""
    columns = (
        *("line_count", "complaint_count", "return_count", "rate", "baseline_line_count", "baseline_problem_count"),
        *("baseline_rate", "threshold_rate", "ratio", "is_conspicuous"),
    )
    return [
        str(quality[column].normalize() if isinstance(quality[column], Decimal) else quality[column])
        for column in columns
    ]


def test_products_and_categories_match_hand_arithmetic(judged: Any) -> None:
    shop = Shop()
    shop.sell(40, "A", LATELY)
    shop.sell(100, "A", USUAL)
    shop.sell(7, "A", NEVER)
    shop.sell(5, "A", LATELY, cancelled_at=_at(0))
    shop.complain(6, LATELY, product_id="A")
    shop.give_back(4, LATELY, product_id="A")
    shop.complain(3, USUAL, product_id="A")
    shop.give_back(7, USUAL, product_id="A")
    shop.complain(9, NEVER, product_id="A")
    shop.sell(50, "B", LATELY)
    shop.sell(100, "B", USUAL)
    shop.complain(10, LATELY, product_id="B")
    shop.complain(10, USUAL, product_id="B")
    shop.sell(29, "N", LATELY)
    shop.sell(30, "N", USUAL)
    shop.complain(12, LATELY, product_id="N")
    shop.sell(30, "X", LATELY)
    shop.sell(30, "X", USUAL)
    shop.complain(9, LATELY, product_id="X")
    shop.write("service.tickets", kind="inquiry", opened_at=_at(1), product_id="X")

    found = judged(shop.world)

    assert {item: figures(quality) for item, quality in found.items()} == {
        ("product", "A"): ["40", "6", "4", "0.25", "100", "10", "0.1", "0.2", "2.5", "True"],
        ("product", "B"): ["50", "10", "0", "0.2", "100", "10", "0.1", "0.2", "2", "False"],  # not above the threshold
        ("category", "seals"): ["90", "16", "4", "0.222222", "200", "20", "0.1", "0.2", "2.222222", "True"],
        ("product", "N"): ["29", "12", "0", "0.413793", "30", "0", "0", "0", "None", "None"],  # too few lines to tell
        ("product", "X"): ["30", "9", "0", "0.3", "30", "0", "0", "0", "None", "False"],  # too few problems
    }
    assert [found["product", "X"][name] for name in ("item_name", "category")] == ["X", None]
    assert [found["product", "A"][name] for name in ("item_name", "category")] == ["Ring", "seals"]
    assert found["product", "A"]["window_start"] == date(2025, 4, 2)
    assert found["product", "A"]["baseline_start"] == date(2024, 4, 2)


def test_problem_without_a_product_is_about_that_of_its_order(judged: Any) -> None:
    shop = Shop()
    single, double = shop.sell(1, "A", LATELY), shop.sell(1, "A", LATELY)
    shop.line(single, "A", 2)
    shop.line(double, "B", 2)
    gone = shop.sell(1, "B", LATELY, cancelled_at=_at(0))
    shop.complain(2, LATELY, order_id=single)
    shop.give_back(1, LATELY, order_id=single)
    shop.complain(4, LATELY, order_id=double)
    shop.complain(8, LATELY, order_id=gone)
    shop.complain(16, LATELY, order_id=single, product_id="B")
    shop.complain(32, LATELY, order_id=single, customer_id="another")
    shop.complain(64, LATELY)

    found = judged(shop.world)

    assert figures(found["product", "A"])[:3] == ["3", "2", "1"]
    assert figures(found["product", "B"])[:3] == ["1", "24", "0"]


def test_products_of_a_company_that_delivers_little_are_what_is_there(judged: Any) -> None:
    shop = Shop()
    shop.complain(20, LATELY, product_id="A")
    for data_set in ("sales.order_lines", "sales.returns", "sales.products"):
        del shop.world[data_set]

    found = judged(shop.world)

    assert {item: figures(quality) for item, quality in found.items()} == {
        ("product", "A"): ["None", "20", "None", "None", "0", "0", "None", "None", "None", "None"]
    }


# --- associations -------------------------------------------------------------------------------------------------


def test_association_of_ten_customers_matches_hand_arithmetic() -> None:
    def told(a: str, b: str) -> dict[str, IndicatorResult]:
        words: Any = {"s": "serious", "w": "watch", "-": "clear", "?": "unknown"}
        return {code: IndicatorResult(words[state]) for code, state in (("a", a), ("b", b)) if state != " "}

    customers = [
        told(*states) for states in ("ss", "sw", "ww", "s-", "-s", "-w", "--", "--", "--", "--", "s?", "?s", "s ")
    ]
    # 10 known on both: 4 have a, 5 have b, 3 both. Expected 4 × 5 ÷ 10 = 2, variance 4 × 5 × 6 × 5 ÷ (100 × 9) = 2/3.
    assert associations(["b", "a"], customers) == {
        ("a", "b"): Association(10, 4, 5, 3, Decimal(2), Decimal("1.5"), Decimal("1.22"))
    }
    assert associations(["a", "b"], []) == {("a", "b"): Association(0, 0, 0, 0, Decimal(0), None, None)}


@pytest.mark.slow
def test_associations_count_the_worked_example(warehouse: Warehouse) -> None:
    """Counted here from the states that were worked out by hand, without the oracle."""
    land(warehouse, read_world(EXAMPLE), TIME_ZONE)
    run_id = judge_by_sql(warehouse, Moment.midnight_after(RUN_DATES[-1], TIME_ZONE), TIME_ZONE)

    found = read_run(warehouse, run_id)["associations"]

    columns = ("judged_both", "breached_a", "breached_b", "breached_both")
    assert {pair: tuple(counts[column] for column in columns) for pair, counts in found.items()} == dict(by_hand())
    assert sum(counts["breached_both"] > 0 for counts in found.values()) > 20


def by_hand() -> Iterator[tuple[tuple[str, str], tuple[int, int, int, int]]]:
    with (EXAMPLE / "expected.csv").open(encoding="utf-8", newline="") as lines:
        states = {(each["customer_id"], each["indicator_code"]): each["state"] for each in csv.DictReader(lines)}
    customers, codes = ({key[place] for key in states} for place in (0, 1))
    for a, b in combinations(sorted(codes), 2):
        counts: Counter[str] = Counter()
        for customer in customers:
            of_a, of_b = states.get((customer, a), "unknown"), states.get((customer, b), "unknown")
            if "unknown" not in (of_a, of_b):
                counts += Counter(judged=1, a=of_a != "clear", b=of_b != "clear", both=of_a != "clear" != of_b)
        yield (a, b), (counts["judged"], counts["a"], counts["b"], counts["both"])
