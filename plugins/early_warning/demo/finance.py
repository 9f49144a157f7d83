"""Money: consolidated monthly invoices, how customers pay them, and the terms they have."""

from __future__ import annotations

import numpy as np

from early_warning.demo.chance import stream
from early_warning.demo.fates import FATES
from early_warning.demo.population import Population
from early_warning.demo.timeline import Floats, Ints, Table, dates, weekday
from early_warning.settings import SimulationPlan

GUARANTEES = (None, "保证金", "银行保函", "母公司担保")
_BILLING_DAYS = np.array([5, 10, 15, 20, 25, 28])  # of the month; each customer has its own
_PAYMENT_DAYS = np.array([30, 45, 60])
_WRITTEN_OFF_AFTER = 200  # days past due


def invoice_table(plan: SimulationPlan, population: Population, orders: Table) -> Table:
    """Return all invoices in the order they are issued: one a customer and month, for the orders since the last.

    customer · cents · issued_on, due_on, disputed_on, written_off_on: datetime64[D], NaT = never · due, paid in full,
    credited: days, NaN = never · credited_cents: orders cancelled after they were invoiced · is_lost: never paid
    """
    random = stream(plan, "invoices")
    billed = _billing_day(plan, random, population, orders)
    is_billed = ~(orders["cancelled_day"] <= billed)
    cents, cancelled = orders["cents"][is_billed], orders["cancelled_day"][is_billed]
    key = billed[is_billed] * len(population.since) + orders["customer"][is_billed]
    keys, invoice = np.unique(key, return_inverse=True)
    issued, customer = np.divmod(keys, len(population.since))
    credited = np.full(len(keys), np.nan)
    np.fmax.at(credited, invoice, cancelled + 1)

    due = issued + _payment_days(plan, population)[customer]
    is_disputed = population.is_in_trouble(customer, issued) & (population.each("slowness")[customer] > 1)
    is_disputed &= random.random(len(due)) < 0.3
    paid = due + np.where(is_disputed, 60, _lateness(random, population, customer, due))
    paid = np.maximum(paid, issued + 5)
    paid -= np.maximum(weekday(dates(plan, paid)) - 4, 0)  # a weekend's payments come on Friday
    is_lost = population.meets("defaults")[customer] & (paid >= population.gone_from[customer])
    return {
        "customer": customer,
        "cents": np.bincount(invoice, weights=cents).astype(np.int64),
        "issued_on": dates(plan, issued),
        "due_on": dates(plan, due),
        "disputed_on": dates(plan, np.where(is_disputed, issued + 12, np.nan)),
        "written_off_on": dates(plan, np.where(is_lost, due + _WRITTEN_OFF_AFTER, np.nan)),
        "due": due,
        "paid": paid,
        "credited": credited,
        "credited_cents": np.bincount(invoice, weights=cents * np.isfinite(cancelled)).astype(np.int64),
        "is_lost": is_lost,
    }


def payment_table(plan: SimulationPlan, population: Population, invoices: Table) -> Table:
    """Return all payments and credit notes in the order they come in.

    customer · invoice: row of the invoice table · paid_on: datetime64[D] · cents · is_credit: a credit note ·
    names_invoice: false for customers who never say which invoice they pay
    """
    random = stream(plan, "payments")
    count = len(invoices["cents"])
    owed = np.where(invoices["is_lost"], 0, invoices["cents"] - invoices["credited_cents"])
    in_two_parts = (random.random(count) < 0.05) & (population.gone_from[invoices["customer"]] > invoices["due"] + 30)
    rest = np.where(in_two_parts, np.round(owed * random.uniform(0.28, 0.46, count)), 0).astype(np.int64)
    rest_paid = np.maximum(invoices["paid"], invoices["due"]) + random.integers(6, 25, count)

    invoice = np.tile(np.arange(count), 3)
    cents = np.concatenate([owed - rest, rest, invoices["credited_cents"]])
    paid = np.concatenate([invoices["paid"], rest_paid, invoices["credited"]])
    is_credit = np.repeat([False, False, True], count)
    some = np.flatnonzero(cents > 0)
    order = some[np.argsort(paid[some], kind="stable")]
    customer = invoices["customer"][invoice[order]]
    return {
        "customer": customer,
        "invoice": invoice[order],
        "paid_on": dates(plan, paid[order]),
        "cents": cents[order],
        "is_credit": is_credit[order],
        "names_invoice": is_credit[order] | (random.random(len(population.since)) < 0.7)[customer],
    }


def term_table(plan: SimulationPlan, population: Population) -> Table:
    """Return credit terms: first those of each customer's first day, then the restriction of those who defaulted.

    customer · valid_from: datetime64[D] · limit: yuan · payment_days · guarantee: index into GUARANTEES · is_restricted
    """
    everyone = np.arange(len(population.since))
    defaulters = np.flatnonzero(population.meets("defaults"))
    monthly = population.rate * 30.4 * population.order_size / 100
    is_tight = stream(plan, "tight limits").random(len(everyone)) < 0.035  # they have grown, their limit has not
    least = np.maximum(population.order_size / 100 * 3, 50_000)  # three usual orders, however rare they are
    limit = np.round(np.maximum(monthly * np.where(is_tight, 1.4, 3.5), least), -4).astype(np.int64)
    guarantee = stream(plan, "guarantees").choice(len(GUARANTEES), len(everyone), p=[0.82, 0.08, 0.06, 0.04])
    customer = np.concatenate([everyone, defaulters])
    is_restricted = np.repeat([False, True], [len(everyone), len(defaulters)])
    return {
        "customer": customer,
        "valid_from": dates(plan, np.concatenate([population.since, population.gone_from[defaulters] + 30])),
        "limit": np.where(is_restricted, 0, limit[customer]),
        "payment_days": np.where(is_restricted, 0, _payment_days(plan, population)[customer]),
        "guarantee": guarantee[customer],
        "is_restricted": is_restricted,
    }


def _billing_day(plan: SimulationPlan, random: np.random.Generator, population: Population, orders: Table) -> Ints:
    """Return the day on which each order is invoiced: its own or the next that is its customer's day of the month."""
    day_of_month = random.choice(_BILLING_DAYS, len(population.since))[orders["customer"]]
    ordered = dates(plan, orders["day"])
    month = ordered.astype("datetime64[M]")
    is_next_month = (ordered - month.astype("datetime64[D]")).astype(np.int64) + 1 > day_of_month
    billed = (month + is_next_month).astype("datetime64[D]") + (day_of_month - 1)
    return np.asarray((billed - np.datetime64(plan.starts_on, "D")).astype(np.int64))


def _payment_days(plan: SimulationPlan, population: Population) -> Ints:
    """Return each customer's days to pay."""
    return stream(plan, "payment days").choice(_PAYMENT_DAYS, len(population.since), p=[0.55, 0.25, 0.20])


def _lateness(random: np.random.Generator, population: Population, customer: Ints, due: Ints) -> Ints:
    """Return how many days after the due date each invoice is paid (before it: negative)."""
    care = random.random(len(population.since))
    habit: Floats = np.select([care < 0.008, care < 0.07], [3.0, -2.0], -7.0)[customer]
    lateness = (population.each("lateness") * random.uniform(0.5, 1.5, len(population.since)))[customer]
    growing = np.array([fate.is_lateness_growing for fate in FATES])[population.fate[customer]]
    through = np.clip((due - population.trouble_from[customer]) / population.span[customer], 0, 1)
    trouble = np.where(growing, through, population.is_in_trouble(customer, due)) * lateness
    late = habit + trouble + random.normal(0, 1, len(due)) * np.where(trouble > 0, 7, 3)
    return np.round(late).astype(np.int64)
