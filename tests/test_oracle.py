"""The oracle against figures worked out by hand, point by point of decision 0002, and against laws for any world."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings

from exceptions import with_exceptions
from histories import SHANGHAI, History, histories
from oracle import Batch, IndicatorResult, Moment, Policy, Run, follow, judge, world_of
from oracle.customers import class_a
from oracle.exact import figure, round_half_away
from oracle.levels import raw_finding
from oracle.world import COLUMNS, row

POLICY = Policy.read(Path(__file__).parents[1] / "company" / "policy")
DAY = date(2025, 6, 30)
MOMENT = Moment.midnight_after(DAY, SHANGHAI)
Rows = dict[str, list[dict[str, Any]]]


def at(text: str) -> datetime:
    """A UTC instant; a day alone means 10:00 in Shanghai."""
    return datetime.fromisoformat(text if "T" in text else f"{text}T02:00").replace(tzinfo=UTC)


def orders(*days: str, amount: str = "100", **values: Any) -> list[dict[str, Any]]:
    """One order a given day or instant."""
    return [
        row("sales.orders", order_id=day, customer_id="A", ordered_at=at(day), amount=Decimal(amount), **values)
        for day in days
    ]


def invoice(invoice_id: str, due_on: str, amount: str, **values: Any) -> dict[str, Any]:
    """An invoice, issued on 1 January 2025 unless told otherwise."""
    fixed = {"invoice_id": invoice_id, "customer_id": "A", "due_on": date.fromisoformat(due_on)}
    return row("finance.invoices", **{**fixed, "amount": Decimal(amount), "issued_on": date(2025, 1, 1), **values})


def payment(invoice_id: str | None, paid_on: str, amount: str) -> dict[str, Any]:
    """A payment; without an invoice an advance."""
    values = {"invoice_id": invoice_id, "paid_on": date.fromisoformat(paid_on), "amount": Decimal(amount)}
    return row("finance.payments", payment_id=f"{invoice_id} {paid_on} {amount}", customer_id="A", **values)


def ticket(opened: str, answered: str | None = None, kind: str = "complaint") -> dict[str, Any]:
    """A ticket of normal priority."""
    first_responded_at = at(answered) if answered else None
    values = {"kind": kind, "opened_at": at(opened), "first_responded_at": first_responded_at}
    return row("service.tickets", ticket_id=opened, customer_id="A", **values)


def survey(answered: str, score: str, survey_id: str = "S") -> dict[str, Any]:
    """A CSAT answer on a scale of 0 to 10."""
    scale = {"scale_min": Decimal(0), "scale_max": Decimal(10)}
    values = {"answered_at": at(answered), "kind": "csat", "score": Decimal(score), **scale}
    return row("service.surveys", survey_id=survey_id, customer_id="A", **values)


def world(**rows: list[dict[str, Any]]) -> Rows:
    """A world of customer A that delivers everything; rows are given by entity: orders, invoices, ..."""
    delivered: Rows = {data_set: rows.get(data_set.split(".")[1], []) for data_set in COLUMNS}
    delivered["sales.customers"] = delivered["sales.customers"] or [row("sales.customers", customer_id="A", name="A")]
    return delivered


MONTHLY = tuple(f"2025-{month:02}-10" for month in range(1, 7))
"""One order in each of the last six closed months: three of the baseline, three of the window."""


def indicator(rows: Rows, code: str, moment: Moment = MOMENT) -> IndicatorResult:
    """An indicator of customer A."""
    return judge(rows, moment, POLICY).customers["A"].indicators[code]


@pytest.mark.parametrize(
    ("number", "rounded"),
    [("0.0000005", "0.000001"), ("-0.0000005", "-0.000001"), ("1/3", "0.333333"), ("2/3", "0.666667")],
)
def test_figure_rounds_half_away_from_zero(number: str, rounded: str) -> None:
    assert figure(Fraction(number)) == Decimal(rounded)
    assert round_half_away(Fraction(number)) == Fraction(rounded)


def test_cutoff_is_the_local_midnight_after_the_date() -> None:
    assert at("2025-06-30T16:00") == MOMENT.cutoff
    intraday = Moment.at(at("2025-06-30T16:00"), SHANGHAI)
    assert intraday == MOMENT
    assert Moment.at(at("2025-06-30T16:01"), SHANGHAI).as_of_date == date(2025, 7, 1)


def test_elapsed_hours_count_the_hour_that_clocks_skip() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    opened_at = datetime(2025, 3, 30, 0, 0, tzinfo=berlin)
    tickets = [row("service.tickets", ticket_id="T", customer_id="A", kind="inquiry", opened_at=opened_at)]
    rows = world(orders=orders("2025-03-01"), tickets=tickets)
    result = indicator(rows, "response_time", Moment.midnight_after(date(2025, 3, 30), berlin))
    assert result.value == figure(Fraction(23, 24))


def test_order_at_the_cutoff_is_invisible_and_before_midnight_belongs_to_its_local_day() -> None:
    rows = world(orders=orders("2025-06-30T15:59:59", "2025-06-30T16:00"))
    customer = judge(rows, MOMENT, POLICY).customers["A"]
    assert (customer.first_ordered_on, customer.last_ordered_on, customer.order_days) == (DAY, DAY, 1)


@pytest.mark.parametrize(("cancelled", "state"), [("2025-06-30T15:59:59", "prospect"), ("2025-06-30T16:00", "active")])
def test_cancellation_counts_from_before_the_cutoff(cancelled: str, state: str) -> None:
    rows = world(orders=orders("2025-06-10", cancelled_at=at(cancelled)))
    assert judge(rows, MOMENT, POLICY).customers["A"].state == state


def test_usual_gap_takes_the_pace_of_a_segment_of_thirty() -> None:
    names = [f"B{number:02}" for number in range(30)]
    rows = world(
        customers=[
            row("sales.customers", customer_id="A", name="A", segment="small"),
            *(row("sales.customers", customer_id=name, name=name, segment="big") for name in names),
        ],
        orders=[
            *orders("2025-06-30"),
            *(
                row("sales.orders", order_id=name, customer_id=name, ordered_at=at("2025-06-21"), amount=Decimal(1))
                for name in names
            ),
        ],
    )
    customers = judge(rows, MOMENT, POLICY).customers
    # big: 30 order days in 30 x 10 days of exposure, so m = 1/10; company: 31 in 301
    assert customers["B00"].usual_gap_days == Decimal(10)
    assert customers["A"].usual_gap_days == figure(Fraction(2 * 301, 31) / 2)


@pytest.mark.parametrize(("day", "state"), [("2025-01-01", "active"), ("2024-12-31", "lapsed")])
def test_customer_lapses_after_180_days(day: str, state: str) -> None:
    # two more order days keep three times the usual gap below 180: (10 + 2 / m) / 4 with m = 3 / exposure
    before = [str(date.fromisoformat(day) - timedelta(days=days)) for days in (5, 10)]
    busy = [
        row(
            "sales.orders",
            order_id=f"B{days}",
            customer_id="B",
            ordered_at=MOMENT.cutoff - timedelta(days=days),
            amount=1,
        )
        for days in range(1, 400)
    ]
    known = [row("sales.customers", customer_id=name, name=name) for name in "AB"]
    rows = world(customers=known, orders=orders(day, *before) + busy)
    assert judge(rows, MOMENT, POLICY).customers["A"].state == state


def test_customer_of_tomorrow_is_there_only_once_seen() -> None:
    tomorrow = [row("sales.customers", customer_id="A", name="A", customer_since=DAY + timedelta(days=1))]
    assert not judge(world(customers=tomorrow), MOMENT, POLICY).customers
    assert judge(world(customers=tomorrow, orders=orders("2025-06-30")), MOMENT, POLICY).customers


def test_amount_at_the_threshold_is_no_breach() -> None:
    falling = orders(*MONTHLY[:3]) + orders(*MONTHLY[3:], amount="40")
    assert indicator(world(orders=falling), "order_amount").state == "clear"
    below = orders(*MONTHLY[:3]) + orders(*MONTHLY[3:], amount="39.99")
    result = indicator(world(orders=below), "order_amount")
    assert (result.state, result.value, result.threshold) == ("serious", Decimal("39.99"), Decimal(40))
    assert (result.window_start, result.window_end) == (date(2025, 4, 1), DAY)


def test_watch_publishes_its_own_window() -> None:
    result = indicator(world(orders=orders(*MONTHLY[:4])), "order_frequency")
    assert (result.state, result.window_start, result.window_end) == ("watch", date(2025, 5, 1), DAY)


def test_month_is_closed_only_once_it_has_ended() -> None:
    rows = world(orders=orders(*MONTHLY[:3]))
    day_before = Moment.midnight_after(date(2025, 6, 29), SHANGHAI)
    assert indicator(rows, "order_frequency").state == "serious"  # window April to June
    assert indicator(rows, "order_frequency", day_before).unknown_reason == "short_history"  # January and February


def test_pool_pays_oldest_first_and_reversal_raises_what_is_unpaid() -> None:
    rows = world(
        invoices=[invoice("I2", "2025-06-20", "100"), invoice("I1", "2025-06-10", "100")],
        payments=[
            payment(None, "2025-06-30", "60"),
            payment("I2", "2025-06-21", "130"),
            payment("I2", "2025-06-22", "-50"),
        ],
    )
    customer = judge(rows, MOMENT, POLICY).customers["A"]
    # I2: 100 - 130 + 50 = 20 left; the advance leaves 40 of I1, 20 days old
    assert customer.open_balance_amount == Decimal(60)
    assert customer.indicators["overdue_days"].value == Decimal(20)


def test_credit_never_makes_the_balance_negative() -> None:
    disputed = invoice("I1", "2025-06-10", "100", disputed_on=date(2025, 6, 11))
    rows = world(invoices=[disputed], payments=[payment(None, "2025-06-01", "500")])
    customer = judge(rows, MOMENT, POLICY).customers["A"]
    assert customer.open_balance_amount == Decimal(100)
    assert customer.indicators["overdue_days"].value == Decimal(0)


@pytest.mark.parametrize(("amount", "age"), [("1", 0), ("1.01", 20)])
def test_overdue_amount_must_exceed_the_least_amount(amount: str, age: int) -> None:
    assert indicator(world(invoices=[invoice("I1", "2025-06-10", amount)]), "overdue_days").value == Decimal(age)


def test_overdue_ratio_of_exactly_half_is_a_watch() -> None:
    rows = world(orders=orders(*MONTHLY), invoices=[invoice("I1", "2025-06-01", "50")])
    result = indicator(rows, "overdue_ratio")
    assert (result.state, result.value, result.baseline) == ("watch", Decimal("0.5"), Decimal(100))


def test_complaint_rate_without_any_complaint_is_clear() -> None:
    result = indicator(world(orders=orders(*MONTHLY)), "complaint_rate")
    assert (result.state, result.value, result.baseline, result.threshold) == ("clear", *[Decimal(0)] * 3)


def test_complaint_rate_equal_to_a_repeating_threshold_is_no_breach() -> None:
    # baseline 2 / 9, times 1.5 = 1/3 = the rate of May and June: rounding both sides keeps them equal (watch: 0.266667)
    days = [f"2025-{month:02}-{day:02}" for month in (2, 3, 4, 5, 6) for day in (5, 15, 25)]
    complaints = [ticket(day) for day in ("2025-02-06", "2025-03-06", "2025-05-06", "2025-06-06")]
    policy = replace(POLICY, parameters={**POLICY.parameters, ("complaint_rate", "count", "watch"): Fraction(9)})
    run = judge(world(orders=orders(*days), tickets=complaints), MOMENT, policy)
    result = run.customers["A"].indicators["complaint_rate"]
    assert (result.state, result.value, result.threshold) == ("watch", Decimal("0.333333"), Decimal("0.266667"))


def test_many_complaints_breach_without_a_base_and_count_from_the_first_of_ninety_days() -> None:
    complaints = [ticket("2025-04-01"), ticket("2025-04-02"), ticket("2025-06-30")]
    result = indicator(world(orders=orders("2025-06-10"), tickets=complaints), "complaint_rate")
    assert (result.state, result.value, result.window_start) == ("watch", Decimal(2), date(2025, 4, 2))
    assert result.measures == {"complaints_90d": Decimal(2)}


def test_response_after_the_cutoff_is_not_seen() -> None:
    rows = world(orders=orders("2025-06-10"), tickets=[ticket("2025-06-29T16:00", "2025-06-30T16:00", "inquiry")])
    assert indicator(rows, "response_time").value == Decimal(1)


@pytest.mark.parametrize(
    ("surveys", "expected"),
    [
        ([], ("unknown", "short_history", None)),
        ([survey("2025-06-01", "2")], ("unknown", "short_history", Decimal(20))),
        ([survey("2024-12-31", "2"), survey("2024-12-30", "2", "S2")], ("unknown", "expired", None)),
        ([survey("2025-01-01", "2"), survey("2025-06-01", "5", "S2")], ("serious", None, Decimal(50))),
        ([survey("2025-06-01", "2", "S1"), survey("2025-06-01", "6", "S2")], ("watch", None, Decimal(60))),
        (
            [survey("2025-06-01", "9", "S0"), survey("2025-06-02", "2"), survey("2025-06-03", "2")],
            ("serious", None, 20),
        ),
    ],
)
def test_satisfaction_reads_the_last_two_unexpired_scores(
    surveys: list[dict[str, Any]], expected: tuple[Any, ...]
) -> None:
    result = indicator(world(orders=orders("2025-06-10"), surveys=surveys), "satisfaction")
    assert (result.state, result.unknown_reason, result.measures["latest_score"]) == expected


@pytest.mark.parametrize(
    ("absent", "unknown"),
    [
        ("service.surveys", {"satisfaction", "net_promoter"}),
        ("service.tickets", {"complaint_rate", "response_time", "negative_feedback"}),
        ("finance.payments", {"overdue_days", "overdue_ratio", "late_payment_rate", "credit_utilization"}),
        ("finance.invoices", {"overdue_days", "overdue_ratio", "late_payment_rate", "credit_utilization"}),
        ("finance.credit_terms", {"credit_utilization"}),
        ("sales.interactions", {"interaction_frequency", "web_activity"}),
        ("sales.returns", {"return_rate"}),
        ("sales.competitor_signals", {"competitor_activity"}),
        ("sales.policy_signals", {"policy_change"}),
        ("model.churn_scores", set()),
        ("credit.scores", set()),
    ],
)
def test_absent_data_set_makes_its_indicators_unknown(absent: str, unknown: set[str]) -> None:
    rows = world(orders=orders(*MONTHLY))
    del rows[absent]
    indicators = judge(rows, MOMENT, POLICY).customers["A"].indicators
    assert {code for code, result in indicators.items() if result.unknown_reason == "no_data"} == {
        *unknown,
        *("credit_score", "churn_probability"),  # nobody has a score, whether the tables are there or not
    }


def test_stale_data_set_makes_its_indicators_unknown_and_leaves_states_and_balances() -> None:
    rows = world(orders=orders(*MONTHLY), invoices=[invoice("I1", "2025-06-01", "50")])
    fresh, stale = (judge(rows, MOMENT, POLICY, each).customers["A"] for each in ((), {"finance.payments"}))
    needing = {"overdue_days", "overdue_ratio", "late_payment_rate", "credit_utilization"}
    assert {code for code, result in stale.indicators.items() if result.unknown_reason == "stale"} == needing
    assert stale.indicators["overdue_days"] == IndicatorResult("unknown", "stale", measures={"overdue_days": None})
    assert (stale.state, stale.open_balance_amount) == (fresh.state, fresh.open_balance_amount) == ("active", 50)
    del rows["finance.credit_terms"]
    absent_too = judge(rows, MOMENT, POLICY, {"finance.payments"}).customers["A"].indicators
    assert absent_too["credit_utilization"].unknown_reason == "no_data"


EXCEPTIONS = [
    ("overdue_days", "days", "32", "", "", "", "", "2025-06-01", "2025-06-30"),
    ("overdue_days", "days", "33", "", "", "", "north"),
    ("overdue_days", "days", "34", "", "", "", "north", "2025-06-30"),
    ("overdue_days", "days", "35", "20", "", "steel"),
    ("overdue_days", "days", "36", "", "retail"),
    ("overdue_days", "days", "37", "", "", "steel", "north"),
    ("overdue_days", "days", "38", "", "retail", "", "north", "", "2025-06-29"),
]


@pytest.mark.parametrize(
    ("customer", "day", "expected"),
    [
        ({}, "2025-05-31", ("30", "10")),
        ({}, "2025-06-01", ("32", "32")),
        ({}, "2025-06-30", ("32", "32")),
        ({}, "2025-07-01", ("30", "10")),
        ({"region": "North"}, "2025-07-01", ("30", "10")),  # letter by letter
        ({"region": "north"}, "2025-06-29", ("33", "33")),  # an attribute is more than a day
        ({"region": "north"}, "2025-06-30", ("34", "34")),
        ({"region": "north", "industry": "steel"}, "2025-06-30", ("37", "37")),
        ({"region": "south", "industry": "steel"}, "2025-06-30", ("35", "20")),
        ({"segment": "retail", "industry": "steel"}, "2025-06-30", ("36", "36")),
        ({"segment": "retail", "region": "north"}, "2025-06-29", ("38", "38")),
        ({"segment": "retail", "region": "north"}, "2025-06-30", ("36", "36")),
        ({"segment": "retail", "region": "north", "industry": "steel"}, "2025-06-29", ("38", "38")),
    ],
)
def test_parameter_of_the_entry_that_names_most_counts(
    tmp_path: Path, customer: dict[str, str], day: str, expected: tuple[str, str]
) -> None:
    policy = Policy.read(with_exceptions(tmp_path / "policy", EXCEPTIONS))
    its = policy.of(customer, date.fromisoformat(day))
    found = tuple(its.parameter("overdue_days", "days", grade) for grade in ("serious", "watch"))
    assert found == tuple(map(Fraction, expected))
    assert its.parameter("overdue_days", "least_amount") == POLICY.parameter("overdue_days", "least_amount")


def test_without_orders_everybody_is_a_prospect_judged_on_arrears() -> None:
    rows = world(invoices=[invoice("I1", "2025-06-01", "50")])
    del rows["sales.orders"]
    customer = judge(rows, MOMENT, POLICY).customers["A"]
    arrears = {"overdue_days", "overdue_ratio", "late_payment_rate"}
    credit = {"credit_score", "credit_utilization", "order_fulfilment"}
    assert (customer.state, set(customer.indicators)) == ("prospect", arrears | credit)
    assert customer.indicators["overdue_ratio"].unknown_reason == "no_data"
    assert customer.indicators["order_fulfilment"].unknown_reason == "no_data"
    assert customer.indicators["order_fulfilment"].measures == {"cancelled_orders": None}


@pytest.mark.parametrize(
    ("amounts", "trend"),
    [
        ("100 100 100 100 100 100", "flat"),
        ("100 100 100 70 70 70", "worsening"),
        ("50 100 150 200 250 300", "improving"),
    ],
)
def test_trend_of_amounts(amounts: str, trend: str) -> None:
    placed = [
        order for day, amount in zip(MONTHLY, amounts.split(), strict=True) for order in orders(day, amount=amount)
    ]
    assert indicator(world(orders=placed), "order_amount").trend == trend


# --- the other fifteen indicators, point by point (0002.26 to 0002.41) ------------------------------------------------


def told(result: IndicatorResult) -> str:
    """State or reason, value, baseline, threshold."""
    figures = (result.value, result.baseline, result.threshold)
    shown = ["-" if each is None else f"{each.normalize():f}" for each in figures]
    return result.unknown_reason or " ".join([result.state, *shown])


def days_ago(count: int) -> date:
    """So many days before the as-of date."""
    return DAY - timedelta(days=count)


@pytest.mark.parametrize(
    ("days", "usual", "amount", "expected"),
    [
        (MONTHLY, "100", "59.99", "serious 59.99 100 60"),
        (MONTHLY, "100", "60", "watch 60 100 80"),
        (MONTHLY, "100", "80", "clear 80 100 60"),
        (MONTHLY[:5], "100", "10", "no_base"),  # two orders in the window
        (MONTHLY[1:], "100", "10", "short_history"),
        (MONTHLY, "0", "10", "no_base"),
    ],
)
def test_average_order_value(days: tuple[str, ...], usual: str, amount: str, expected: str) -> None:
    early = [day for day in days if day < "2025-04"]
    placed = orders(*early, amount=usual) + orders(*days[len(early) :], amount=amount)
    result = indicator(world(orders=placed), "average_order_value")
    assert told(result) == expected
    if result.value is not None:
        assert (result.window_start, result.window_end) == (date(2025, 4, 1), DAY)
        assert result.trend == "worsening"


@pytest.mark.parametrize(
    ("silence", "before", "expected"),
    [
        (45, (1, 2), "watch 45 8.5 45"),  # (2 + 2 x 48 / 3) / 4
        (44, (1, 2), "clear 44 8.333333 45"),
        (48, (19, 38), "clear 48 24 48"),  # (38 + 2 x 87 / 3) / 4: exactly twice the gap
        (49, (19, 38), "watch 49 24.166667 48.333333"),
        (45, (1,), "short_history"),
    ],
)
def test_rhythm_break(silence: int, before: tuple[int, ...], expected: str) -> None:
    days = [str(days_ago(silence + each)) for each in (0, *before)]
    result = indicator(world(orders=orders(*days)), "rhythm_break")
    assert told(result) == expected
    assert result.measures == {"is_class_a": Decimal(1)}


@pytest.mark.parametrize(("revenue", "is_class_a"), [("1200", 0), ("1199.99", 1)])
def test_rhythm_break_is_told_of_class_a_only(revenue: str, is_class_a: int) -> None:
    known = [row("sales.customers", customer_id=name, name=name) for name in "AB"]
    large = [{**order, "customer_id": "B"} for order in orders("2025-06-29", amount=revenue)]
    rows = world(customers=known, orders=orders(*(str(days_ago(each)) for each in (60, 61, 62))) + large)
    result = indicator(rows, "rhythm_break")  # A has 300: B makes 80 % of 1500 by itself, and not quite of 1499.99
    assert (result.state, result.measures["is_class_a"]) == ("watch" if is_class_a else "clear", is_class_a)


def test_class_a_goes_by_revenue_then_id_and_leaves_out_who_bought_nothing() -> None:
    shares = dict.fromkeys("ABCDE", Fraction(4, 5))
    assert class_a({name: Fraction(100) for name in "EDCBA"}, shares) == set("ABCD")
    assert class_a({"A": Fraction(1), "B": Fraction(9)}, shares) == {"B"}
    assert class_a({"A": Fraction(0)}, shares) == set()
    assert class_a({"A": Fraction(0), "B": Fraction(5)}, dict.fromkeys("AB", Fraction(1))) == {"B"}
    assert class_a({name: Fraction(100) for name in "ABCDE"}, {**shares, "C": Fraction(1, 5)}) == set("ABD")


def contacts(by_month: dict[int, int], channel: str) -> list[dict[str, Any]]:
    """So many contacts in months of 2025."""
    return [
        row(
            "sales.interactions",
            **{"interaction_id": f"{month} {number}", "customer_id": "A", "channel": channel},
            occurred_at=at(f"2025-{month:02}-{number + 1:02}"),
        )
        for month, count in by_month.items()
        for number in range(count)
    ]


@pytest.mark.parametrize(
    ("usual", "fallen", "expected"),
    [
        ((2, 2, 2), (0, 0, 0), "serious 0 2 1"),
        ((2, 2, 2), (1, 1, 1), "watch 1 2 1.4"),
        ((2, 2, 2), (0, 0, 2), "clear 2 2 1"),
        ((10, 10, 10), (7, 7, 7), "clear 7 10 5"),
        ((2, 2, 1), (0, 0, 0), "no_base"),
    ],
)
def test_interaction_frequency(usual: tuple[int, ...], fallen: tuple[int, ...], expected: str) -> None:
    by_month = dict(enumerate((*usual, *fallen), start=1))
    rows = world(orders=orders(*MONTHLY), interactions=contacts(by_month, "visit"))
    assert told(indicator(rows, "interaction_frequency")) == expected
    assert told(indicator(rows, "web_activity")) == "no_base"
    rows["sales.orders"] = orders(*MONTHLY[1:])
    assert told(indicator(rows, "interaction_frequency")) == "short_history"


def test_interactions_count_inquiries_where_tickets_are_delivered_and_neither_web_nor_other() -> None:
    rows = world(
        orders=orders(*MONTHLY),
        tickets=[ticket(f"2025-{month:02}-20", kind="inquiry") for month in range(1, 7)] + [ticket("2025-06-02")],
        interactions=contacts({1: 2, 2: 2, 3: 2}, "social") + contacts({5: 9}, "other") + contacts({6: 9}, "web"),
    )
    assert told(indicator(rows, "interaction_frequency")) == "serious 1 3 1.5"
    del rows["service.tickets"]
    assert told(indicator(rows, "interaction_frequency")) == "serious 0 2 1"


@pytest.mark.parametrize(("visits", "expected"), [(1, "serious 1 4 2"), (2, "watch 2 4 2.8"), (3, "clear 3 4 2")])
def test_web_activity_looks_at_two_months(visits: int, expected: str) -> None:
    by_month = {1: 4, 2: 4, 3: 4, 4: 4, 5: visits, 6: visits}
    result = indicator(world(orders=orders(*MONTHLY), interactions=contacts(by_month, "web")), "web_activity")
    assert (told(result), result.window_start) == (expected, date(2025, 5, 1))


@pytest.mark.parametrize(
    ("in_time", "late", "expected"),
    [
        (1, 2, "serious 0.666667 - 0.5"),
        (2, 2, "watch 0.5 - 0.3"),
        (7, 3, "clear 0.3 - 0.5"),
        (1, 1, "no_base"),
    ],
)
def test_late_payment_rate(in_time: int, late: int, expected: str) -> None:
    invoices = [invoice(f"I{number}", "2025-03-01", "10") for number in range(in_time + late)]
    payments = [payment(f"I{number}", "2025-03-01", "10") for number in range(in_time)]
    rows = world(orders=orders(*MONTHLY), invoices=invoices, payments=payments)
    result = indicator(rows, "late_payment_rate")
    assert (told(result), result.measures) == (expected, {"late_invoices": Decimal(late)})
    if result.value is not None:
        assert (result.window_start, result.window_end) == (date(2025, 1, 1), DAY)


@pytest.mark.parametrize(
    ("paid", "is_late"),
    [
        ([], True),
        ([("I", "2025-03-01", "100")], False),
        ([("I", "2025-03-02", "100")], True),
        ([("I", "2025-03-01", "99.99"), ("I", "2025-03-02", "0.01")], True),
        ([("I", "2025-03-01", "50"), (None, "2025-06-30", "50")], False),  # the pool has no date
        ([("I", "2025-03-01", "50"), (None, "2025-06-30", "49")], True),
        ([("I", "2025-02-01", "100"), ("I", "2025-03-02", "-100"), ("I", "2025-05-01", "100")], False),
        ([("I", "2025-02-01", "100"), ("I", "2025-03-01", "-1"), ("I", "2025-05-01", "1")], True),
        ([("I", "2025-03-02", "-5"), (None, "2025-04-01", "105")], False),
        ([("I", "2025-07-01", "100")], True),  # not seen
    ],
)
def test_invoice_is_late_by_the_payments_that_name_it(
    paid: list[tuple[str | None, str, str]], *, is_late: bool
) -> None:
    rows = world(
        orders=orders(*MONTHLY),
        invoices=[invoice("I", "2025-03-01", "100")],
        payments=[payment(*each) for each in paid],
    )
    assert indicator(rows, "late_payment_rate").measures["late_invoices"] == is_late


@pytest.mark.parametrize(
    ("due_on", "counts"),
    [("2024-12-31", False), ("2025-01-01", True), ("2025-06-29", True), ("2025-06-30", False)],
)
def test_late_invoices_are_those_due_since_the_first_of_the_sixth_month(due_on: str, *, counts: bool) -> None:
    rows = world(orders=orders(*MONTHLY), invoices=[invoice("I", due_on, "5", issued_on=date(2024, 12, 1))])
    assert indicator(rows, "late_payment_rate").measures["late_invoices"] == counts


def test_disputed_invoice_is_no_late_one() -> None:
    rows = world(orders=orders(*MONTHLY), invoices=[invoice("I", "2025-03-01", "5", disputed_on=DAY)])
    assert indicator(rows, "late_payment_rate").measures["late_invoices"] == 0


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([], "no_data"),
        ([(-1, "50")], "no_data"),
        ([(300, "59.99")], "serious 59.99 - 60"),
        ([(300, "60")], "watch 60 - 70"),
        ([(300, "70")], "clear 70 - 60"),
        ([(90, "100"), (0, "85")], "serious 85 100 85"),
        ([(91, "100"), (89, "85")], "serious 85 100 85"),  # 100 was in force on the first day
        ([(91, "100"), (90, "85")], "clear 85 - 60"),  # and here no longer
        ([(10, "100"), (0, "85.01")], "watch 85.01 100 92"),
        ([(10, "100"), (0, "92")], "watch 92 100 92"),
        ([(10, "100"), (0, "92.01")], "clear 92.01 - 60"),
        ([(10, "80"), (0, "65")], "serious 65 80 65"),  # low is a watch only
        ([(10, "73"), (0, "65")], "watch 65 - 70"),
        ([(10, "100"), (0, "55")], "serious 55 - 60"),
    ],
)
def test_credit_score(scores: list[tuple[int, str]], expected: str) -> None:
    rows = world(
        orders=orders(*MONTHLY),
        scores=[
            row("credit.scores", customer_id="A", scored_on=days_ago(age), score=Decimal(score))
            for age, score in scores
        ],
    )
    result = indicator(rows, "credit_score")
    assert told(result) == expected
    assert result.window_start == (days_ago(90) if result.baseline else None)


def terms(valid_from: date, limit: str | None) -> dict[str, Any]:
    """Credit terms of customer A."""
    credit_limit = Decimal(limit) if limit else None
    return row("finance.credit_terms", customer_id="A", valid_from=valid_from, credit_limit=credit_limit)


@pytest.mark.parametrize(
    ("owed", "agreed", "expected"),
    [
        ("100.01", [terms(DAY, "100")], "serious 1.0001 - 1"),
        ("100", [terms(DAY, "100")], "watch 1 - 0.9"),
        ("90", [terms(DAY, "100")], "clear 0.9 - 1"),
        ("0", [terms(DAY, "100")], "clear 0 - 1"),
        ("90", [terms(days_ago(1), "50"), terms(DAY, "100"), terms(days_ago(-1), "10")], "clear 0.9 - 1"),
        ("90", [], "no_base"),
        ("90", [terms(days_ago(-1), "100")], "no_base"),
        ("90", [terms(days_ago(1), "100"), terms(DAY, None)], "no_base"),
        ("90", [terms(DAY, "0")], "no_base"),
        ("90", [terms(DAY, "-1")], "no_base"),
    ],
)
def test_credit_utilization(owed: str, agreed: list[dict[str, Any]], expected: str) -> None:
    rows = world(orders=orders(*MONTHLY), invoices=[invoice("I", "2025-07-15", owed)], credit_terms=agreed)
    result = indicator(rows, "credit_utilization")
    assert told(result) == expected
    assert result.measures == {"credit_limit": None if expected == "no_base" else Decimal(100)}


@pytest.mark.parametrize(
    ("kept", "cancelled", "expected"),
    [
        (7, 3, "serious 0.3 - 0.2"),
        (8, 2, "watch 0.2 - 0.1"),
        (18, 2, "clear 0.1 - 0.2"),
        (1, 1, "clear 0.5 - 0.2"),
    ],
)
def test_order_fulfilment(kept: int, cancelled: int, expected: str) -> None:
    undone = {"cancelled_at": at("2025-06-30T15:59:59"), "cancelled_by": "customer"}
    elsewise = [
        *orders("2025-02-01", cancelled_at=at("2025-02-02"), cancelled_by="us"),
        *orders("2025-02-01", cancelled_at=at("2025-02-02")),
        *orders("2024-12-31T15:59:59", **undone),  # the day before the window
    ]
    placed = orders(*["2024-12-31T16:00"] * kept) + orders(*["2025-06-29"] * cancelled, **undone) + elsewise
    rows = world(orders=placed)
    result = indicator(rows, "order_fulfilment")
    assert (told(result), result.measures) == (expected, {"cancelled_orders": Decimal(cancelled)})
    assert (result.window_start, result.window_end) == (date(2025, 1, 1), DAY)


def test_order_cancelled_at_the_cutoff_is_kept() -> None:
    rows = world(orders=orders("2025-06-29", cancelled_at=MOMENT.cutoff, cancelled_by="customer"))
    assert told(indicator(rows, "order_fulfilment")) == "clear 0 - 0.2"


def test_prospect_who_owes_is_judged_on_what_it_cancelled() -> None:
    undone = orders("2025-06-01", "2025-06-02", cancelled_at=at("2025-06-03"), cancelled_by="customer")
    rows = world(orders=undone, invoices=[invoice("I", "2025-07-15", "5")])
    assert told(indicator(rows, "order_fulfilment")) == "serious 1 - 0.2"
    rows["sales.orders"] = []
    assert told(indicator(rows, "order_fulfilment")) == "no_base"


@pytest.mark.parametrize(
    ("in_time", "late", "expected"),
    [
        (16, 4, "serious 0.8 - 0.85"),
        (17, 3, "watch 0.85 - 0.92"),
        (23, 2, "clear 0.92 - 0.85"),
        (1, 1, "no_base"),
    ],
)
def test_delivery_punctuality(in_time: int, late: int, expected: str) -> None:
    promised = {"promised_at": at("2025-06-28")}
    placed = [
        *orders(*["2025-05-05"] * in_time, **promised, fulfilled_at=at("2025-06-28T15:59:59")),
        *orders(*["2025-05-05"] * late, **promised, fulfilled_at=at("2025-06-28T16:00")),
        *orders("2025-05-05", **promised, cancelled_at=at("2025-05-06")),
        *orders("2025-05-05", fulfilled_at=at("2025-06-28")),  # never promised
    ]
    result = indicator(world(orders=placed), "delivery_punctuality")
    assert (told(result), result.measures) == (expected, {"late_orders": Decimal(late)})
    if result.value is not None:
        assert (result.window_start, result.window_end) == (date(2025, 4, 1), DAY)


@pytest.mark.parametrize(
    ("promised", "late"),
    [("2025-03-31T15:59:59", 0), ("2025-03-31T16:00", 1), ("2025-06-30T15:59:59", 1), ("2025-06-30T16:00", 0)],
)
def test_promised_day_lies_in_the_window_and_is_over(promised: str, late: int) -> None:
    waiting = orders("2025-03-05", promised_at=at(promised), fulfilled_at=MOMENT.cutoff)
    result = indicator(world(orders=waiting), "delivery_punctuality")
    assert result.measures["late_orders"] == late


def test_promised_day_is_not_over_before_its_midnight() -> None:
    waiting = orders("2025-03-05", promised_at=at("2025-06-30T01:00"))
    evening = Moment.at(at("2025-06-30T12:00"), SHANGHAI)
    assert indicator(world(orders=waiting), "delivery_punctuality", evening).measures["late_orders"] == 0
    assert indicator(world(orders=waiting), "delivery_punctuality").measures["late_orders"] == 1


@pytest.mark.parametrize(
    ("days", "usual", "lately", "expected"),
    [
        (MONTHLY, 2, 4, "serious 1.333333 0.666667 1"),
        (MONTHLY, 2, 3, "watch 1 0.666667 0.8"),
        (MONTHLY, 5, 6, "clear 2 1.666667 2.5"),  # exactly 1.2 times the baseline
        ((*MONTHLY[:3], *MONTHLY), 1, 1, "clear 0.333333 0.166667 0.25"),  # one return is not enough
        (MONTHLY, 0, 1, "clear 0.333333 0 0"),
        (MONTHLY, 0, 2, "no_base"),
        (MONTHLY[:3], 1, 2, "no_base"),
        (MONTHLY[1:], 1, 2, "short_history"),
    ],
)
def test_return_rate(days: tuple[str, ...], usual: int, lately: int, expected: str) -> None:
    returned = ["2025-03-31T15:59:59"] * usual + ["2025-03-31T16:00"] * lately + ["2025-06-30T16:00"]
    returns = [
        row("sales.returns", return_id=f"{number}", customer_id="A", returned_at=at(instant))
        for number, instant in enumerate(returned)
    ]
    result = indicator(world(orders=orders(*days), returns=returns), "return_rate")
    assert (told(result), result.measures) == (expected, {"return_count": Decimal(lately)})


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([], "short_history"),
        ([(366, "2")], "expired"),
        ([(365, "6")], "watch 6 - 6"),
        ([(1, "6.01")], "clear 6.01 - 6"),
        ([(1, "6"), (2, "7")], "serious 6 7 6"),
        ([(1, "6"), (2, "6")], "serious 6 6 6"),
        ([(1, "6"), (2, "6.99")], "watch 6 6.99 6"),
        ([(1, "6"), (366, "7")], "watch 6 - 6"),  # what has expired is no longer before it
        ([(1, "7"), (2, "0")], "clear 7 0 6"),
        ([(-1, "0"), (2, "9")], "clear 9 - 6"),
    ],
)
def test_net_promoter(scores: list[tuple[int, str]], expected: str) -> None:
    scale = {"scale_min": Decimal(0), "scale_max": Decimal(100)}
    surveys = [
        row(
            "service.surveys",
            **{"survey_id": f"{age}", "customer_id": "A", "kind": "nps", "score": 10 * Decimal(score), **scale},
            answered_at=at(str(days_ago(age))),
        )
        for age, score in scores
    ]
    rows = world(orders=orders(*MONTHLY), surveys=[*surveys, survey("2025-06-01", "0")])
    assert told(indicator(rows, "net_promoter")) == expected


@pytest.mark.parametrize(
    ("usual", "lately", "expected"),
    [
        (1, 3, "serious 3 1 2"),
        (1, 2, "watch 2 1 1.5"),
        (2, 3, "clear 3 2 4"),  # exactly 1.5 times the baseline
        (1, 1, "clear 1 1 2"),
        (0, 1, "clear 1 0 0"),
        (0, 2, "no_base"),
    ],
)
def test_negative_feedback(usual: int, lately: int, expected: str) -> None:
    def feedback(day: str, sentiment: str) -> dict[str, Any]:
        return {**ticket(day, kind="feedback"), "sentiment": sentiment}

    tickets = [
        *(feedback(day, "negative") for day in MONTHLY[:4] for _ in range(usual)),  # January to April
        *(feedback("2025-05-31T15:59:59", "negative") for _ in range(9)),  # touched by the window, but before it
        *(feedback("2025-05-31T16:00", "negative") for _ in range(lately)),
        *(feedback("2025-06-20", sentiment) for sentiment in ("neutral", "positive")),
        ticket("2025-06-20"),
    ]
    result = indicator(world(orders=orders(*MONTHLY), tickets=tickets), "negative_feedback")
    assert told(result) == expected
    if result.value is not None:
        assert (result.window_start, result.window_end) == (date(2025, 6, 1), DAY)
    assert told(indicator(world(orders=orders(*MONTHLY[2:]), tickets=tickets), "negative_feedback")) == "short_history"


@pytest.mark.parametrize(
    ("signals", "expected"),
    [
        ([], "clear 0 - 1"),
        ([(59, True)], "serious 1 - 1"),
        ([(60, True)], "clear 0 - 1"),
        ([(-1, True)], "clear 0 - 1"),
        ([(0, False)], "watch 1 - 1"),
        ([(0, None), (1, False)], "watch 2 - 1"),
        ([(0, True), (1, False)], "serious 1 - 1"),
    ],
)
def test_competitor_activity(signals: list[tuple[int, bool | None]], expected: str) -> None:
    seen = [
        row(
            "sales.competitor_signals",
            **{"signal_id": f"{age}", "customer_id": "A", "has_customer_interest": interest},
            observed_on=days_ago(age),
        )
        for age, interest in signals
    ]
    rows = world(orders=orders(*MONTHLY), competitor_signals=seen)
    assert told(indicator(rows, "competitor_activity")) == expected


@pytest.mark.parametrize(
    ("industry", "signals", "expected"),
    [
        ("steel", [("steel", 180, None, "adverse")], "watch 1 - 1"),
        ("steel", [("steel", 181, None, "adverse")], "clear 0 - 1"),
        ("steel", [("steel", 300, 180, "adverse"), ("steel", 0, 0, "adverse")], "watch 2 - 1"),
        ("steel", [("steel", 0, 181, "adverse")], "clear 0 - 1"),
        ("steel", [("steel", 9, -1, "adverse")], "clear 0 - 1"),
        ("steel", [("steel", -1, 9, "adverse")], "clear 0 - 1"),
        ("steel", [("steel", 9, None, "neutral"), ("Steel", 9, None, "adverse")], "clear 0 - 1"),
        ("steel", [], "clear 0 - 1"),
        (None, [("steel", 9, None, "adverse")], "no_base"),
    ],
)
def test_policy_change(industry: str | None, signals: list[tuple[str, int, int | None, str]], expected: str) -> None:
    seen = [
        row(
            "sales.policy_signals",
            **{"signal_id": f"{number}", "industry": about, "observed_on": days_ago(observed), "effect": effect},
            effective_on=None if effective is None else days_ago(effective),
        )
        for number, (about, observed, effective, effect) in enumerate(signals)
    ]
    customer = row("sales.customers", customer_id="A", name="A", industry=industry)
    rows = world(customers=[customer], orders=orders(*MONTHLY), policy_signals=seen)
    assert told(indicator(rows, "policy_change")) == expected


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([], "no_data"),
        ([(-1, "0.9")], "no_data"),
        ([(91, "0.9")], "expired"),
        ([(90, "0.500001")], "serious 0.500001 - 0.5"),
        ([(0, "0.5")], "watch 0.5 - 0.3"),
        ([(0, "0.3"), (1, "0.9")], "clear 0.3 - 0.5"),
    ],
)
def test_churn_probability(scores: list[tuple[int, str]], expected: str) -> None:
    scored = [
        row("model.churn_scores", customer_id="A", scored_on=days_ago(age), probability=Decimal(probability))
        for age, probability in scores
    ]
    assert told(indicator(world(orders=orders(*MONTHLY), churn_scores=scored), "churn_probability")) == expected


def test_corrected_terms_replace_those_of_the_same_key_only() -> None:
    first = Batch("finance.credit_terms", "append", [terms(days_ago(9), "100"), terms(days_ago(1), "200")])
    second = Batch("finance.credit_terms", "append", [terms(days_ago(1), "50")])
    [old, new] = world_of([first, second])["finance.credit_terms"]
    assert (old["credit_limit"], new["credit_limit"]) == (Decimal(100), Decimal(50))


# --- levels ----------------------------------------------------------------------------------------------------------


def breached(**states: str) -> dict[str, IndicatorResult]:
    """Indicators with the given states, all measures null."""
    return {code: IndicatorResult(state, measures={}) for code, state in states.items()}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("indicators", "level", "rule_codes"),
    [
        (breached(order_amount="watch", satisfaction="watch"), None, ()),
        (breached(satisfaction="serious"), 3, ("service_fluctuation",)),
        (breached(order_amount="serious", order_frequency="serious"), 3, ("serious_business",)),
        (
            breached(order_amount="serious", satisfaction="serious"),
            2,
            ("demand_and_service_serious", "serious_business", "service_fluctuation"),
        ),
        (breached(overdue_days="serious", satisfaction="serious"), 3, ("serious_business", "service_fluctuation")),
        (
            breached(overdue_days="serious", satisfaction="serious", response_time="serious"),
            1,
            ("three_serious_families", "serious_business", "service_fluctuation"),
        ),
        (breached(rhythm_break="watch"), 3, ("rhythm_broken",)),
        (breached(policy_change="watch", competitor_activity="watch"), None, ()),
        (
            breached(overdue_days="watch", overdue_ratio="serious", late_payment_rate="serious"),
            3,
            ("serious_business",),
        ),
        (
            breached(overdue_days="serious", overdue_ratio="serious", late_payment_rate="serious"),
            2,
            ("overdue_and_pays_late", "serious_business"),
        ),
        (breached(churn_probability="serious"), 2, ("likely_to_churn",)),
    ],
)
def test_count_rules_ask_for_families(
    indicators: dict[str, IndicatorResult], level: int, rule_codes: tuple[str, ...]
) -> None:
    finding = raw_finding(indicators, POLICY)
    assert (finding.raw_level, finding.rule_codes) == (level, rule_codes)


def test_long_overdue_with_collapsed_amount_is_level_one() -> None:
    rows = world(orders=orders(*MONTHLY[:3]), invoices=[invoice("I1", "2025-03-31", "5")])
    finding = judge(rows, MOMENT, POLICY).customers["A"].finding
    assert (finding.raw_level, finding.rule_codes[0]) == (1, "amount_collapsed_long_overdue")
    assert finding.source_indicators == {"order_amount", "overdue_days"}


def chain(*levels: tuple[int, int | None], unknown_on: int | None = None) -> list[Run]:
    """Runs of customer A on days of June with given raw levels, resting on overdue_days."""
    base = judge(world(orders=orders("2025-06-01")), Moment.midnight_after(date(2025, 6, 1), SHANGHAI), POLICY)
    customer = base.customers["A"]
    runs = []
    for day, level in levels:
        sources = frozenset({"overdue_days"} if level else ())
        state = IndicatorResult("unknown", "no_data") if day == unknown_on else IndicatorResult("clear")
        found = replace(customer.finding, raw_level=level, source_indicators=sources, breached_indicators=frozenset())
        judged = replace(customer, finding=found, indicators={"overdue_days": state})
        runs.append(Run(Moment.midnight_after(date(2025, 6, day), SHANGHAI), {"A": judged}))
    return runs


@pytest.mark.parametrize(
    ("levels", "held"),
    [
        ([(1, 3), (2, 1)], [3, 1]),  # rises at once
        ([(1, 1), (7, None), (8, None)], [1, 1, None]),  # 1 June is within seven days of 7 June, not of 8 June
        ([(1, 1), (3, 2), (7, None), (8, None), (10, None)], [1, 1, 1, 2, None]),  # falls step by step
        ([(1, 1), (20, 3)], [1, 3]),  # days between two runs count as the later one
        ([(1, 2), (2, None), (3, 3), (4, 2)], [2, 2, 2, 2]),
    ],
)
def test_level_falls_only_after_the_cooldown(levels: list[tuple[int, int | None]], held: list[int | None]) -> None:
    assert [each["A"].warning_level for each in follow(chain(*levels), POLICY)] == held


def test_level_is_kept_while_its_source_is_unknown() -> None:
    last = follow(chain((1, 1), (20, None), unknown_on=20), POLICY)[-1]["A"]
    assert (last.warning_level, last.level_since, last.change) == (1, date(2025, 6, 1), "unchanged")
    assert last.indicator_codes == ("overdue_days",)


def test_since_peak_and_change_tell_the_episode() -> None:
    held = [each["A"] for each in follow(chain((1, 3), (2, 1), (12, 2), (13, 2), (25, None), (26, 3)), POLICY)]
    told = [(each.change, each.peak_level, each.level_since and each.level_since.day) for each in held]
    ended = (None, None, None)
    assert told == [("new", 3, 1), ("escalated", 1, 2), ("eased", 1, 12), ("unchanged", 1, 12), ended, ("new", 3, 26)]


SMALL = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@SMALL
@given(histories(with_intraday=True, with_orphans=True))
def test_nothing_after_the_cutoff_changes_the_run(history: History) -> None:
    seen = {
        data_set: [
            {
                column: None if column != "customer_since" and _lies_ahead(value, column, history.moment) else value
                for column, value in record.items()
            }
            for record in records
            if not _lies_ahead(record.get(happened := HAPPENED.get(data_set, "")), happened, history.moment)
        ]
        for data_set, records in history.world.items()
    }
    assert judge(seen, history.moment, POLICY) == judge(history.world, history.moment, POLICY)


HAPPENED = {
    "sales.orders": "ordered_at",
    "finance.invoices": "issued_on",
    "finance.payments": "paid_on",
    "service.tickets": "opened_at",
    "service.surveys": "answered_at",
    "sales.returns": "returned_at",
    "sales.interactions": "occurred_at",
    "sales.competitor_signals": "observed_on",
    "sales.policy_signals": "observed_on",
    "finance.credit_terms": "valid_from",
    "model.churn_scores": "scored_on",
    "credit.scores": "scored_on",
    "handling.actions": "taken_at",
}


def _lies_ahead(value: object, column: str, moment: Moment) -> bool:
    """Whether a value is a moment or date after the cut-off; a due or follow-up date or a policy's may be."""
    return (
        isinstance(value, date)
        and column not in {"due_on", "effective_on", "follow_up_on"}
        and not moment.has_seen(value)
    )


@SMALL
@given(histories())
def test_results_keep_their_promises(history: History) -> None:
    runs = [judge(history.world, moment, POLICY) for moment in history.moments]
    for run, held in zip(runs, follow(runs, POLICY), strict=True):
        for customer_id, customer in run.customers.items():
            assert customer.is_judged == (customer_id in held) == bool(customer.indicators)
            assert customer.state != "active" or set(customer.indicators) == set(POLICY.indicators)
            for result in customer.indicators.values():
                assert (result.state == "unknown") == (result.unknown_reason is not None) == (result.value is None)
            if customer.is_judged and customer.finding.raw_level:
                level = held[customer_id].warning_level
                assert level is not None
                assert level <= customer.finding.raw_level


@SMALL
@given(histories())
def test_order_of_rows_does_not_matter(history: History) -> None:
    backwards = {data_set: records[::-1] for data_set, records in history.world.items()}
    there, back = (judge(rows, history.moment, POLICY).customers for rows in (history.world, backwards))
    assert dict(there) == dict(back)
