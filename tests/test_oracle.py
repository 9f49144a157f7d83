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

from histories import SHANGHAI, History, histories
from oracle import IndicatorResult, Moment, Policy, Run, follow, judge
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
        ("service.surveys", {"satisfaction"}),
        ("service.tickets", {"complaint_rate", "response_time"}),
        ("finance.payments", {"overdue_days", "overdue_ratio"}),
        ("finance.invoices", {"overdue_days", "overdue_ratio"}),
    ],
)
def test_absent_data_set_makes_its_indicators_unknown(absent: str, unknown: set[str]) -> None:
    rows = world(orders=orders(*MONTHLY))
    del rows[absent]
    indicators = judge(rows, MOMENT, POLICY).customers["A"].indicators
    assert {code for code, result in indicators.items() if result.unknown_reason == "no_data"} == unknown


def test_without_orders_everybody_is_a_prospect_judged_on_arrears() -> None:
    rows = world(invoices=[invoice("I1", "2025-06-01", "50")])
    del rows["sales.orders"]
    customer = judge(rows, MOMENT, POLICY).customers["A"]
    assert (customer.state, set(customer.indicators)) == ("prospect", {"overdue_days", "overdue_ratio"})
    assert customer.indicators["overdue_ratio"].unknown_reason == "no_data"


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
        runs.append(Run(date(2025, 6, day), {"A": judged}))
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
}


def _lies_ahead(value: object, column: str, moment: Moment) -> bool:
    """Whether a value is a moment or date after the cut-off; a due date may be."""
    return isinstance(value, date) and column != "due_on" and not moment.has_seen(value)


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
