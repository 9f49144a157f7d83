"""What is sold: the catalogue, the lines of each order, and what comes back."""

from __future__ import annotations

from itertools import product

import numpy as np

from early_warning.demo.chance import Spells, stream
from early_warning.demo.population import Population
from early_warning.demo.timeline import DAYS_AHEAD, Ints, Table, at, day_count
from early_warning.settings import SimulationPlan

# Category: kinds, sizes, price of the first in yuan, share of the customers whose main category it is
_CATALOGUE = {
    "轴承": (("深沟球轴承", "圆锥滚子轴承"), ("6204", "6308"), 48, 0.26),
    "密封件": (("骨架油封", "机械密封"), ("TC-35", "TC-60"), 15, 0.12),
    "紧固件": (("高强度螺栓", "不锈钢螺母"), ("M8", "M16"), 2, 0.20),
    "润滑油品": (("液压油", "齿轮油"), ("20L", "200L"), 320, 0.14),
    "传动件": (("同步带", "联轴器"), ("A型", "B型"), 95, 0.16),
    "电气元件": (("接触器", "断路器"), ("32A", "63A"), 130, 0.12),
}
_WEAK = "密封件"  # the line that always was weak: it comes back, and half of all complaints are about it
FAULTY = "断路器 32A"  # what a product manager should find: for a while a bad batch of it is complained about
_FAULTY_FROM, _FAULTY_DAYS, _FAULTY_SHARE = -75, 120, 0.15  # from the first as-of date on; share of all complaints
REASONS = ("质量问题", "发错规格", "数量不符", "运输损坏")

_PRODUCTS = [
    (f"{kind} {model}", category, price * (1 + number))
    for category, (kinds, models, price, _) in _CATALOGUE.items()
    for number, (kind, model) in enumerate(product(kinds, models))
]
_PER_CATEGORY = 4
_WEAK_FROM = _PER_CATEGORY * list(_CATALOGUE).index(_WEAK)


def product_table() -> Table:
    """Return the catalogue: name, category."""
    names, categories, _ = zip(*_PRODUCTS, strict=True)
    return {"name": np.array(names, dtype=object), "category": np.array(categories, dtype=object)}


def buys(plan: SimulationPlan, purpose: str, population: Population, customer: Ints) -> Ints:
    """Draw a product for each customer named: mostly one of its main category."""
    shares = [share for *_, share in _CATALOGUE.values()]
    main = stream(plan, "main categories").choice(len(shares), len(population.since), p=shares)
    random = stream(plan, purpose)
    is_main = random.random(len(customer)) < 0.7
    category = np.where(is_main, main[customer], random.choice(len(shares), len(customer), p=shares))
    return category * _PER_CATEGORY + random.integers(0, _PER_CATEGORY, len(customer))


def complained_about(plan: SimulationPlan, population: Population, customer: Ints, day: Ints) -> Ints:
    """Draw the product of each complaint."""
    bought = buys(plan, "products complained about", population, customer)
    random = stream(plan, "weak products")
    weak = _WEAK_FROM + random.integers(0, _PER_CATEGORY, len(customer))
    usual = np.where(random.random(len(customer)) < 0.5, weak, bought)
    since = day - (day_count(plan) - DAYS_AHEAD - 1) - _FAULTY_FROM
    is_faulty = stream(plan, "bad batch").random(len(customer)) < _FAULTY_SHARE
    is_faulty &= (since >= 0) & (since < _FAULTY_DAYS)
    return np.where(is_faulty, [name for name, *_ in _PRODUCTS].index(FAULTY), usual)


def line_table(plan: SimulationPlan, population: Population, orders: Table) -> Table:
    """Return the lines of all orders, in their order; the amounts of an order's lines add up to its own.

    customer · order: row of the order table · line: from 1 · product: row of the catalogue · quantity · cents ·
    entered_at: datetime64[s]
    """
    random = stream(plan, "order lines")
    lines = random.choice([1, 2, 3], len(orders["cents"]), p=[0.62, 0.28, 0.10])
    order = np.repeat(np.arange(len(lines)), lines)
    first = (np.cumsum(lines) - lines)[order]
    weight = np.cumsum(random.uniform(0.5, 1.5, len(order)))
    passed = weight - np.where(first > 0, weight[first - 1], 0)
    share = passed / passed[first + lines[order] - 1]
    through = np.round(orders["cents"][order] * share / 100).astype(np.int64) * 100
    position = np.arange(len(order)) - first
    cents = through - np.where(position > 0, np.roll(through, 1), 0)
    customer = orders["customer"][order]
    bought = buys(plan, "products bought", population, customer)
    price = np.array([price for *_, price in _PRODUCTS])[bought] * 100
    return {
        "customer": customer,
        "order": order,
        "line": position + 1,
        "product": bought,
        "quantity": np.maximum(np.round(cents / price), 1).astype(np.int64),
        "cents": cents,
        "entered_at": orders["ordered_at"][order],
    }


def return_table(plan: SimulationPlan, population: Population, orders: Table, lines: Table) -> Table:
    """Return what comes back, in the order it comes.

    customer · order: row of the order table · product: row of the catalogue · cents · reason: index into REASONS ·
    returned_at: datetime64[s]
    """
    random = stream(plan, "returns")
    customer, day = lines["customer"], orders["day"][lines["order"]]
    chance = population.while_in_trouble("returned", customer, day)
    spells = Spells.draw(plan, "returns", len(population.since), share=0.008, days=90)
    chance += 0.3 * spells.cover(customer, day)
    is_weak = lines["product"] // _PER_CATEGORY == _WEAK_FROM // _PER_CATEGORY
    chance = np.where(is_weak, 0.055 + 2 * chance, 0.008 + 0.8 * chance)
    orders_on_approval = random.random(len(population.since)) < 0.03
    is_back = (random.random(len(chance)) < chance) | (orders_on_approval[customer] & (_nth(customer) % 3 == 0))
    is_back &= ~np.isnat(orders["fulfilled_at"][lines["order"]])
    rows = np.flatnonzero(is_back)
    fulfilled = orders["fulfilled_at"][lines["order"][rows]]
    returned = (fulfilled - at(plan, np.zeros(1))[0]).astype(np.int64) + random.integers(86400, 20 * 86400, len(rows))
    kept = random.choice([0, 0.5], len(rows), p=[0.6, 0.4])
    order = np.argsort(returned, kind="stable")
    rows, returned, kept = rows[order], returned[order], kept[order]
    return {
        "customer": customer[rows],
        "order": lines["order"][rows],
        "product": lines["product"][rows],
        "cents": np.round(lines["cents"][rows] * (1 - kept)).astype(np.int64),
        "reason": random.choice(len(REASONS), len(rows), p=[0.55, 0.20, 0.10, 0.15]),
        "returned_at": at(plan, returned),
    }


def _nth(customer: Ints) -> Ints:
    """Count each customer's rows, from 0."""
    order = np.argsort(customer, kind="stable")
    firsts = np.searchsorted(customer[order], customer[order], side="left")
    nth = np.empty(len(customer), np.int64)
    nth[order] = np.arange(len(customer)) - firsts
    return nth
