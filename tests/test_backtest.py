"""The back-test: past days judged as they were, scored by what became of the customers, the future unseen."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from math import floor
from pathlib import Path
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from early_warning.backtest import _rows, month_ends, score, week_ends
from early_warning.backtest.replay import replay
from early_warning.backtest.report import verdict
from early_warning.embedded.postgres import running_postgres
from early_warning.runs import Moment
from early_warning.settings import PROJECT
from early_warning.warehouse import Connection, Warehouse
from homes import Answer, Home, Rows, made_once

PAST, LATER, NEWEST = date(2026, 3, 31), date(2026, 4, 30), date(2026, 6, 30)
IN_THE_MONTH = date(2026, 5, 17)  # after LATER's month has ended, before another has
HORIZON = 90  # days; of PAST they are just over on NEWEST
LEVELS = {"1": (1, 1), "2": (2, 2), "3": (3, 3), "none": (4, 4), "1-2": (1, 2), "1-3": (1, 3)}


def backtest(home: Home, day: date, *words: str) -> Answer:
    answer = home.command("backtest", "--from", f"{day:%Y-%m}", "--to", f"{day:%Y-%m}", *words)
    assert answer.code == 0, answer.stderr
    return answer


def replayed(home: Home, day: date) -> Rows:
    return home.rows(
        "select customers.* from ops.replayed_customer as customers join ops.replay using (run_id)"
        " where as_of_date = %s order by customer_id, run_id",
        day,
    )


@pytest.fixture(scope="session")
def tried(first_day: Home) -> Home:
    """A home with one published day whose policy was tried on that day and on two of the past. Only to be read."""

    def make(folder: Path) -> None:
        home = first_day.copy(folder / "home")
        past = home.command("backtest", "--from", f"{PAST:%Y-%m}", "--to", f"{LATER:%Y-%m}", "--json")
        assert past.code == 0, past.stderr
        (folder / f"{PAST}.json").write_text(past.stdout)
        (folder / f"{NEWEST}.json").write_text(backtest(home, NEWEST, "--json").stdout)

    return Home(made_once("tried", make) / "home", first_day.company)


def told(tried: Home, day: date) -> Any:
    return json.loads((tried.folder.parent / f"{day}.json").read_text())


JANUARY, FEBRUARY = date(2026, 1, 31), date(2026, 2, 28)

# customer, day, level, rules, indicators, silence, gap, last order, revenue, baseline, money, owner. Of a month ahead.
JUDGED = (
    ("A", JANUARY, 1, ["quiet"], ["order_amount"], 100, 10, date(2025, 10, 23), 1000, None, 300, "Li"),
    ("B", JANUARY, 4, [], [], 20, 20, date(2026, 1, 11), 500, 100, 200, "Li"),
    ("C", JANUARY, 4, [], [], 30, 15, date(2026, 1, 1), 200, None, 50, "Wu"),
    ("A", FEBRUARY, 1, ["loud", "quiet"], ["order_amount"], 128, 10, date(2025, 10, 23), 1000, None, 300, "Li"),
    ("B", FEBRUARY, 2, ["loud"], [], 18, 20, date(2026, 2, 10), 500, 100, 200, "Li"),
    ("C", FEBRUARY, 4, ["service_fluctuation"], ["satisfaction"], 28, 15, date(2026, 1, 31), 200, None, 50, "Wu"),
)
ORDERED = (("B", date(2026, 2, 10), 100), ("B", date(2026, 3, 5), 5), ("C", date(2026, 2, 5), 30))
"""A never orders again; B orders, then for less than a fifth of its usual; C is lost in February only."""


@pytest.fixture
def scored(warehouse: Warehouse) -> Iterator[Connection]:
    """Two days judged by hand, and what the three customers ordered after them, scored 30 days ahead."""
    with warehouse.connect() as connection:
        for number, day in enumerate((JANUARY, FEBRUARY), start=1):
            connection.execute(
                "insert into ops.replay (run_id, as_of_date, as_of_at, company_time_zone, policy_hash,"
                " through_batch_id, batches, stale_data_sets, project) overriding system value"
                " values (%s, %s, now(), 'UTC', 'hash', 1, 1, '{}', '')",
                (number, day),
            )
        for customer, day, level, rules, codes, silence, gap, last_on, revenue, baseline, money, owner in JUDGED:
            connection.execute(
                "insert into ops.replayed_customer values (%s, (select run_id from ops.replay where as_of_date = %s),"
                " nullif(%s, 4), %s, %s, %s, %s, %s, 3, %s, 180.5, %s, %s, %s, 'name', null, %s)",
                (customer, day, level, level, rules, codes, silence, gap, last_on, revenue, baseline, money, owner),
            )
        connection.execute("create schema staging")
        connection.execute(
            "create table staging.base_sales__orders (customer_id text, ordered_on date, amount numeric,"
            " cancelled_at timestamptz, _is_deleted boolean default false)"
        )
        for order in ORDERED:
            connection.execute("insert into staging.base_sales__orders values (%s, %s, %s)", order)
        score(connection, [1, 2], [1, 2], 30)
        yield connection


def test_cells_tell_fates_and_ranks(scored: Connection) -> None:
    january, february = _rows(scored, "cells")
    assert (january["judged"], january["churned"], january["revenue_lost"]) == (3, 1, 1000)
    assert (january["recency_auc"], january["policy_auc"]) == (1, 1)
    assert (february["churned"], february["revenue_lost"]) == (3, 1700)
    assert (february["recency_auc"], february["policy_auc"]) == (None, None)  # nobody was kept to compare with
    assert (january["silent_90"], january["silent_90_lost"]) == (1, 1)
    leads = scored.execute("select customer_id, lead_days from scored where as_of_date = %s order by 1", (FEBRUARY,))
    # of A: 23 October and 181 days is 22 April; of B the last order lies ahead
    assert leads.fetchall() == [("A", 53), ("B", 186), ("C", 153)]


def test_groups_stand_beside_as_many_silent_for_longest_and_as_many_dearest(scored: Connection) -> None:
    groups = {(row["as_of_date"], row["name"]): row for row in _rows(scored, "groups")}
    both = groups[FEBRUARY, "1-2"]
    assert (both["warned"], both["lost"], both["revenue"]) == (2, 2, 1500)
    assert (both["recency_lost"], both["recency_revenue"], both["dear_revenue"]) == (2, 1200, 1500)
    assert (both["lead_days"], both["recency_lead_days"]) == (119.5, 103)
    nobody = groups[JANUARY, "2"]
    assert (nobody["warned"], nobody["lost"], nobody["recency_lost"], nobody["lead_days"]) == (0, 0, 0, None)


def test_errors_count_customers_not_days(scored: Connection) -> None:
    errors = {row["name"]: row for row in _rows(scored, "errors")}
    # without a level: B once and kept, C twice and lost once; 1/3 of 3, residuals ∓1/3, two customers
    assert errors["none"]["share"] == pytest.approx(1 / 3)
    assert errors["none"]["share_error"] == pytest.approx((2 * 2 / 9) ** 0.5 / 3)
    assert (errors["1"]["share"], errors["1"]["share_error"], errors["1"]["customers"]) == (1, None, 1)
    assert errors["3"]["share"] is None


def test_parts_and_pace_count_what_was_told(scored: Connection) -> None:
    parts = {(row["kind"], row["name"]): (row["warned"], row["lost"]) for row in _rows(scored, "parts")}
    assert parts == {
        ("rule", "quiet"): (2, 2),
        ("rule", "loud"): (2, 2),
        ("rule", "service_fluctuation"): (1, 1),
        ("indicator", "order_amount"): (2, 2),
        ("indicator", "satisfaction"): (1, 1),
        ("segment", "–"): (3, 3),
    }
    [pace] = _rows(scored, "pace")
    assert (float(pace["raised"]), float(pace["false_alarms"])) == (7 / 56, 0)  # B, for two owners in 28 days


def test_another_policy_is_held_against_the_same_truth(scored: Connection) -> None:
    scored.execute(
        "insert into ops.replay (run_id, as_of_date, as_of_at, company_time_zone, policy_hash, through_batch_id,"
        " batches, stale_data_sets, project) overriding system value"
        " values (3, %s, now(), 'UTC', 'other', 1, 1, '{}', '')",
        (FEBRUARY,),
    )
    scored.execute(  # the trial knows no baseline of B, and takes A for lapsed
        "insert into ops.replayed_customer select customer_id, 3, 3, 3, '{other}', '{}', silence_days, usual_gap_days,"
        " order_days, last_ordered_on, inactivity_limit_days, revenue_12m_amount, null, 0, customer_name, segment,"
        " owner_name from ops.replayed_customer where run_id = 2 and customer_id <> 'A'"
    )
    scored.execute("drop table scored, placed")
    score(scored, [3], [2], 30)
    [february] = _rows(scored, "cells")
    assert (february["judged"], february["churned"]) == (3, 3)
    differences = {row["customer_id"]: row for row in _rows(scored, "differences", run_ids=[3], before=[2])}
    told = {name: (row["level_before"], row["level"], row["is_lost"]) for name, row in differences.items()}
    assert told == {"A": (1, None, True), "B": (2, 3, True), "C": (None, 3, True)}


def test_nothing_to_score_is_no_error(scored: Connection) -> None:
    scored.execute("drop table scored, placed")
    score(scored, [], [], 30)
    assert [_rows(scored, name) for name in ("cells", "groups", "errors", "parts")] == [[], [], [], []]
    assert _rows(scored, "pace") == [{"raised": None, "false_alarms": None}]


@pytest.mark.slow
def test_published_day_is_judged_as_it_was_published(tried: Home) -> None:
    query = (
        "select customer_id, raw_level, rule_codes, money_at_risk_amount from marts.fct_customer_levels"
        " join marts.dim_customers using (customer_id, run_id) where state = 'active' order by customer_id"
    )
    published = tried.rows(query)
    assert [{name: row[name] for name in published[0]} for row in replayed(tried, NEWEST)] == published
    assert {row["raw_level"] for row in published} == {1, 2, 3, None}
    assert (told(tried, NEWEST)["knowledge"], told(tried, PAST)["knowledge"]) == ("landing times", "business dates")
    assert told(tried, NEWEST)["cells"] == []  # nobody knows yet what comes of it


def judged_by_hand(home: Home) -> Rows:
    """The customers of PAST with level and fate, from what they ordered afterwards."""
    ordered = home.rows(
        "select customer_id, sum(amount) as amount, max(ordered_on) as last_on from staging.stg_sales__orders"
        " where not is_cancelled and ordered_on > %s and ordered_on <= %s group by customer_id",
        *(PAST, PAST + timedelta(days=HORIZON)),
    )
    ahead = {row["customer_id"]: row for row in ordered}
    customers = replayed(home, PAST)
    for customer in customers:
        orders = ahead.get(customer["customer_id"], {"amount": None, "last_on": customer["last_ordered_on"]})
        least = Decimal("0.2") * HORIZON * 12 / Decimal("365.25") * (customer["baseline_amount"] or 0)
        customer["is_lost"] = orders["amount"] is None or orders["amount"] < least
        lapse = orders["last_on"] + timedelta(days=floor(customer["inactivity_limit_days"]) + 1)
        customer["lead_days"] = (lapse - PAST).days
        is_told_apart = customer["rule_codes"] == ["service_fluctuation"]
        customer["level"] = 4 if is_told_apart else customer["raw_level"] or 4
    return customers


def share(rows: Rows) -> float | None:
    return sum(row["is_lost"] for row in rows) / len(rows) if rows else None


def caught(rows: Rows, everybody: Rows) -> float:
    lost = [row["revenue_12m_amount"] for row in rows if row["is_lost"]]
    return float(sum(lost) / sum(row["revenue_12m_amount"] for row in everybody if row["is_lost"]))


@pytest.mark.slow
def test_scores_are_those_counted_by_hand(tried: Home) -> None:
    everybody = judged_by_hand(tried)
    lost = sum(row["is_lost"] for row in everybody)
    [cell] = told(tried, PAST)["cells"]
    assert (cell["judged"], cell["churned"]) == (len(everybody), lost)
    assert 0 < lost < len(everybody)
    by_silence = sorted(everybody, key=lambda row: (-row["silence_days"], row["customer_id"]))
    warned = [row for row in everybody if row["level"] < 4]
    by_money = sorted(warned, key=lambda row: (-row["money_at_risk_amount"], row["customer_id"]))
    assert {row["level"] for row in everybody} >= {2, 3, 4}
    for name, (gravest, mildest) in LEVELS.items():
        group = [row for row in everybody if gravest <= row["level"] <= mildest]
        scores = cell["levels" if name in cell["levels"] else "cumulative"][name]
        assert scores["warned"] == len(group)
        if not group:
            assert scores["precision"] is None
            continue
        assert scores["precision"] == pytest.approx(share(group))
        assert scores["recall"] == pytest.approx(sum(row["is_lost"] for row in group) / lost)
        if name in cell["same_count"]:
            compared = cell["same_count"][name]
            assert compared["recency"]["precision"] == pytest.approx(share(by_silence[: len(group)]))
            assert compared["recency"]["revenue_caught"] == pytest.approx(caught(by_silence[: len(group)], everybody))
            assert compared["policy"]["revenue_caught"] == pytest.approx(caught(group, everybody))
            assert compared["policy"]["revenue_caught_by_money_at_risk"] == pytest.approx(
                caught(by_money[: len(group)], everybody)
            )
    silent = [row for row in everybody if row["silence_days"] > 90]
    assert (cell["silent_90_days"]["warned"], cell["silent_90_days"]["precision"]) == (len(silent), share(silent))
    leads = [row["lead_days"] for row in warned if row["is_lost"]]
    assert cell["lead_days_median"]["policy"] == pytest.approx(median(leads))


def pairs_in_order(rows: Rows, *ranks: str) -> float:
    """Of all pairs of a lost and a kept customer, how many have the lost one first; a tie is half of one."""
    keys = [(tuple(row[rank] for rank in ranks), row["is_lost"]) for row in rows]
    lost, kept = ([key for key, is_lost in keys if is_lost is which] for which in (True, False))
    return sum((one > other) + (one == other) / 2 for one in lost for other in kept) / (len(lost) * len(kept))


@pytest.mark.slow
def test_area_under_the_curve_is_the_share_of_pairs_in_order(tried: Home) -> None:
    everybody = judged_by_hand(tried)
    for row in everybody:
        row["mildness"] = -row["level"]
        row["quiet_days"] = (row["silence_days"] + row["usual_gap_days"]) / Decimal(row["order_days"]).sqrt()
    [cell] = told(tried, PAST)["cells"]
    assert cell["auc"]["recency"] == pytest.approx(pairs_in_order(everybody, "silence_days"))
    assert cell["auc"]["policy"] == pytest.approx(pairs_in_order(everybody, "mildness", "quiet_days"))


_FUTURE = (
    "update landing.sales_orders set amount = amount * 100 where ordered_at >= %(at)s",
    "update landing.sales_orders set fulfilled_at = null where fulfilled_at >= %(at)s",
    "update landing.sales_orders set cancelled_at = null, cancelled_by = null where cancelled_at >= %(at)s",
    "delete from landing.finance_payments where paid_on > %(day)s",
    "update landing.finance_invoices set amount = amount * 100 where issued_on > %(day)s",
    "update landing.service_tickets set kind = 'complaint' where opened_at >= %(at)s",
    "update landing.service_tickets set first_responded_at = null where first_responded_at >= %(at)s",
    "update landing.service_surveys set score = scale_min where answered_at >= %(at)s",
    "delete from landing.sales_interactions where occurred_at >= %(at)s",
    "delete from landing.sales_returns where returned_at >= %(at)s",
)
"""Other facts than came: dear orders, nothing delivered or paid, everybody complains, all of it after LATER."""


@pytest.mark.slow
def test_facts_of_the_future_change_no_past_score(tried: Home, home: Home) -> None:
    before = replayed(tried, LATER)  # on base tables that PAST was judged from before
    with running_postgres(home.folder) as warehouse, warehouse.connect() as connection:
        for statement in _FUTURE:
            changed = connection.execute(
                statement.encode(), {"at": f"{LATER + timedelta(days=1)} 00:00+08:00", "day": LATER}
            )
            assert changed.rowcount > 0, statement
    backtest(home, LATER, "--json")
    after = replayed(home, LATER)
    assert {row.pop("run_id") for row in before} != set() != {row.pop("run_id") for row in after}
    assert after == before


def figures(rows: Rows) -> Rows:
    return [{name: value for name, value in row.items() if name != "run_id"} for row in rows]


@pytest.mark.slow
def test_days_judged_one_after_another_are_as_judged_alone(
    tried: Home, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARLY_WARNING_HOME", str(home.folder))
    alone = {NEWEST: figures(replayed(tried, NEWEST))}
    with running_postgres(home.folder) as warehouse:
        [policy] = warehouse.rows("select policy_hash from ops.run")

        def judge(*days: date) -> dict[date, Rows]:
            moments = [Moment.of_day(day, ZoneInfo("Asia/Shanghai")) for day in days]
            replay(warehouse, [policy["policy_hash"]], moments, lambda line: None)
            return {day: figures(replayed(home, day)) for day in days}

        after_another = judge(LATER, IN_THE_MONTH, NEWEST)
        alone[LATER] = after_another.pop(LATER)  # the first is from scratch; in `tried` it came after PAST
        after_another[LATER] = figures(replayed(tried, LATER))
        warehouse.execute(
            "update ops.replay set project = '' where as_of_date = %s", IN_THE_MONTH
        )  # so it is forgotten
        alone |= judge(IN_THE_MONTH)
    assert after_another == alone
    assert alone[LATER] != alone[IN_THE_MONTH] != alone[NEWEST]


@pytest.mark.slow
def test_changed_threshold_tells_whom_it_adds_and_drops(tried: Home, home: Home, tmp_path: Path) -> None:
    trial = tmp_path / "policy"
    shutil.copytree(PROJECT / "company" / "policy", trial)
    rules = trial / "level_conditions.csv"
    text = rules.read_text(encoding="utf-8")
    assert "silent_beyond_twice_own_rhythm,days_since_last_order,silence_days,>,165" in text
    rules.write_text(text.replace("silence_days,>,165", "silence_days,>,100"), encoding="utf-8")
    caps = trial / "hysteresis_and_budget.csv"  # else some of the many at level 1 would drop out again
    caps.write_text(caps.read_text(encoding="utf-8").replace("level_1_cap,0.04", "level_1_cap,1"), encoding="utf-8")
    answer = backtest(home, PAST, "--policy", str(trial), "--json").json
    graver = [row for row in answer["differences"] if row["level"] == 1]
    known = {row["customer_id"]: row for row in judged_by_hand(tried)}
    expected = {
        customer
        for customer, row in known.items()
        if row["silence_days"] > max(100, 2 * row["usual_gap_days"]) and row["raw_level"] != 1
    }
    assert {row["customer_id"] for row in graver} == expected != set()
    assert len(answer["differences"]) == len(graver)
    assert all(row["is_lost"] == known[row["customer_id"]]["is_lost"] for row in graver)
    in_force = max(row["run_id"] for row in replayed(home, PAST))  # judged after the trial, on from it
    assert figures([row for row in replayed(home, PAST) if row["run_id"] == in_force]) == figures(replayed(tried, PAST))
    replays = home.rows("select count(*) as days from ops.replay")
    screen = backtest(home, PAST, "--policy", str(trial)).stdout
    assert home.rows("select count(*) as days from ops.replay") == replays  # a second look judges nothing anew
    assert f"gives {len(graver)} customers a graver level" in screen
    assert "adds 0 warnings of any level" in screen
    assert "silent_beyond_twice_own_rhythm.days_since_last_order.silence_days.> value 165 → 100" in screen
    assert "of those warned at levels 1 and 2" in screen
    assert f"{graver[0]['customer_id']} {graver[0]['customer_name']}: level" in screen
    assert home.rows("select nspname from pg_namespace where nspname like 'replay%%'") == []
    assert home.rows("select count(*) as runs from bi.runs") == [{"runs": 1}]


@pytest.mark.parametrize(
    ("precision", "recall", "word"),
    [
        ((0.02, 0.15), (0.03, 0.09), "Better"),
        ((0.02, 0.15), (-0.03, 0.02), "Better"),
        ((-0.01, 0.05), (0.03, 0.09), "Better"),
        ((-0.05, 0.01), (0.03, 0.09), "Mixed"),  # more are warned, none more surely
        ((-0.03, 0.03), (0.03, 0.09), "Mixed"),
        ((0.02, 0.15), (-0.09, -0.03), "Mixed"),
        ((-0.15, -0.02), (0.03, 0.09), "Mixed"),
        ((-0.15, -0.02), (-0.02, 0.03), "Worse"),
        ((-0.01, 0.05), (-0.09, -0.03), "Worse"),
        ((0.0, 0.15), (-0.01, 0.0), "No clear difference"),
        ((-0.15, 0.0), (0.0, 0.09), "No clear difference"),
        ((None, None), (None, None), "No clear difference"),
    ],
)
def test_verdict_goes_by_the_intervals_that_leave_zero_out(
    precision: tuple[float | None, float | None], recall: tuple[float | None, float | None], word: str
) -> None:
    effect = {
        name: {
            "before": 0.4,
            "after": 0.5,
            "difference": None if low is None or high is None else (low + high) / 2,
            "low": low,
            "high": high,
        }
        for name, (low, high) in {"precision": precision, "recall": recall, "warnings_a_day": (20.0, 40.0)}.items()
    }
    first, _ = verdict(effect)
    assert first.startswith(f"  {word}: of those warned at levels 1 and 2 40.0% → 50.0% were lost")


def test_verdict_tells_the_figures_with_their_intervals() -> None:
    effect = {
        "precision": {"before": 0.47, "after": 0.56, "difference": 0.09, "low": 0.02, "high": 0.15},
        "recall": {"before": 0.33, "after": 0.39, "difference": 0.06, "low": 0.03, "high": 0.09},
        "warnings_a_day": {"before": 98.2, "after": 99.1, "difference": 0.9, "low": -2.0, "high": 4.0},
    }
    assert [*verdict(effect)] == [
        "  Better: of those warned at levels 1 and 2 47.0% → 56.0% were lost (+2.0 to +15.0 points),",
        "  33.0% → 39.0% of the lost were warned of (+3.0 to +9.0), 98 → 99 customers a day at these levels.",
    ]


@pytest.mark.slow
def test_days_that_no_run_has_reached_are_left_out(tried: Home) -> None:
    answer = backtest(tried, date(2026, 8, 31))
    assert "None of these days has been reached by a published run" in answer.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "2026-05", "--to", "2026-04"), "--to lies before --from"),
        (("--from", "2026-05", "--to", "2026-05", "--policy", "nowhere"), "indicators.csv"),
        (("--from", "2026", "--to", "2026-05"), "--from"),
    ],
)
def test_what_makes_no_sense_is_refused(tried: Home, words: tuple[str, ...], said: str) -> None:
    answer = tried.command("backtest", *words)
    assert answer.code == 2
    assert said in answer.stderr


def test_days_are_ends_of_months_or_weeks() -> None:
    assert month_ends(date(2027, 12, 1), date(2028, 2, 1)) == [date(2027, 12, 31), date(2028, 1, 31), date(2028, 2, 29)]
    weeks = week_ends(date(2026, 6, 1), date(2026, 6, 1))
    assert weeks == [date(2026, 6, 7), date(2026, 6, 14), date(2026, 6, 21), date(2026, 6, 28)]
