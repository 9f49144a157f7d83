"""The simulated world: every customer's whole story, from the plan's first day to the far horizon.

Money is counted in cents, customers by their number, times are local. An event that never happens is NaT.
"""

from __future__ import annotations

from dataclasses import dataclass

from early_warning.demo import contacts, finance, market, population, products, sales, service
from early_warning.demo.timeline import Table, joined
from early_warning.settings import SimulationPlan


@dataclass(frozen=True)
class World:
    """All that ever happens; the columns of each table are told by the function that makes it."""

    customers: Table
    products: Table
    orders: Table
    lines: Table
    returns: Table
    interactions: Table
    tickets: Table
    surveys: Table
    invoices: Table
    payments: Table
    terms: Table
    competitors: Table
    policies: Table
    truth: Table


def simulate(plan: SimulationPlan) -> World:
    """Simulate the plan. About 2 s for 2,000 customers and 36 months, so nothing needs to be kept between calls."""
    people = population.make_population(plan)
    orders = sales.order_table(plan, people)
    lines = products.line_table(plan, people, orders)
    tickets = service.ticket_table(plan, people)
    invoices = finance.invoice_table(plan, people, orders)
    return World(
        customers=population.customer_table(plan, people),
        products=products.product_table(),
        orders=orders,
        lines=lines,
        returns=products.return_table(plan, people, orders, lines),
        interactions=contacts.interaction_table(plan, people),
        tickets=joined([tickets, contacts.feedback_table(plan, people)], "opened_at"),
        surveys=contacts.survey_table(
            service.survey_table(plan, people, tickets), contacts.promoter_table(plan, people)
        ),
        invoices=invoices,
        payments=finance.payment_table(plan, people, invoices),
        terms=finance.term_table(plan, people),
        competitors=market.competitor_table(plan, people),
        policies=market.policy_table(plan),
        truth=population.truth_table(plan, people),
    )
