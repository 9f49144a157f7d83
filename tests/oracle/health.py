"""How the company does: customers gained and lost, what they are worth, owe and say (0002.61)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import floor

from .arrears import Arrears
from .customers import Orders, grouped, present_customers, usual_gaps
from .exact import figure, round_half_away
from .indicators import ARREARS
from .moment import Moment, month_of
from .policy import Policy
from .run import CustomerResult, Run

Group = tuple[str, str]
"""all or segment, and which segment; empty for none."""


@dataclass(frozen=True)
class Health:
    """The company, or the customers of a segment, after a run, named as in marts.fct_company_health."""

    active_count: int
    prospect_count: int
    lapsed_count: int
    compared_on: date | None
    newly_lapsed_count: int | None
    churn_ratio: Decimal | None
    lapsed_12m_count: int
    revenue_12m_amount: Decimal | None
    customer_value_amount: Decimal | None
    csat_mean: Decimal | None
    csat_count: int | None
    nps: Decimal | None
    nps_count: int | None
    open_balance_amount: Decimal | None
    invoiced_amount: Decimal | None
    dso_days: Decimal | None
    overdue_to_30_amount: Decimal | None
    overdue_to_60_amount: Decimal | None
    overdue_to_90_amount: Decimal | None
    overdue_over_90_amount: Decimal | None


def company_health(runs: Sequence[Run], policy: Policy) -> list[dict[Group, Health]]:
    """Go through a chain of runs; gives the company and its segments after each."""
    told = []
    for position, run in enumerate(runs):
        earlier = [past for past in runs[:position] if month_of(past.as_of_date) < month_of(run.as_of_date)]
        told.append(_of(run, earlier[-1] if earlier else None, policy))
    return told


def _of(run: Run, before: Run | None, policy: Policy) -> dict[Group, Health]:
    groups: dict[Group, list[CustomerResult]] = {("all", ""): list(run.customers.values())}
    for customer in run.customers.values():
        groups.setdefault(("segment", customer.segment or ""), []).append(customer)
    limits = _limits(run, policy)
    return {group: _counted(customers, run, before, limits, policy) for group, customers in groups.items()}


def _limits(run: Run, policy: Policy) -> dict[str, Fraction]:
    """How long each customer may be silent (0002.7), from the exact gaps."""
    customers = present_customers(run.world, run.moment)
    rows = grouped(run.world.get("sales.orders", ()), "customer_id")
    orders = {row["customer_id"]: Orders.of(rows[row["customer_id"]], run.moment) for row in customers}
    multiple = policy.settings["inactive_gap_multiple"]
    return {
        key: max(policy.settings["inactive_days"], round_half_away(multiple * gap))
        for key, gap in usual_gaps(customers, orders, run.moment, policy).items()
    }


def _counted(
    customers: Sequence[CustomerResult],
    run: Run,
    before: Run | None,
    limits: Mapping[str, Fraction],
    policy: Policy,
) -> Health:
    window = int(policy.settings["health_window_days"])
    first, last = run.moment.last_days(window)
    keys = {customer.customer_id for customer in customers}
    states = [customer.state for customer in customers]
    active, lapsed = states.count("active"), states.count("lapsed")
    stayed = {key for key, past in before.customers.items() if past.state == "active"} & keys if before else set()
    newly = sum(customer.state == "lapsed" and customer.customer_id in stayed for customer in customers)
    lately = sum(customer.state == "lapsed" and _lapsed_days(customer, run, limits) < 365 for customer in customers)
    active_revenue = _sum(customer.revenue_12m_amount for customer in customers if customer.state == "active")

    surveys = [
        row
        for row in run.world.get("service.surveys", ())
        if row["customer_id"] in keys
        and run.moment.has_seen(row["answered_at"])
        and first <= run.moment.local_date(row["answered_at"]) <= last
    ]
    csat = [_rescaled(row, 100) for row in surveys if row["kind"] == "csat"]
    nps = [_rescaled(row, 10) for row in surveys if row["kind"] == "nps"]
    has_surveys = "service.surveys" in run.world

    has_invoices = run.world.keys() >= ARREARS
    invoices = [row for row in run.world.get("finance.invoices", ()) if row["customer_id"] in keys]
    invoiced = sum(
        (
            Fraction(row["amount"])
            for row in invoices
            if first <= row["issued_on"] <= last and not run.moment.has_seen(row.get("voided_on"))
        ),
        Fraction(),
    )
    aged = _aged(run.world, run.moment, keys) if has_invoices else None
    owed = _sum(customer.open_balance_amount for customer in customers)
    return Health(
        active_count=active,
        prospect_count=states.count("prospect"),
        lapsed_count=lapsed,
        compared_on=before.as_of_date if before else None,
        newly_lapsed_count=newly if before else None,
        churn_ratio=_ratio(newly, len(stayed)),
        lapsed_12m_count=lately,
        revenue_12m_amount=figure(_sum(customer.revenue_12m_amount for customer in customers)),
        customer_value_amount=figure(active_revenue / active * Fraction(active + lately, lately), 2)
        if active_revenue is not None and active and lately
        else None,
        csat_mean=figure(sum(csat, Fraction()) / len(csat)) if csat else None,
        csat_count=len(csat) if has_surveys else None,
        nps=figure(Fraction(100 * (sum(s >= 9 for s in nps) - sum(s <= 6 for s in nps)), len(nps))) if nps else None,
        nps_count=len(nps) if has_surveys else None,
        open_balance_amount=figure(owed),
        invoiced_amount=figure(invoiced) if has_invoices else None,
        dso_days=figure(owed * window / invoiced) if has_invoices and owed is not None and invoiced else None,
        overdue_to_30_amount=aged and aged[0],
        overdue_to_60_amount=aged and aged[1],
        overdue_to_90_amount=aged and aged[2],
        overdue_over_90_amount=aged and aged[3],
    )


def _lapsed_days(customer: CustomerResult, run: Run, limits: Mapping[str, Fraction]) -> int:
    """Days since a lapsed customer became so."""
    assert customer.last_ordered_on is not None
    return run.moment.days_since(customer.last_ordered_on) - floor(limits[customer.customer_id]) - 1


def _rescaled(row: Mapping[str, object], top: int) -> Fraction:
    score, least, most = (Fraction(row[name]) for name in ("score", "scale_min", "scale_max"))  # type: ignore[arg-type]
    return round_half_away(top * (score - least) / (most - least))


def _aged(world: Mapping[str, Sequence[Mapping[str, object]]], moment: Moment, keys: set[str]) -> list[Decimal]:
    """Overdue amounts of 1 to 30, 31 to 60, 61 to 90 and more days past due."""
    invoices = grouped(world["finance.invoices"], "customer_id")
    payments = grouped(world["finance.payments"], "customer_id")
    sums = [Fraction()] * 4
    for key in keys:
        for due_on, unpaid in Arrears.of(invoices[key], payments[key], moment).overdue:
            sums[min((moment.days_since(due_on) - 1) // 30, 3)] += unpaid
    return [figure(amount) or Decimal() for amount in sums]


def _sum(amounts: Iterable[Decimal | None]) -> Fraction | None:
    known = [Fraction(amount) for amount in amounts if amount is not None]
    return sum(known, Fraction()) if known else None


def _ratio(part: int, whole: int) -> Decimal | None:
    return figure(Fraction(part, whole)) if whole else None
