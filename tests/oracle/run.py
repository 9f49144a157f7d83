"""One run: every present customer judged at a moment, with nothing remembered from other runs."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from .arrears import Arrears
from .customers import (
    CustomerState,
    Orders,
    Row,
    World,
    class_a,
    customer_state,
    grouped,
    present_customers,
    usual_gaps,
)
from .exact import figure, round_half_away
from .indicators import ARREARS, DEFINITIONS, Facts, IndicatorResult, decide
from .levels import Finding, raw_finding
from .moment import Moment
from .policy import Policy

CREDIT_FAMILIES = frozenset({"arrears", "credit"})
"""What prospects and lapsed customers are judged on, if they owe anything (D§1, 0002.7)."""

HAPPENED: Mapping[str, str] = {
    "sales.returns": "returned_at",
    "sales.interactions": "occurred_at",
    "sales.competitor_signals": "observed_on",
    "sales.policy_signals": "observed_on",
    "finance.credit_terms": "valid_from",
    "service.tickets": "opened_at",
    "service.surveys": "answered_at",
    "model.churn_scores": "scored_on",
    "credit.scores": "scored_on",
}
"""What decides whether a row is visible (0002.2); orders, invoices and payments see to it themselves."""


@dataclass(frozen=True)
class CustomerResult:
    """One customer at one moment, named as in bi.customers; an amount is null where its data set is not delivered."""

    customer_id: str
    state: CustomerState
    is_judged: bool
    first_ordered_on: date | None
    last_ordered_on: date | None
    order_days: int
    usual_gap_days: Decimal | None
    revenue_12m_amount: Decimal | None
    open_balance_amount: Decimal | None
    money_at_risk_amount: Decimal | None
    """Null when not judged."""
    indicators: Mapping[str, IndicatorResult]
    finding: Finding
    """Raw level, fired rules and what they rest on."""


@dataclass(frozen=True)
class Run:
    """All customers at one moment."""

    as_of_date: date
    customers: Mapping[str, CustomerResult]


def judge(world: World, moment: Moment, policy: Policy, stale: Collection[str] = ()) -> Run:
    """Judge every customer that is there; rows of customers that sales.customers lacks are ignored.

    `stale` are the data sets of which the newest is older than the company allows (0002.44).
    """
    customers = present_customers(world, moment)
    order_rows = grouped(world.get("sales.orders", ()), "customer_id")
    orders = {row["customer_id"]: Orders.of(order_rows[row["customer_id"]], moment) for row in customers}
    gaps = usual_gaps(customers, orders, moment, policy)
    delivered = frozenset(world)
    invoices = grouped(world["finance.invoices"] if delivered >= ARREARS else (), "customer_id")
    payments = grouped(world["finance.payments"] if delivered >= ARREARS else (), "customer_id")
    seen = {
        data_set: grouped(
            (row for row in world.get(data_set, ()) if moment.has_seen(row[happened])),
            "industry" if data_set == "sales.policy_signals" else "customer_id",
        )
        for data_set, happened in HAPPENED.items()
    }
    revenues = {customer_id: round_half_away(each.amount_of_last_year) for customer_id, each in orders.items()}
    policies = {row["customer_id"]: policy.of(row, moment.as_of_date) for row in customers}
    shares = {key: each.parameter("rhythm_break", "revenue_share", "watch") for key, each in policies.items()}
    in_class_a = class_a(revenues, shares)

    def facts_of(customer: Row) -> Facts:
        key, industry = customer["customer_id"], customer.get("industry")
        arrears = Arrears.of(invoices[key], payments[key], moment)
        rows = {
            data_set: groups[industry if data_set == "sales.policy_signals" else key]
            for data_set, groups in seen.items()
        }
        return Facts(moment, policies[key], orders[key], gaps.get(key), key in in_class_a, arrears, industry, rows)

    results = (_judge_customer(row["customer_id"], facts_of(row), delivered, frozenset(stale)) for row in customers)
    return Run(moment.as_of_date, {result.customer_id: result for result in results})


def _judge_customer(customer_id: str, facts: Facts, delivered: frozenset[str], stale: frozenset[str]) -> CustomerResult:
    state = customer_state(facts.orders, facts.usual_gap, facts.moment, facts.policy)
    open_balance = facts.arrears.open_balance
    is_judged = state == "active" or open_balance > 0
    indicators = {
        code: _judge_indicator(code, facts, delivered, stale)
        for code, indicator in facts.policy.indicators.items()
        if is_judged and (state == "active" or indicator.family in CREDIT_FAMILIES)
    }
    days = facts.orders.days
    return CustomerResult(
        customer_id=customer_id,
        state=state,
        is_judged=is_judged,
        first_ordered_on=days[0] if days else None,
        last_ordered_on=days[-1] if days else None,
        order_days=len(days),
        usual_gap_days=figure(facts.usual_gap),
        revenue_12m_amount=figure(facts.orders.amount_of_last_year) if "sales.orders" in delivered else None,
        open_balance_amount=figure(open_balance) if delivered >= ARREARS else None,
        money_at_risk_amount=_money_at_risk(indicators, open_balance) if is_judged else None,
        indicators=indicators,
        finding=raw_finding(indicators, facts.policy),
    )


def _judge_indicator(code: str, facts: Facts, delivered: frozenset[str], stale: frozenset[str]) -> IndicatorResult:
    """Unknown where a data set that it needs is not delivered or, if all are, where one is stale (0002.19, 0002.44)."""
    definition = DEFINITIONS[code]
    nothing_known = dict.fromkeys(definition.measures)
    if not delivered >= definition.needs:
        return IndicatorResult("unknown", "no_data", measures=nothing_known)
    if definition.needs & stale:
        return IndicatorResult("unknown", "stale", measures=nothing_known)
    return decide(definition.read(facts))


def _money_at_risk(indicators: Mapping[str, IndicatorResult], open_balance: Fraction) -> Decimal | None:
    """Three months of the published baseline amount plus what is owed (0002.25)."""
    amount = indicators.get("order_amount")
    return figure(3 * Fraction(amount.baseline if amount and amount.baseline else 0) + open_balance, digits=2)
