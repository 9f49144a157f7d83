"""The service desk: tickets, how fast they are answered, and the scores customers give."""

from __future__ import annotations

import numpy as np

from early_warning.demo import products
from early_warning.demo.chance import events, stream
from early_warning.demo.population import Population
from early_warning.demo.timeline import Floats, Ints, Table, activity, at, day_count
from early_warning.settings import SimulationPlan

KINDS = ("inquiry", "complaint", "feedback")
SENTIMENTS = ("negative", "neutral", "positive")
CATEGORIES = ("quality", "delivery", "service", "billing")  # of complaints
PRIORITY_HOURS = np.array([4, 8, 24, 72])  # P1 to P4, within which the desk means to answer
_PRIORITIES = np.array([[0.03, 0.15, 0.62, 0.20], [0.10, 0.35, 0.50, 0.05], [0.00, 0.05, 0.45, 0.50]])  # by kind
_SURVEY_ROUNDS = (75, 165, 260, 345)  # days of the year on which all customers are asked


def ticket_table(plan: SimulationPlan, population: Population) -> Table:
    """Return all tickets in the order they are opened.

    customer · kind: index into KINDS · priority: 0 to 3 · opened_at, responded_at, resolved_at: datetime64[s], NaT =
    never · responded: seconds, NaN = never · sentiment, category, product: index into SENTIMENTS, CATEGORIES, the
    catalogue, -1 = not said
    """
    random = stream(plan, "tickets")
    complaints = events(random, _daily_rate(plan, population, is_complaint=True), regularity=1)
    others = events(random, _daily_rate(plan, population, is_complaint=False), regularity=1)
    customer = np.concatenate([complaints[0], others[0]])
    day = np.concatenate([complaints[1], others[1]])
    kind = np.concatenate([np.ones(len(complaints[0]), np.int64), 2 * (random.random(len(others[0])) < 0.12)])
    opened = day * 86400.0 + random.integers(8 * 3600, 20 * 3600, len(day))
    order = np.argsort(opened, kind="stable")
    customer, day, kind, opened = customer[order], day[order], kind[order], opened[order]
    count = len(day)
    priority = (random.random(count)[:, None] > np.cumsum(_PRIORITIES, axis=1)[kind, :3]).sum(axis=1)
    is_slow = population.is_in_trouble(customer, day)
    slowness = np.where(is_slow, population.each("slowness")[customer], 1)
    hours = PRIORITY_HOURS[priority] * random.lognormal(np.log(0.36), 0.55, count) * slowness
    responded = np.where(random.random(count) < 0.01 * slowness, np.nan, opened + hours * 3600)
    return {
        "customer": customer,
        "kind": kind,
        "priority": priority,
        "opened_at": at(plan, opened),
        "responded_at": at(plan, responded),
        "resolved_at": at(plan, responded + random.lognormal(np.log(30), 0.8, count) * 3600),
        "responded": responded,
    } | _details(plan, population, customer, day, kind)


def _details(plan: SimulationPlan, population: Population, customer: Ints, day: Ints, kind: Ints) -> Table:
    """Draw what feedback sounds like and what complaints are about; both are noted down most of the time."""
    random = stream(plan, "ticket details")
    count = len(kind)
    is_complaint, is_noted = kind == KINDS.index("complaint"), random.random(count) < 0.95
    category = random.choice(len(CATEGORIES), count, p=[0.55, 0.25, 0.12, 0.08])
    has_product = is_complaint & is_noted & (category <= CATEGORIES.index("delivery"))
    sentiment = random.choice(len(SENTIMENTS), count, p=[0.12, 0.38, 0.50])
    return {
        "sentiment": np.where((kind == KINDS.index("feedback")) & is_noted, sentiment, -1),
        "category": np.where(is_complaint & is_noted, category, -1),
        "product": np.where(has_product, products.complained_about(plan, population, customer, day), -1),
    }


def _daily_rate(plan: SimulationPlan, population: Population, *, is_complaint: bool) -> Floats:
    days: Ints = np.arange(day_count(plan))
    since, gone = np.maximum(population.since, 0)[:, None], population.gone_from[:, None]
    if is_complaint:
        trouble = population.is_in_trouble(np.arange(len(population.since))[:, None], days)
        rate = 0.001 + trouble * population.each("complaints_per_day")[:, None]
    else:
        rate = 0.008 * np.clip(np.sqrt(population.rate * 12), 0.5, 2)[:, None]
    return rate * (days >= since) * (days < gone) * activity(plan)


def survey_table(plan: SimulationPlan, population: Population, tickets: Table) -> Table:
    """Return all satisfaction scores in the order they are given: customer, answered_at (datetime64[s]), score of 10.

    Some come after an answered ticket, some from the quarterly round that goes to all.
    """
    random = stream(plan, "surveys")
    count = len(population.since)
    asked = np.flatnonzero((random.random(len(tickets["customer"])) < 0.35) & np.isfinite(tickets["responded"]))
    days = np.arange(day_count(plan))
    year_day = (days + plan.starts_on.timetuple().tm_yday) % 365
    rounds = days[np.isin(year_day, _SURVEY_ROUNDS)]
    of_round, of_customer = np.nonzero(random.random((len(rounds), count)) < 0.45)
    customer = np.concatenate([tickets["customer"][asked], of_customer])
    answered = np.concatenate(
        [
            tickets["responded"][asked] + random.integers(1 * 86400, 5 * 86400, len(asked)),
            rounds[of_round] * 86400.0 + random.integers(9 * 3600, 12 * 86400, len(of_round)),
        ]
    )
    day = (answered // 86400).astype(np.int64)
    is_customer = (day >= population.since[customer] + 30) & (day < population.gone_from[customer])
    order = np.flatnonzero(is_customer)[np.argsort(answered[is_customer], kind="stable")]
    customer, day, answered = customer[order], day[order], answered[order]
    usual = np.where(random.random(count) < 0.03, 6.4, random.normal(8.7, 0.4, count))[customer]
    troubled = population.each("score")[customer]
    mood = np.where(population.is_in_trouble(customer, day) & np.isfinite(troubled), troubled, usual)
    score = np.clip(np.round(random.normal(mood, 0.9)), 1, 10)
    return {"customer": customer, "answered_at": at(plan, answered), "score": score.astype(np.int64)}
