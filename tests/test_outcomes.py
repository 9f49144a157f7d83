"""What became of those who were warned of, and of those nobody warned of: counted by hand, and by the oracle.

A company of few customers that buy for 100 a month is judged on five days with long gaps between them, one of them
twice. What is usual in the 90 days of the horizon: 100 × 12 ÷ 365.25 × 90 = 295.687885.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from early_warning.warehouse import Warehouse
from histories import SHANGHAI
from judged_by_sql import POLICY, chain_differences, judge_by_sql, kpi_differences, land, read_run
from oracle import Moment, Policy, judge
from oracle.world import row

FIRST, SECOND, HORIZON = date(2025, 1, 31), date(2025, 3, 15), date(2025, 5, 1)
"""The third day is the last one of the horizon of the first."""
STALE, LAST = date(2025, 9, 29), date(2025, 9, 30)
"""On one of them the newest orders are too old to judge by."""

UPGRADE = "update marts.fct_warning_cases set first_handled_at = null, was_handled_in_time = null where not was_handled"
"""Makes the cases those of an earlier version, which did not keep what was done first."""
SHORTER = "update marts.fct_warning_outcomes set recovery_on = recovery_on - 10 where customer_id = 'Owing'"
"""Makes the warning one that was settled while recovery_days was 80; the oracle knows one policy only."""

World = dict[str, list[dict[str, Any]]]


def at(day: str) -> datetime:
    """Ten in the morning in Shanghai."""
    return datetime.fromisoformat(f"{day}T02:00").replace(tzinfo=UTC)


@dataclass
class Story:
    """Writes the company, a customer at a time; every one orders for 100 on the tenth of a month from June 2024 on."""

    world: World

    def customer(self, name: str, owner: str, until: str, *, due: str = "", paid: str = "") -> None:
        """A customer with its last usual order, and a debt of 50, if any, from the day it is due until it is paid."""
        self.add("sales.customers", customer_id=name, name=name, owner_email=owner, segment=owner[0])
        month = "2024-06"
        while f"{month}-10" <= until:
            self.order(name, f"{month}-10", 100)
            month = f"{int(month[:4]) + (month[5:] == '12')}-{int(month[5:]) % 12 + 1:02}"
        if due:
            issued = date.fromisoformat("2024-07-01")
            debt = {"customer_id": name, "issued_on": issued, "due_on": date.fromisoformat(due), "amount": Decimal(50)}
            self.add("finance.invoices", invoice_id=f"I {name}", **debt)
        if paid:
            payment = {"customer_id": name, "invoice_id": f"I {name}", "paid_on": date.fromisoformat(paid)}
            self.add("finance.payments", payment_id=f"P {name}", amount=Decimal(50), **payment)

    def order(self, name: str, day: str, amount: str | int, cancelled: str = "") -> None:
        cancelled_at = at(cancelled) if cancelled else None
        values = {"ordered_at": at(day), "amount": Decimal(amount), "cancelled_at": cancelled_at}
        self.add("sales.orders", order_id=f"{name} {day}", customer_id=name, **values)

    def act(self, name: str, day: str, outcome: str = "contacted") -> None:
        values = {"taken_at": at(day), "department": "finance", "actor": "Lin", "outcome": outcome}
        self.add("handling.actions", action_id=f"{name} {day} {outcome}", customer_id=name, **values)

    def add(self, data_set: str, **values: Any) -> None:
        self.world.setdefault(data_set, []).append(row(data_set, **values))


def story() -> World:
    """Debts that are 42 days old open warnings of level 3 on the first day; who pays them is cleared by the second."""
    told = Story({})
    due, paid = "2024-12-20", "2025-02-20"
    told.customer("Gone", "lin@example.com", "2025-01-10", due=due, paid=paid)
    told.order("Gone", "2025-01-31", 10)  # on the day judged: before the horizon
    told.order("Gone", "2025-05-02", 900)  # a day too late
    told.customer("Thin", "lin@example.com", "2025-01-10", due=due, paid=paid)
    told.order("Thin", "2025-02-11", 59)  # of 59.137577
    told.act("Thin", "2025-02-08")  # the deadline is 168 hours after the midnight after 31 January
    told.customer("Enough", "lin@example.com", "2025-01-10", due=due, paid=paid)
    told.order("Enough", "2025-05-01", 60)  # on the last day
    told.customer("Cancelled", "wu@example.com", "2025-01-10", due=due, paid=paid)
    told.order("Cancelled", "2025-02-10", 300, cancelled="2025-03-20")
    told.customer("Saved", "wu@example.com", "2025-09-10", due=due, paid=paid)
    told.act("Saved", "2025-02-01", "note")  # handles nothing
    told.act("Saved", "2025-02-03")
    told.customer("Owing", "wu@example.com", "2025-06-10", due=due)
    told.act("Owing", "2025-05-01")  # on the last day of the horizon; 200 in the 90 days after it
    told.customer("Lapsed", "wu@example.com", "2024-07-10", due=due)
    told.customer("Silent", "lin@example.com", "2025-01-10")  # nobody warns of it on the first day
    told.act("Silent", "2025-05-02")  # its case is closed on the stale day, as churned
    told.customer("Loyal", "lin@example.com", "2025-09-10")
    told.customer("Second", "lin@example.com", "2025-03-10", due="2025-02-01", paid="2025-03-20")
    told.customer("Newcomer", "wu@example.com", "2025-09-10", due="2025-08-20")
    return told.world


@dataclass(frozen=True)
class Judged:
    """A warehouse after the last day; what readers saw on the third day, and the same when it was judged again."""

    warehouse: Warehouse
    differences: list[str]
    on_horizon: list[dict[str, Any]]
    on_horizon_again: list[dict[str, Any]]
    settled: list[int]
    """How many warnings each run settled."""

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Rows that a reader sees."""
        with psycopg.connect(self.warehouse.reader_dsn, row_factory=psycopg.rows.dict_row) as reader:
            return reader.execute(query).fetchall()

    def outcomes(self, opened_on: date) -> dict[str, dict[str, Any]]:
        return {
            each["customer_id"]: each
            for each in self.rows("select * from bi.warning_outcomes")
            if each["opened_on"] == opened_on
        }


@pytest.fixture(scope="module")
def judged(postgres: Any) -> Iterator[Judged]:
    warehouse, world, policy = postgres.create(), story(), Policy.read(POLICY)
    land(warehouse, world, SHANGHAI)
    chain, found, seen = [], [], []
    settled = []
    for day in (FIRST, SECOND, HORIZON, HORIZON, STALE, LAST):
        if HORIZON in (run.as_of_date for run in chain):
            warehouse.execute(UPGRADE)
        if day == STALE:
            warehouse.execute(SHORTER)
        moment, stale = Moment.midnight_after(day, SHANGHAI), ["sales.orders"] if day == STALE else []
        run_id = judge_by_sql(warehouse, moment, SHANGHAI, stale)
        settled.append(len(read_run(warehouse, run_id)["outcomes"]))
        chain = [*(run for run in chain if run.as_of_date < day), judge(world, moment, policy, stale)]
        found += [f"{day}: {line}" for line in chain_differences(warehouse, run_id, chain, policy)]
        found += [f"{day}: {line}" for line in kpi_differences(warehouse, chain, policy)]
        if day == HORIZON:
            seen.append(
                warehouse.rows(
                    "select customer_id, case_id, outcome, is_matured, lead_days, handled_at, is_handled_in_time"
                    " from bi.warning_outcomes order by customer_id, case_id"
                )
            )
    yield Judged(warehouse, found, *seen, settled)
    postgres.drop(warehouse)


pytestmark = pytest.mark.slow


def test_every_figure_of_every_day_is_the_oracles(judged: Judged) -> None:
    assert [line for line in judged.differences if "recoveries ('Owing'" not in line] == []


def test_outcomes_match_what_was_counted_by_hand(judged: Judged) -> None:
    told = judged.outcomes(FIRST)
    assert {name: (each["outcome"], each["is_churned"]) for name, each in told.items()} == {
        "Gone": ("churned", True),
        "Thin": ("churned", True),
        "Cancelled": ("churned", True),
        "Enough": ("cleared", False),
        "Saved": ("recovered", False),
        "Owing": ("open", False),
        "Lapsed": ("open", None),
    }
    assert {each["warning_level"] for each in told.values()} == {3}
    assert (told["Thin"]["ordered_amount"], told["Thin"]["collapsed_amount"]) == (59, Decimal("59.137577"))
    # the last order day in the horizon, or before it, + 180 days + 1
    leads = {name: each["lead_days"] for name, each in told.items() if each["lead_days"] is not None}
    assert leads == {"Gone": 181, "Thin": 11 + 181, "Cancelled": -21 + 181}
    handled = {name: each["is_handled_in_time"] for name, each in told.items() if each["handled_at"]}
    assert handled == {"Thin": False, "Saved": True, "Owing": False}
    won_back = {name: each["is_won_back"] for name, each in told.items() if each["is_won_back"] is not None}
    assert won_back == {"Thin": False, "Saved": True, "Owing": False}


def test_customer_is_won_back_by_the_days_looked_at_when_recovery_days_changed_since(judged: Judged) -> None:
    [owing] = judged.warehouse.rows("select * from marts.fct_warning_recoveries where customer_id = 'Owing'")
    assert (owing["handled_on"], owing["recovery_on"]) == (HORIZON, date(2025, 7, 20))
    # 80 % of 100 × 12 ÷ 365.25 × 80, and the orders of May and June
    assert (owing["recovered_amount"], owing["ordered_amount"]) == (Decimal("210.266940"), 200)


def test_first_handling_is_known_of_a_case_that_an_earlier_version_closed(judged: Judged) -> None:
    handled = judged.rows("select customer_id, first_handled_at, was_handled_in_time from bi.cases where was_handled")
    told = {each["customer_id"]: (each["first_handled_at"], each["was_handled_in_time"]) for each in handled}
    assert told["Saved"] == (at("2025-02-03"), True)
    assert told["Thin"] == (at("2025-02-08"), False)
    assert told["Silent"][0] == at("2025-05-02")


def test_open_warning_opened_twice_in_a_day_is_shown_once_by_the_newest_horizon(judged: Judged) -> None:
    query = "select horizon_on from bi.warning_outcomes where customer_id = 'Newcomer'"
    with judged.warehouse.connect() as connection:
        assert connection.execute(query).fetchall() == [(STALE + timedelta(days=90),)]
        connection.execute("update marts.fct_warning_cases set event = 'opened' where customer_id = 'Newcomer'")
        connection.execute(
            "with longer as (insert into policy.policy (policy_hash) values ('longer') returning policy_hash),"
            " horizon as (insert into policy.outcomes select policy_hash, 'horizon_days', 120 from longer)"
            " update ops.run set policy_hash = 'longer' where as_of_date = %s",
            (LAST,),
        )
        assert connection.execute(query).fetchall() == [(STALE + timedelta(days=120),)]
        connection.rollback()


def test_figures_of_a_month_match_what_was_counted_by_hand(judged: Judged) -> None:
    [january] = judged.rows("select * from bi.warning_kpis where month = '2025-01-01' and dimension = 'all'")
    counts = {name.removesuffix("_count"): value for name, value in january.items() if name.endswith("_count")}
    assert counts == {
        **{"warning": 7, "warned": 7, "warned_active": 6, "churned": 3, "handled": 3, "handled_in_time": 1},
        **{"won_back": 1, "matured_warning": 7, "matured": 6, "false_alarm_warning": 2, "lost": 4, "caught": 3},
    }
    ratios = {name.removesuffix("_ratio"): value for name, value in january.items() if name.endswith("_ratio")}
    assert ratios == {
        "accuracy": Decimal("0.5"),
        "timely_handling": Decimal("0.142857"),
        "win_back": Decimal("0.142857"),
        "matured_accuracy": Decimal("0.5"),
        "adjusted_accuracy": Decimal("0.666667"),
        "handled_churn": Decimal("0.333333"),
        "unhandled_churn": Decimal("0.666667"),
        "recall": Decimal("0.75"),
    }
    assert january["lead_days_median"] == 181
    assert january["false_alarms_per_owner_week"] == Decimal("0.225806")  # 2 of 2 owners in 31 days

    [september] = judged.rows("select * from bi.warning_kpis where month = '2025-09-01' and dimension = 'all'")
    assert (september["warned_count"], september["matured_count"], september["accuracy_ratio"]) == (1, 0, 0)
    assert september["matured_accuracy_ratio"] is september["recall_ratio"] is None


def test_missed_customer_is_listed_with_the_indicator_that_was_nearest(judged: Judged) -> None:
    [silent] = judged.rows("select * from bi.missed_churn where active_on = '2025-01-31'")
    assert (silent["customer_id"], silent["revenue_12m_amount"]) == ("Silent", 800)
    # a mean order of 100 where below 60 is serious; 21 days of silence of 90, 100 a month where below 40 is serious
    near = ("average_order_value", Decimal(100), Decimal(60), Decimal("0.6"))
    assert tuple(silent[f"nearest_{name}"] for name in ("indicator_code", "value", "threshold")) == near[:3]
    assert silent["nearness"] == near[3]


def test_company_health_matches_what_was_counted_by_hand(judged: Judged) -> None:
    january, march, may, september = judged.rows(
        "select * from bi.company_health where dimension = 'all' order by month"
    )
    assert (january["active_count"], january["lapsed_count"], january["churn_ratio"]) == (10, 1, None)
    assert january["compared_on"] is None
    assert [each["compared_on"] for each in (march, may, september)] == [FIRST, SECOND, HORIZON]
    # 31 January: 6 debts of 50 are 42 days old, one of them of the customer that has lapsed
    assert (january["open_balance_amount"], january["overdue_to_60_amount"]) == (450, 350)
    assert january["as_of_date"] == FIRST
    # between 1 May and 30 September Thin, Cancelled, Silent and Second of ten active ones lapsed
    assert september["newly_lapsed_count"] == 4
    assert september["churn_ratio"] == Decimal("0.4")


def test_day_that_is_judged_again_loses_and_doubles_nothing(judged: Judged) -> None:
    assert judged.on_horizon == judged.on_horizon_again
    assert [each["outcome"] for each in judged.on_horizon if each["is_matured"]].count("churned") == 3
    cases = judged.rows("select count(*) as n, count(distinct case_id) as cases from bi.warning_outcomes")
    assert cases[0]["n"] == cases[0]["cases"] > 8
    lost = judged.rows("select count(*) as n, count(distinct (customer_id, active_on)) as rows from bi.missed_churn")
    assert lost[0]["n"] == lost[0]["rows"]


def test_run_whose_orders_are_too_old_settles_nothing_and_the_next_one_does(judged: Judged) -> None:
    """Else all whose horizon ended while the orders stood still would have churned."""
    *until_horizon, stale, last = judged.settled
    assert until_horizon == [0, 0, 7, 7]
    assert stale == 0
    assert last == len(judged.outcomes(SECOND)) + len(judged.outcomes(HORIZON)) > 1
