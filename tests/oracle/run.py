"""One run: every present customer judged at a moment, with nothing remembered from other runs."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

from .arrears import Arrears
from .associations import Association, associations
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
from .products import Quality, product_quality
from .trends import MonthlyTrend, monthly_trend

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
    owner_name: str | None
    owner_email: str | None
    segment: str | None
    indicators: Mapping[str, IndicatorResult]
    finding: Finding
    """Raw level, fired rules and what they rest on."""
    trend: MonthlyTrend
    """What is published of those that hold a level."""


@dataclass(frozen=True)
class Run:
    """All customers at one moment, what they say together, and what people had done by then."""

    moment: Moment
    customers: Mapping[str, CustomerResult]
    associations: Mapping[tuple[str, str], Association] = field(default_factory=dict)
    products: Mapping[tuple[str, str], Quality] = field(default_factory=dict)
    """By item_kind and item_id."""
    actions: Sequence[Row] = ()
    world: World = field(default_factory=dict, compare=False)
    """All that is delivered, for what became of customers (0002.56 to 0002.61)."""
    stale: frozenset[str] = frozenset()

    @property
    def as_of_date(self) -> date:
        """The day judged."""
        return self.moment.as_of_date


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

    results = {
        row["customer_id"]: _judge_customer(row, facts_of(row), delivered, frozenset(stale)) for row in customers
    }
    return Run(
        moment,
        _capped(results, moment, policy),
        associations(policy.indicators, [result.indicators for result in results.values()]),
        product_quality(world, moment, policy),
        visible_actions(world.get("handling.actions", ()), moment),
        world,
        frozenset(stale),
    )


def visible_actions(rows: Iterable[Row], moment: Moment) -> tuple[Row, ...]:
    """Actions before the cut-off that no other one of the same customer corrects (0002.48)."""
    seen = [row for row in rows if moment.has_seen(row["taken_at"])]
    corrected = {(row["customer_id"], row["corrects_action_id"]) for row in seen}
    return tuple(row for row in seen if (row["customer_id"], row["action_id"]) not in corrected)


def _capped(results: Mapping[str, CustomerResult], moment: Moment, policy: Policy) -> Mapping[str, CustomerResult]:
    """Level by level, let those drop one that are too many, the least silent first (0002.45)."""
    active = sum(result.state == "active" for result in results.values())
    if active < policy.settings["cap_min_customers"]:
        return results
    levels = {key: result.finding.raw_level for key, result in results.items() if result.finding.raw_level}
    for level in (1, 2, 3):
        share = policy.settings[f"level_{level}_cap"]
        if share == 1:
            continue
        having = sorted(
            (key for key, its in levels.items() if its == level), key=lambda key: _risk(results[key], moment)
        )
        for key in having[: max(0, len(having) - math.floor(share * active))]:
            levels[key] = level + 1
    return {
        key: replace(result, finding=result.finding.at_level(levels[key])) if key in levels else result
        for key, result in results.items()
    }


def _risk(result: CustomerResult, moment: Moment) -> tuple[bool, Fraction, Decimal, str]:
    """What comes first drops first."""
    money = result.money_at_risk_amount or Decimal()
    if result.last_ordered_on is None or result.usual_gap_days is None:
        return False, Fraction(), money, result.customer_id
    quiet = moment.days_since(result.last_ordered_on) + Fraction(result.usual_gap_days)
    return True, quiet, money, result.customer_id


def _judge_customer(customer: Row, facts: Facts, delivered: frozenset[str], stale: frozenset[str]) -> CustomerResult:
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
        customer_id=customer["customer_id"],
        state=state,
        is_judged=is_judged,
        first_ordered_on=days[0] if days else None,
        last_ordered_on=days[-1] if days else None,
        order_days=len(days),
        usual_gap_days=figure(facts.usual_gap),
        revenue_12m_amount=figure(facts.orders.amount_of_last_year) if "sales.orders" in delivered else None,
        open_balance_amount=figure(open_balance) if delivered >= ARREARS else None,
        money_at_risk_amount=_money_at_risk(indicators, open_balance) if is_judged else None,
        owner_name=customer.get("owner_name"),
        owner_email=customer.get("owner_email"),
        segment=customer.get("segment"),
        indicators=indicators,
        finding=raw_finding(indicators, facts.policy),
        trend=monthly_trend(facts, indicators.get("order_amount")),
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
