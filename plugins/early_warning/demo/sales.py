"""Orders: how often and how much the customers buy, what is shipped when, and what is cancelled."""

from __future__ import annotations

import numpy as np

from early_warning.demo.chance import events, stream
from early_warning.demo.fates import FATES
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
    cents = np.round(population.order_size[customer] * random.lognormal(0, 0.35, count) / 100) * 100
    promised = day + random.integers(4, 21, count)
    is_late = random.random(count) < 0.06
    fulfilled = promised + np.where(is_late, random.integers(1, 8, count), -random.integers(0, 4, count))
    chance = random.random(count)
    is_cancelled = chance < 0.02
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
    demand = np.ones((len(population.since), len(days)))
    for index, fate in enumerate(FATES):
        rows = population.fate == index
        since = (days - population.trouble_from[rows, None]).astype(np.float64)
        demand[rows] = fate.demand(since, population.span[rows, None].astype(np.float64))
    is_there = days >= population.since[:, None] + 3  # nobody orders on the day the CRM learns of them
    return demand * is_there * activity(plan) * population.rate[:, None]
