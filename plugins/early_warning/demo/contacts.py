"""How customers and sales keep in touch, and what customers say of themselves: feedback and recommendation."""

from __future__ import annotations

import numpy as np

from early_warning.demo.chance import Spells, events, stream
from early_warning.demo.population import Population
from early_warning.demo.service import PRIORITY_HOURS
from early_warning.demo.timeline import Floats, Ints, Table, activity, at, day_count, joined
from early_warning.settings import SimulationPlan

CHANNELS = ("电话", "邮件", "拜访", "微信", "其他", "官网")
_SHARES = (0.50, 0.24, 0.08, 0.14, 0.04)  # of all but the website
_WEB = CHANNELS.index("官网")
_NOTES = ("例行回访", "报价跟进", "交期沟通", "新品介绍", "对账")
_NPS_ROUNDS = (120, 300)  # days of the year on which all customers are asked


def interaction_table(plan: SimulationPlan, population: Population) -> Table:
    """Return all contacts and visits of the ordering portal, in their order.

    customer · channel: index into CHANNELS · occurred_at: datetime64[s] · note: None on the website
    """
    random = stream(plan, "interactions")
    talks = events(random, _rate(plan, population, "talks"), regularity=6)
    visits = events(random, _rate(plan, population, "visits"), regularity=6)
    customer, day = (np.concatenate(both) for both in zip(talks, visits, strict=True))
    channel = np.full(len(day), _WEB)
    channel[: len(talks[0])] = random.choice(len(_SHARES), len(talks[0]), p=_SHARES)
    occurred = day * 86400 + random.integers(8 * 3600, 20 * 3600, len(day))
    note = np.array(_NOTES, dtype=object)[random.integers(0, len(_NOTES), len(day))]
    note[channel == _WEB] = None
    order = np.argsort(occurred, kind="stable")
    return {
        "customer": customer[order],
        "channel": channel[order],
        "occurred_at": at(plan, occurred[order]),
        "note": note[order],
    }


def _rate(plan: SimulationPlan, population: Population, kind: str) -> Floats:
    """Return how often customers get in touch, shape (customers, days). Half of them hardly ever do."""
    random = stream(plan, f"rates of {kind}")
    count, days = len(population.since), np.arange(day_count(plan))
    is_lively = (random.random(count) < 0.5) & (population.rate > 0)
    monthly = np.where(is_lively, random.uniform(2.7, 4.6, count), random.uniform(0.05, 0.6, count))
    is_told = random.random(count) < 0.6  # of those who leave not all fall silent first
    attention = np.where(is_told[:, None], population.course("attention", days), 1)
    spells = Spells.draw(plan, f"no {kind}", count, share=0.05, days=120)
    quiet = random.uniform(0.15, 0.7, count)
    attention = np.where(spells.cover(np.arange(count)[:, None], days), quiet[:, None], 1) * attention
    is_there = (days >= population.since[:, None]) & (days < population.gone_from[:, None])
    return attention * is_there * activity(plan) * monthly[:, None] / 30.4


def feedback_table(plan: SimulationPlan, population: Population) -> Table:
    """Return the feedback that customers leave on the portal, with the columns of `service.ticket_table`."""
    random = stream(plan, "feedback")
    count, days = len(population.since), np.arange(day_count(plan))
    negative = np.where(random.random(count) < 0.03, random.uniform(0.7, 1.5, count), 0.06) / 30.4
    everyone = np.arange(count)[:, None]
    grumbling = population.while_in_trouble("grumbles_per_day", everyone, days)
    is_there = (days >= np.maximum(population.since, 0)[:, None]) & (days < population.gone_from[:, None])
    busy = is_there * activity(plan)
    bad = events(random, (negative[:, None] + grumbling) * busy, regularity=1)
    good = events(random, 0.08 / 30.4 * busy, regularity=1)
    customer, day = (np.concatenate(both) for both in zip(bad, good, strict=True))
    sentiment = np.concatenate([np.zeros(len(bad[0]), np.int64), 1 + (random.random(len(good[0])) < 0.7)])
    opened = day * 86400.0 + random.integers(8 * 3600, 20 * 3600, len(day))
    priority = random.choice([2, 3], len(day))
    responded = opened + PRIORITY_HOURS[priority] * 3600 * random.lognormal(np.log(0.2), 0.5, len(day))
    order = np.argsort(opened, kind="stable")
    unknown = np.full(len(day), -1)
    return {
        "customer": customer[order],
        "kind": np.full(len(day), 2),
        "priority": priority[order],
        "opened_at": at(plan, opened[order]),
        "responded_at": at(plan, responded[order]),
        "resolved_at": at(plan, responded[order] + 3600),
        "responded": responded[order],
        "sentiment": sentiment[order],
        "category": unknown,
        "product": unknown,
    }


def promoter_table(plan: SimulationPlan, population: Population) -> Table:
    """Return the half-yearly answers to "would you recommend us", from 0 to 10, as `service.survey_table` does."""
    random = stream(plan, "recommendations")
    count, days = len(population.since), np.arange(day_count(plan))
    rounds: Ints = days[np.isin((days + plan.starts_on.timetuple().tm_yday) % 365, _NPS_ROUNDS)]
    of_round, customer = np.nonzero(random.random((len(rounds), count)) < 0.5)
    answered = rounds[of_round] * 86400 + random.integers(9 * 3600, 15 * 86400, len(customer))
    usual = np.where(random.random(count) < 0.03, 6.3, random.normal(8.9, 0.4, count))[customer]
    day = answered // 86400
    troubled = population.while_in_trouble("score", customer, day, otherwise=np.nan)
    mood = np.where(np.isfinite(troubled), troubled, usual)
    score = np.clip(np.round(random.normal(mood, 0.9)), 0, 10).astype(np.int64)
    is_customer = (day >= population.since[customer] + 30) & (day < population.gone_from[customer])
    order = np.flatnonzero(is_customer)[np.argsort(answered[is_customer], kind="stable")]
    return {"customer": customer[order], "answered_at": at(plan, answered[order]), "score": score[order]}


def survey_table(satisfaction: Table, recommendation: Table) -> Table:
    """Join both surveys in the order of the answers; `is_nps` tells which it is."""
    kinds = [
        table | {"is_nps": np.full(len(table["customer"]), is_nps)}
        for table, is_nps in ((satisfaction, False), (recommendation, True))
    ]
    return joined(kinds, "answered_at")
