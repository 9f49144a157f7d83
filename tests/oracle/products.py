"""Which products are complained about or come back more often than they did (某类产品频繁被投诉; 0002.51 to .54)."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from .customers import Row, World
from .exact import figure, round_half_away
from .moment import Moment
from .policy import Policy

Kind = Literal["line", "complaint", "return"]


@dataclass(frozen=True)
class Quality:
    """A product or a category at one moment; a count is null where its data set is not delivered."""

    item_name: str
    category: str | None
    window_start: date
    baseline_start: date
    line_count: int | None
    complaint_count: int | None
    return_count: int | None
    rate: Decimal | None
    baseline_line_count: int
    baseline_problem_count: int
    baseline_rate: Decimal | None
    threshold_rate: Decimal | None
    ratio: Decimal | None
    is_conspicuous: bool | None


def product_quality(world: World, moment: Moment, policy: Policy) -> dict[tuple[str, str], Quality]:
    """Every product that something happened to in the window or its baseline, and every category of such products."""
    days, both_days = _days(policy)
    catalogue = {row["product_id"]: row for row in world.get("sales.products", ())}
    lately: defaultdict[tuple[str, str], Counter[Kind]] = defaultdict(Counter)
    before: defaultdict[tuple[str, str], Counter[Kind]] = defaultdict(Counter)
    for product_id, kind, day in _events(world, moment):
        age = moment.days_since(day)
        if age >= both_days:
            continue
        category = catalogue.get(product_id, {}).get("category")
        for item in (("product", product_id), *((("category", category),) if category is not None else ())):
            (lately if age < days else before)[item][kind] += 1
    return {
        item: _judge(item, lately[item], before[item], catalogue, world, moment, policy)
        for item in [*lately.keys(), *before.keys()]
    }


def _days(policy: Policy) -> tuple[int, int]:
    """How long the window is, and how long it and its baseline are together."""
    window, baseline = (int(policy.settings[f"product_{name}_days"]) for name in ("window", "baseline"))
    return window, window + baseline


def _events(world: World, moment: Moment) -> Iterator[tuple[str, Kind, date]]:
    """What happened to products and is visible: product, what, local date (0002.51, 0002.52)."""
    products_of: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for line in world.get("sales.order_lines", ()):
        products_of[line["customer_id"], line["order_id"]].append(line["product_id"])
    for order in world.get("sales.orders", ()):
        if moment.has_seen(order["ordered_at"]) and not moment.has_seen(order.get("cancelled_at")):
            for product_id in products_of.get((order["customer_id"], order["order_id"]), ()):
                yield product_id, "line", moment.local_date(order["ordered_at"])

    def about(row: Row) -> str | None:
        if row.get("product_id") is not None:
            return str(row["product_id"])
        ordered = set(products_of.get((row["customer_id"], row.get("order_id") or ""), ()))
        return ordered.pop() if len(ordered) == 1 else None

    complaints: Iterable[Row] = (row for row in world.get("service.tickets", ()) if row["kind"] == "complaint")
    problems: tuple[tuple[Kind, str, Iterable[Row]], ...] = (
        ("complaint", "opened_at", complaints),
        ("return", "returned_at", world.get("sales.returns", ())),
    )
    for kind, happened_at, rows in problems:
        for row in rows:
            if moment.has_seen(row[happened_at]) and (product_id := about(row)) is not None:
                yield product_id, kind, moment.local_date(row[happened_at])


def _judge(
    item: tuple[str, str],
    lately: Counter[Kind],
    before: Counter[Kind],
    catalogue: dict[str, Row],
    world: World,
    moment: Moment,
    policy: Policy,
) -> Quality:
    """The rate of the window against the year before (0002.53, 0002.54)."""
    item_kind, item_id = item
    product = catalogue.get(item_id, {}) if item_kind == "product" else {"name": item_id, "category": item_id}
    problems, usual_problems = (each["complaint"] + each["return"] for each in (lately, before))
    rate = Fraction(problems, lately["line"]) if lately["line"] else None
    usual = Fraction(usual_problems, before["line"]) if before["line"] else None
    threshold = None if usual is None else round_half_away(policy.settings["product_factor"] * usual)
    is_conspicuous = None
    has_lines = min(lately["line"], before["line"]) >= policy.settings["product_min_lines"]
    if has_lines and rate is not None and threshold is not None:
        enough = problems >= policy.settings["product_min_problems"]
        is_conspicuous = enough and round_half_away(rate) > threshold

    def delivered(count: int, *data_sets: str) -> int | None:
        return count if set(data_sets) <= set(world) else None

    return Quality(
        item_name=product.get("name") or item_id,
        category=product.get("category"),
        window_start=moment.last_days(_days(policy)[0])[0],
        baseline_start=moment.last_days(_days(policy)[1])[0],
        line_count=delivered(lately["line"], "sales.orders", "sales.order_lines"),
        complaint_count=delivered(lately["complaint"], "service.tickets"),
        return_count=delivered(lately["return"], "sales.returns"),
        rate=figure(rate),
        baseline_line_count=before["line"],
        baseline_problem_count=usual_problems,
        baseline_rate=figure(usual),
        threshold_rate=figure(threshold),
        ratio=figure(rate / usual) if rate is not None and usual else None,
        is_conspicuous=is_conspicuous,
    )
