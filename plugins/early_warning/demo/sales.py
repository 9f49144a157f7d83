"""Orders: how often and how much the customers buy, what is shipped when, and what is cancelled."""

from __future__ import annotations

import numpy as np

from early_warning.demo.chance import Spells, events, stream
from early_warning.demo.population import Population
from early_warning.demo.timeline import Floats, Ints, Table, activity, at, day_count
from early_warning.settings import SimulationPlan


def order_table(plan: SimulationPlan, population: Population) -> Table:
    """Return all orders in the order they come in.

    customer, day: numbers · cents · ordered_at, promised_at, fulfilled_at, cancelled_at: datetime64[s], NaT = never ·
    is_cancelled_by_us · cancelled_day: NaN = never
    """
    random = stream(plan, "orders")
    customer, day = events(random, _daily_rate(plan, population), regularity=3)
    order = np.lexsort([random.random(len(day)), day])
    customer, day = customer[order], day[order]
    count = len(day)
    second = np.sort(day * 86400 + random.integers(8 * 3600 + 1800, 18 * 3600, count))
    size = population.order_size[customer] * population.while_in_trouble("order_value", customer, day, otherwise=1)
    size *= np.where(_spells(plan, population, "small orders", 0.014, 130).cover(customer, day), 0.55, 1)
    cents = np.round(size * random.lognormal(0, 0.35, count) / 100) * 100
    promised = day + random.integers(4, 21, count)
    late = 0.003 + population.while_in_trouble("delivered_late", customer, day)
    late += 0.3 * _spells(plan, population, "late deliveries", 0.01, 100).cover(customer, day)
    is_late = random.random(count) < late
    fulfilled = promised + np.where(is_late, random.integers(1, 8, count), -random.integers(0, 4, count))
    chance = random.random(count)
    cancels = 0.015 + population.while_in_trouble("cancelled", customer, day)
    cancels += 0.35 * _spells(plan, population, "cancelled orders", 0.014, 120).cover(customer, day)
    is_cancelled = chance < 0.005 + cancels
    cancelled = day + random.integers(1, 4, count)
    return {
        "customer": customer,
        "day": day,
        "cents": cents.astype(np.int64),
        "ordered_at": at(plan, second),
        "promised_at": at(plan, promised * 86400.0 + 18 * 3600),
        "fulfilled_at": at(plan, np.where(is_cancelled, np.nan, fulfilled * 86400.0 + second * 7 % 28800 + 32400)),
        "cancelled_at": at(plan, np.where(is_cancelled, cancelled * 86400.0 + second * 5 % 28800 + 32400, np.nan)),
        "is_cancelled_by_us": chance < 0.005,
        "cancelled_day": np.where(is_cancelled, cancelled, np.nan),
    }


def _daily_rate(plan: SimulationPlan, population: Population) -> Floats:
    """Return the orders to expect of each customer on each day, shape (customers, days)."""
    days: Ints = np.arange(day_count(plan))
    is_there = days >= population.since[:, None] + 3  # nobody orders on the day the CRM learns of them
    return population.course("demand", days) * is_there * activity(plan) * population.rate[:, None]


def _spells(plan: SimulationPlan, population: Population, purpose: str, share: float, days: int) -> Spells:
    return Spells.draw(plan, purpose, len(population.since), share=share, days=days)
