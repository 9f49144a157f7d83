"""Customers as of a moment: their orders, rhythm and state (0002.4 to 0002.8)."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any, Literal

from .exact import round_half_away
from .moment import Moment, month_of
from .policy import Policy

Row = Mapping[str, Any]
World = Mapping[str, Sequence[Row]]
"""Data set name to rows in contract shape, current versions only; a data set the company does not deliver is absent."""

CustomerState = Literal["prospect", "active", "lapsed"]


@dataclass(frozen=True)
class Promise:
    """An order that was promised for a day, and the day it was fulfilled on, if that is visible (0002.34)."""

    promised_on: date
    fulfilled_on: date | None


@dataclass(frozen=True)
class Orders:
    """A customer's orders that are visible as of the moment; cancelled ones count in their own field only (0002.4)."""

    days: tuple[date, ...]
    count_by_month: Mapping[int, int]
    amount_by_month: Mapping[int, Fraction]
    amount_of_last_year: Fraction
    promises: tuple[Promise, ...]
    cancelled_by_customer: Mapping[int, int]
    """How many orders the customer itself cancelled, by the month they were placed in (0002.33)."""

    @classmethod
    def of(cls, rows: Iterable[Row], moment: Moment) -> "Orders":
        """Collect a customer's orders from its rows of sales.orders."""
        days: set[date] = set()
        counts: Counter[int] = Counter()
        amounts: defaultdict[int, Fraction] = defaultdict(Fraction)
        promises: list[Promise] = []
        cancelled: Counter[int] = Counter()
        last_year = Fraction()
        for row in rows:
            if not moment.has_seen(row["ordered_at"]):
                continue
            day, amount = moment.local_date(row["ordered_at"]), Fraction(row["amount"])
            if moment.has_seen(row.get("cancelled_at")):
                cancelled[month_of(day)] += row.get("cancelled_by") == "customer"
                continue
            if row.get("promised_at"):
                fulfilled_on = (
                    moment.local_date(row["fulfilled_at"]) if moment.has_seen(row.get("fulfilled_at")) else None
                )
                promises.append(Promise(moment.local_date(row["promised_at"]), fulfilled_on))
            days.add(day)
            counts[month_of(day)] += 1
            amounts[month_of(day)] += amount
            last_year += amount if moment.days_since(day) < 365 else 0
        return cls(tuple(sorted(days)), counts, amounts, last_year, tuple(promises), cancelled)


def grouped(rows: Iterable[Row], column: str) -> Mapping[str | None, list[Row]]:
    """The rows of each customer, or of each other value of a column; what has none gives none."""
    groups: defaultdict[str | None, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[column]].append(row)
    return groups


def present_customers(world: World, moment: Moment) -> list[Row]:
    """The customers that exist: known since the moment or before, or seen with an order or invoice (0002.8)."""
    seen = {row["customer_id"] for row in world.get("sales.orders", ()) if moment.has_seen(row["ordered_at"])}
    seen |= {row["customer_id"] for row in world.get("finance.invoices", ()) if moment.has_seen(row["issued_on"])}
    return [
        row
        for row in world["sales.customers"]
        if row.get("customer_since") is None or moment.has_seen(row["customer_since"]) or row["customer_id"] in seen
    ]


def usual_gaps(
    customers: Iterable[Row], orders: Mapping[str, Orders], moment: Moment, policy: Policy
) -> dict[str, Fraction]:
    """Every ordering customer's usual gap in days, shrunk by two pseudo-orders of its segment's pace (D§3, 0002.6)."""
    segment_of = {row["customer_id"]: row.get("segment") for row in customers if orders[row["customer_id"]].days}
    customers_in = Counter(segment_of.values())

    def pace(members: list[str]) -> Fraction:
        order_days = sum(len(orders[member].days) for member in members)
        return Fraction(order_days, sum(moment.days_since(orders[member].days[0]) + 1 for member in members))

    company_pace = pace(list(segment_of)) if segment_of else Fraction(1)
    paces = {
        segment: pace([member for member, its_segment in segment_of.items() if its_segment == segment])
        for segment, count in customers_in.items()
        if count >= policy.settings["min_segment_customers"]
    }
    gaps = {}
    for customer_id, segment in segment_of.items():
        days = orders[customer_id].days
        pseudo_orders = 2 / paces.get(segment, company_pace)
        gaps[customer_id] = ((days[-1] - days[0]).days + pseudo_orders) / (len(days) + 1)
    return gaps


def class_a(revenues: Mapping[str, Fraction], shares: Mapping[str, Fraction]) -> frozenset[str]:
    """The customers with the greatest revenues that together make a share of all revenue, each its own (0002.28)."""
    by_revenue = sorted(revenues.items(), key=lambda item: (-item[1], item[0]))
    total, before, found = sum(revenues.values(), Fraction()), Fraction(), set()
    for customer_id, revenue in by_revenue:
        if revenue > 0 and before < shares[customer_id] * total:
            found.add(customer_id)
        before += revenue
    return frozenset(found)


def customer_state(orders: Orders, usual_gap: Fraction | None, moment: Moment, policy: Policy) -> CustomerState:
    """Prospect, active or lapsed (D§1, 0002.7)."""
    if usual_gap is None:
        return "prospect"
    limit = max(
        policy.settings["inactive_days"],
        round_half_away(policy.settings["inactive_gap_multiple"] * usual_gap),
    )
    return "active" if moment.days_since(orders.days[-1]) <= limit else "lapsed"
