"""What market research hears: competitors who court customers, and policies that touch their industries."""

from __future__ import annotations

import numpy as np

from early_warning.demo import names
from early_warning.demo.chance import events, stream
from early_warning.demo.population import Population
from early_warning.demo.timeline import Table, activity, dates, day_count
from early_warning.settings import SimulationPlan

COMPETITORS = ("恒达工品", "捷联供应链", "北方工业超市", "迅采网")
EFFECTS = ("不利", "中性", "有利")
_ADVERSE_EVERY = (110, 175)  # days: one of the industries has always had bad news in the last half year
_POLICIES = {
    "不利": ("环保限产标准趋严", "出口退税下调", "安全生产专项整治"),
    "中性": ("行业统计口径调整", "标准征求意见"),
    "有利": ("设备更新补贴", "研发费用加计扣除"),
}


def competitor_table(plan: SimulationPlan, population: Population) -> Table:
    """Return the signals in the order they are observed.

    customer · observed_on: datetime64[D] · competitor: index into COMPETITORS · interest: 1 yes, 0 no, -1 nobody asked
    """
    random = stream(plan, "competitors")
    count, days = len(population.since), np.arange(day_count(plan))
    is_there = (days >= population.since[:, None]) & (days < population.gone_from[:, None])
    idle = events(random, 0.0006 * is_there * activity(plan), regularity=1)
    idle_interest = random.choice([1, 0, -1], len(idle[0]), p=[0.12, 0.60, 0.28])
    courted = np.flatnonzero(random.random(count) < population.each("courted"))
    seen = population.trouble_from[courted] - random.integers(-10, 60, len(courted))
    is_customer = (seen >= np.maximum(population.since[courted], 0)) & (seen < days[-1])
    courted, seen = courted[is_customer], seen[is_customer]
    customer, day = np.concatenate([idle[0], courted]), np.concatenate([idle[1], seen])
    interest = np.concatenate([idle_interest, random.choice([1, 0], len(courted), p=[0.75, 0.25])])
    order = np.argsort(day, kind="stable")
    return {
        "customer": customer[order],
        "observed_on": dates(plan, day[order]),
        "competitor": random.integers(0, len(COMPETITORS), len(order)),
        "interest": interest[order],
    }


def policy_table(plan: SimulationPlan) -> Table:
    """Return the policies in the order they become known; the first of them before the first day.

    industry · observed_on, effective_on: datetime64[D], NaT = not said · effect: index into EFFECTS · note
    """
    random = stream(plan, "policies")
    days = day_count(plan)
    adverse = np.cumsum(random.integers(*_ADVERSE_EVERY, days // _ADVERSE_EVERY[0])) - 150
    others = np.cumsum(random.integers(20, 60, days // 20)) - 60
    observed = np.concatenate([adverse, others])
    effect = np.concatenate([np.zeros(len(adverse), np.int64), random.integers(1, 3, len(others))])
    industries = list(names.INDUSTRIES)
    turns = np.concatenate([random.permutation(len(industries)) for _ in range(1 + len(observed) // len(industries))])
    # Adverse ones take effect at once or a little later, so that their half years follow each other closely.
    effective = observed + np.where(effect == 0, random.integers(0, 20, len(effect)), 30)
    order = np.argsort(observed, kind="stable")
    notes = [str(random.choice(_POLICIES[EFFECTS[kind]])) for kind in effect[order]]
    return {
        "industry": np.array(industries, dtype=object)[turns[: len(observed)]][order],
        "observed_on": dates(plan, observed[order]),
        "effective_on": dates(plan, np.where(random.random(len(order)) < 0.9, effective[order], np.nan)),
        "effect": effect[order],
        "note": np.array(notes, dtype=object),
    }
