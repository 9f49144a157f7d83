"""Proposals: found where they are worth it, none on noise, under the budget, the future unseen; ready to be adopted."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from early_warning import backtest, policy
from early_warning.backtest.replay import Replay, replay
from early_warning.embedded.postgres import running_postgres
from early_warning.policy import Policy
from early_warning.propose import JudgedOtherwise, Proposal, Tried, _proposal, write
from early_warning.propose.bench import Bench, Score
from early_warning.propose.changes import Change, applied, changed_files, diff, possible, rules_of
from early_warning.propose.search import Found
from early_warning.settings import PROJECT
from early_warning.warehouse import Connection, Warehouse
from homes import Home
from test_backtest import PAST, tried

__all__ = ["tried"]  # the fixture

SHIPPED = PROJECT / "company" / "policy"
DAYS = tuple(backtest.month_ends(date(2026, 1, 1), date(2026, 6, 1)))
HORIZON = 20

_RULE = {
    "least_state": None,
    "how_many": None,
    "families": None,
    "among_families": [],
    "must_include_families": [],
    "only_key_indicators": False,
    "description": "",
}
_TINY = Policy(
    "tiny",
    {
        "level_rules": (
            {**_RULE, "rule_code": "lost_for_long", "warning_level": 1, "kind": "all_of"},
            {**_RULE, "rule_code": "quiet", "warning_level": 2, "kind": "all_of"},
            {**_RULE, "rule_code": "owing", "warning_level": 2, "kind": "all_of"},
            {
                **_RULE,
                "rule_code": "service_fluctuation",
                "warning_level": 3,
                "kind": "count_of",
                "least_state": "serious",
                "how_many": 1,
                "families": 1,
                "among_families": ["service"],
            },
        ),
        "level_conditions": tuple(
            {"rule_code": rule, "indicator_code": code, "measure": measure, "operator": ">", "value": value}
            for rule, code, measure, value in (
                ("lost_for_long", "days_since_last_order", "silence_days", "200"),
                ("quiet", "days_since_last_order", "silence_days", "100"),
                ("owing", "overdue_days", "overdue_days", "10"),
            )
        ),
        "hysteresis_and_budget": tuple({"parameter": f"level_{n}_cap", "value": Decimal(1)} for n in (1, 2, 3)),
    },
)


@dataclass(frozen=True)
class Person:
    """A customer that is the same on every day, judged by hand."""

    customer_id: str
    silence: int
    overdue: int
    is_lost: bool
    complains: bool = False

    @property
    def level(self) -> int:
        return 1 if self.silence > 200 else 2 if self.silence > 100 or self.overdue > 10 else 4


def tell(connection: Connection, people: list[Person]) -> list[Replay]:
    """Keep days on which these people were judged, and what they ordered after each."""
    connection.execute("insert into policy.policy (policy_hash) values ('tiny')")
    connection.execute(
        "insert into policy.indicators select 'tiny', code, code, family, 'sales', '{}', 'days', 'high', false"
        " from unnest(array['complaint_rate', 'days_since_last_order', 'overdue_days'],"
        " array['service', 'demand', 'arrears']) as indicator (code, family)"
    )
    connection.execute("create schema staging")
    connection.execute(
        "create table staging.base_sales__orders (customer_id text, ordered_on date, amount numeric,"
        " cancelled_at timestamptz, _is_deleted boolean default false)"
    )
    for number, day in enumerate(DAYS, start=1):
        connection.execute(
            "insert into ops.replay (run_id, as_of_date, as_of_at, company_time_zone, policy_hash, through_batch_id,"
            " batches, stale_data_sets, project, indicator_codes) overriding system value values (%s, %s, now(), 'UTC',"
            " 'tiny', 1, 1, '{}', '', array['complaint_rate', 'days_since_last_order', 'overdue_days'])",
            (number, day),
        )
        with connection.cursor() as cursor:
            cursor.executemany(
                "insert into ops.replayed_customer (customer_id, run_id, raw_level, level, rule_codes, indicator_codes,"
                " silence_days, usual_gap_days, order_days, last_ordered_on, inactivity_limit_days, revenue_12m_amount,"
                " money_at_risk_amount) values (%s, %s, nullif(%s, 4), %s, '{}', '{}', %s, 10, 9, %s, 180, 100, 0)",
                [
                    (one.customer_id, number, one.level, one.level, one.silence, day - timedelta(days=one.silence))
                    for one in people
                ],
            )
            cursor.executemany(
                "insert into ops.replayed_fact values (%s, %s, true, %s, 0, %s, %s, %s::text[]::jsonb[])",
                [
                    (
                        one.customer_id,
                        number,
                        one.silence + 10,
                        ["serious" if one.complains else "clear", "clear", "clear"],
                        [None, None, one.overdue],
                        ["{}", json.dumps({"silence_days": one.silence}), "{}"],
                    )
                    for one in people
                ],
            )
        order(connection, day + timedelta(days=10), [one for one in people if not one.is_lost])
    return [Replay(number, day, False) for number, day in enumerate(DAYS, start=1)]


def order(connection: Connection, day: date, people: list[Person]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into staging.base_sales__orders values (%s, %s, 50)", [(one.customer_id, day) for one in people]
        )


def planted() -> list[Person]:
    """Silent for more than 60 days is lost, who owes is not: 100 are warned of, and 100 could be that are lost."""
    groups = (
        (10, 250, 0, True),
        (30, 150, 0, True),
        (60, 80, 0, True),
        (60, 20, 40, False),
        (40, 55, 0, False),
        (150, 10, 0, False),
    )
    people = [fate for count, *fate in groups for _ in range(count)]
    return [Person(f"C{number:03}", *fate, complains=number % 7 == 0) for number, fate in enumerate(people)]


def noise(seed: int) -> list[Person]:
    chance = Random(seed)
    return [
        Person(f"C{n:03}", chance.randrange(250), chance.choice((0, 0, 0, 5, 20, 40)), chance.random() < 0.3)
        for n in range(300)
    ]


@pytest.fixture
def searched(warehouse: Warehouse) -> Callable[..., Proposal]:
    """A function that searches among some people, with a budget and a number of changes."""

    def search(
        people: list[Person],
        budget: float | None = None,
        most: int = 3,
        then: Callable[[Connection], None] | None = None,
    ) -> Proposal:
        with warehouse.connect() as connection:
            days = tell(connection, people)
            if then:
                then(connection)
            found = _proposal(connection, _TINY, days, days, HORIZON, budget, most)
            connection.rollback()
        return found

    return search


def test_days_that_another_edition_judged_are_forgotten_with_their_facts(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        tell(connection, planted()[:3])
        connection.execute("update ops.replay set judged_at = now()")
    assert replay(warehouse, ["tiny"], [], print) == {"tiny": []}
    for table in ("replay", "replayed_customer", "replayed_fact"):
        assert warehouse.rows(f"select from ops.{table}") == []


_KEEP = Found((), *[Score(0, 0, 0, 0.0, 0.0, {})] * 2, 1.0, 1)
_CHANGED = replace(_KEEP, changes=(Change("quiet", None, "2", None),))


@pytest.mark.parametrize(
    ("recall", "warnings", "verdict"),
    [
        ((0.01, 0.2), (-9.0, -1.0), "holds"),
        ((-0.1, 0.1), (-9.0, -1.0), "fewer"),
        ((-0.2, -0.1), (-1.0, 1.0), "fails"),
        ((-0.1, 0.1), (-1.0, 1.0), "open"),
        ((None, None), (None, None), "open"),
    ],
)
def test_verdict_goes_by_the_interval_on_later_days(
    recall: tuple[float | None, float | None], warnings: tuple[float | None, float | None], verdict: str
) -> None:
    named = {"recall": recall, "warnings_a_day": warnings}
    expected = {name: {"low": low, "high": high} for name, (low, high) in named.items()}
    walk = [Tried(DAYS[-1], DAYS[:1], _CHANGED, {})]
    proposal = Proposal("hash", HORIZON, [], DAYS, _CHANGED, walk, expected, {}, [])
    assert (proposal.verdict, proposal.basis) == (verdict, "walk-forward")
    assert replace(proposal, found=_KEEP).verdict is None
    nothing_chosen = replace(proposal, walk=[replace(walk[0], found=_KEEP)])
    assert (nothing_chosen.verdict, nothing_chosen.basis) == (None, "in-sample")


def words(changes: tuple[Change, ...]) -> list[str]:
    return sorted(map(str, changes))


def test_better_threshold_is_found_beside_what_pays_for_it(searched: Callable[..., Proposal]) -> None:
    proposal = searched(planted())
    assert words(proposal.changes) == [
        "owing: level 2 → 3",
        "quiet: days_since_last_order.silence_days > 100 → 60",
    ]
    found = proposal.found
    assert found is not None
    days = len(DAYS)
    assert (found.in_force.warned, found.in_force.lost, found.budget) == (100 * days, 40 * days, 100)
    assert (found.chosen.warned, found.chosen.lost) == (100 * days, 100 * days)
    assert found.chosen.shares_lost == {1: 1, 2: 1, 3: 0, 4: 0}
    expected = proposal.expected
    assert (expected["precision"]["before"], expected["precision"]["after"]) == pytest.approx((0.4, 1))
    assert (expected["recall"]["before"], expected["recall"]["after"]) == pytest.approx((0.4, 1))
    assert expected["revenue_caught"]["difference"] == pytest.approx(0.6)
    assert expected["warnings_a_day"]["difference"] == pytest.approx(0)
    # of 350 customers 60 come and 60 go: a mean difference of 0 with 120 of 350 squares of 1, over customers
    reach = 1.96 * (120 * 350 / 349) ** 0.5
    assert expected["warnings_a_day"]["high"] == pytest.approx(reach)
    assert expected["recall"]["low"] == pytest.approx(
        0.6 - 1.96 * ((60 * 0.4**2 + 40 * 0.6**2) / 349 * 350) ** 0.5 / 100
    )
    assert [(day["added"], day["added_lost"], day["dropped"], day["dropped_lost"]) for day in proposal.moved] == [
        (60, 60, 60, 0)
    ] * days


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("budget", [None, 260.0])
def test_noise_proposes_nothing(searched: Callable[..., Proposal], seed: int, budget: float | None) -> None:
    proposal = searched(noise(seed), budget)
    assert proposal.changes == ()
    assert proposal.found is not None
    assert proposal.found.tried > 30


@pytest.mark.parametrize(("budget", "warned"), [(40.0, 40), (160.0, 160), (120.0, 100)])
def test_budget_is_kept(searched: Callable[..., Proposal], budget: float, warned: int) -> None:
    found = searched(planted(), budget).found
    assert found is not None
    assert found.chosen.warned == warned * len(DAYS)
    assert found.chosen.warned <= budget * len(DAYS)
    assert not found.is_too_dear


def test_budget_that_no_change_keeps_proposes_nothing(searched: Callable[..., Proposal]) -> None:
    found = searched(planted(), 5.0, 1).found
    assert found is not None
    assert (found.changes, found.is_too_dear) == ((), True)


def test_order_of_levels_is_kept(searched: Callable[..., Proposal]) -> None:
    """Those silent for longest stay, so level 1 loses less than level 2: only what changes that may be proposed."""
    people = [replace(one, is_lost=False) if one.silence > 200 else one for one in planted()]
    proposal = searched(people)
    assert proposal.found is not None
    assert not proposal.found.in_force.is_ordered
    assert proposal.changes
    assert proposal.found.chosen.is_ordered
    assert any(change.rule_code == "lost_for_long" for change in proposal.changes)


def test_later_facts_change_no_earlier_choice(searched: Callable[..., Proposal]) -> None:
    """From the fifth day on everybody orders who was lost, and nobody else: chosen for days up to then is the same."""
    people, seen = planted(), DAYS[4]

    def turn(connection: Connection) -> None:
        connection.execute("delete from staging.base_sales__orders where ordered_on > %s", (seen,))
        for day in DAYS[4:]:
            order(connection, day + timedelta(days=10), [one for one in people if one.is_lost])

    plain, turned = searched(people), searched(people, then=turn)
    told, changed = ({one.as_of_date: one.found for one in found.walk} for found in (plain, turned))
    assert [day for day in told if day <= seen] == [DAYS[3], seen]
    assert all(told[day] == changed[day] != () for day in told if day <= seen)
    assert told[seen].changes
    assert told[DAYS[5]] != changed[DAYS[5]]
    assert plain.found != turned.found
    for one in plain.walk:
        assert max(one.chosen_on) + timedelta(days=HORIZON) <= one.as_of_date


def test_every_change_is_scored_as_counted_by_hand(searched: Callable[..., Proposal], warehouse: Warehouse) -> None:
    people = noise(11)
    with warehouse.connect() as connection:
        days = tell(connection, [replace(one, complains=n % 3 == 0) for n, one in enumerate(people)])
        ids = [day.run_id for day in days]
        backtest.score(connection, ids, ids, HORIZON)
        bench, rules = Bench(connection, _TINY, ids), rules_of(_TINY)
        changes = possible(rules)
        scores = bench.scores([applied(rules, [change]) for change in changes], rules, DAYS[:3])
        connection.rollback()
    assert len(changes) > 20
    share = sum(one.is_lost for one in people) / len(people)
    for change, score in zip(changes, scores, strict=True):
        levels = {rule.rule_code: rule for rule in applied(rules, [change])}
        held = [by_hand(one, levels) for one in people]
        warned = [one for one, level in zip(people, held, strict=True) if level <= 2]
        assert (score.warned, score.lost) == (3 * len(warned), 3 * sum(one.is_lost for one in warned)), change
        gains = [
            3 * ((level <= 2) - (one.level <= 2)) * (one.is_lost - share)
            for one, level in zip(people, held, strict=True)
        ]
        assert score.gain == pytest.approx(sum(gains))
        spread = sum(gain**2 for gain in gains) - sum(gains) ** 2 / len(people)
        assert score.gain_error == pytest.approx((spread * len(people) / (len(people) - 1)) ** 0.5)


def by_hand(one: Person, rules: dict[str, Any]) -> int:
    measured = {"silence_days": one.silence, "overdue_days": one.overdue}
    fired = [
        rule.warning_level
        for rule in rules.values()
        if rule.conditions and all(measured[c.measure] > Decimal(c.value) for c in rule.conditions)
    ]
    return min(fired, default=4)


def test_rules_that_judge_otherwise_than_the_replay_are_refused(searched: Callable[..., Proposal]) -> None:
    def spoil(connection: Connection) -> None:
        connection.execute("update ops.replayed_customer set level = 1 where customer_id = 'C349' and run_id = 2")

    with pytest.raises(JudgedOtherwise, match="C349"):
        searched(planted(), then=spoil)


# --- what is proposed, as files -----------------------------------------------------------------------------------


def change_of(rule: str, measure: str | None, after: str | None) -> Change:
    [found] = [
        change
        for change in possible(rules_of(policy.load(SHIPPED)))
        if (change.rule_code, change.condition and change.condition.measure, change.after) == (rule, measure, after)
    ]
    return found


def test_thresholds_move_to_figures_that_people_write() -> None:
    moved: dict[str, list[str]] = {}
    for change in possible(rules_of(policy.load(SHIPPED))):
        if change.condition:
            moved.setdefault(f"{change.condition.measure} {change.before}", []).append(str(change.after))
    assert moved["silence_days 165"] == ["80", "100", "125", "150", "180", "205", "250", "330"]
    assert moved["silence_ratio 1.5"] == ["0.75", "0.9", "1.1", "1.4", "1.6", "1.9", "2.2", "3"]
    assert moved["complaints_90d 3"] == ["2", "4", "6"]
    codes = {change.rule_code for change in possible(rules_of(policy.load(SHIPPED)))}
    assert "service_fluctuation" not in codes
    assert len(codes) == len(rules_of(policy.load(SHIPPED))) - 1


CHANGES = (
    change_of("silent_beyond_own_rhythm", "silence_days", "90"),
    change_of("silent_beyond_own_rhythm", "silence_ratio", "1.9"),
    change_of("overdue_and_pays_late", None, "3"),
    change_of("overdue_beyond_60_days", None, None),
)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_diff_applies_and_gives_the_policy_that_was_tried(tmp_path: Path, line_end: str) -> None:
    company = tmp_path / "company"
    shutil.copytree(SHIPPED, company / "policy")
    for file in company.rglob("*.csv"):
        file.write_bytes(file.read_bytes().replace(b"\n", line_end.encode()))
    proposed = write(company / "policy", tmp_path / "proposed", CHANGES)
    assert rules_of(proposed) == applied(rules_of(policy.load(SHIPPED)), CHANGES)
    text = diff(changed_files(company / "policy", CHANGES))
    assert [line for line in text.splitlines() if line.startswith("+") and "own_rhythm" in line] == [
        "+silent_beyond_own_rhythm,2,all_of,,,,,,,"
        '"Silent for more than 90 days and for more than 1.9 times the customer\'s own gap between orders"',
        "+silent_beyond_own_rhythm,days_since_last_order,silence_days,>,90",
        "+silent_beyond_own_rhythm,days_since_last_order,silence_ratio,>,1.9",
    ]
    (tmp_path / "proposal.diff").write_bytes(text.encode())
    for command in (["git", "apply", "../proposal.diff"], ["patch", "-R", "-p1", "-s", "-i", "../proposal.diff"]):
        subprocess.run(command, cwd=company, check=True, capture_output=True)
        now = policy.load(company / "policy").policy_hash
        assert now == (proposed if command[0] == "git" else policy.load(SHIPPED)).policy_hash


def test_diff_touches_no_other_cell_however_the_file_was_written(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED, tmp_path / "policy")
    file = tmp_path / "policy" / "level_conditions.csv"
    text = file.read_text(encoding="utf-8").rstrip("\n")
    text = text.replace(
        "silent_beyond_own_rhythm,days_since_last_order,silence_days,>,120",
        '"silent_beyond_own_rhythm" ,days_since_last_order,silence_days,">"," 120 "',
    )
    file.write_text("\ufeff" + text, encoding="utf-8")  # saved by a spreadsheet: a mark in front, no line end behind
    rules = tmp_path / "policy" / "level_rules.csv"
    rules.write_text(
        rules.read_text(encoding="utf-8").replace('"Silent for more than 120', '"Silent,\nfor more than 120')
    )
    [(before, after)] = [
        files for name, files in changed_files(tmp_path / "policy", CHANGES[:1]).items() if name == file.name
    ]
    assert before == "\ufeff" + text
    assert after == before.replace('">"," 120 "', '">","90"')
    assert write(tmp_path / "policy", tmp_path / "out", CHANGES[:1]).policy_hash
    told = diff(changed_files(tmp_path / "policy", CHANGES[:1]))
    assert "+for more than 90 days" in told


# --- on a home's own days -----------------------------------------------------------------------------------------


def bench_of(connection: Connection, current: Policy) -> Bench:
    """All kept days of a policy, ready to be searched; judged anew and found to be as replayed."""
    found = connection.execute("select run_id from ops.replay where policy_hash = %s", (current.policy_hash,))
    ids = [run_id for (run_id,) in found.fetchall()]
    assert ids
    backtest.score(connection, ids, ids, HORIZON)
    return Bench(connection, current, ids)


@pytest.mark.slow
def test_quick_judgement_is_that_of_the_replay(tried: Home) -> None:
    with running_postgres(tried.folder) as warehouse, warehouse.connect() as connection:
        current = policy.load(tried.company / "policy")
        bench = bench_of(connection, current)
        days = [day for (day,) in connection.execute("select distinct as_of_date from scored").fetchall()]
        [score] = bench.scores([rules_of(current)], rules_of(current), days)
        assert len(days) == 3
        assert [*score.shares_lost] == [1, 2, 3, 4]


@pytest.mark.slow
def test_proposal_is_printed_written_and_kept_and_the_company_left_alone(home: Home, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in (home.company / "policy").iterdir()}
    capped = write(home.company / "policy", tmp_path / "capped", CHANGES)
    settings = tmp_path / "capped" / "hysteresis_and_budget.csv"
    text = settings.read_text(encoding="utf-8").replace("level_1_cap,0.04", "level_1_cap,0.02")
    settings.write_text(text.replace("level_2_cap,0.15", "level_2_cap,0.03"), encoding="utf-8")
    asked = ("--from", f"{PAST:%Y-%m}", "--to", f"{PAST:%Y-%m}")
    trial = home.command("backtest", *asked, "--policy", str(tmp_path / "capped"), "--json")
    assert trial.code == 0, trial.stderr
    with running_postgres(home.folder) as warehouse:
        with warehouse.connect() as connection:
            bench_of(connection, policy.load(tmp_path / "capped"))  # caps drop the same customers
        with warehouse.connect() as connection, pytest.raises(JudgedOtherwise):
            bench_of(connection, replace(policy.load(tmp_path / "capped"), tables=capped.tables))
        [kept] = warehouse.rows("select effect from ops.trial")
    assert kept["effect"]["basis"] == "back-test"
    assert kept["effect"]["warnings_a_day"] == trial.json["effect"]["warnings_a_day"]
    pooled = trial.json["pooled"]["1-2"], trial.json["pooled_before"]["1-2"]
    assert trial.json["effect"]["warnings_a_day"]["difference"] == pytest.approx(
        pooled[0]["warned"] - pooled[1]["warned"]
    )
    assert trial.json["effect"]["precision"]["before"] == pytest.approx(pooled[1]["precision"])

    out = tmp_path / "to be adopted"
    answer = home.command("propose", *asked, "--budget", "5", "--out", str(out), "--json")
    assert answer.code == 0, answer.stderr
    assert f"patch -p1 -d {home.company} < '{out / 'proposal.diff'}'\n" in answer.stderr
    told = answer.json
    assert told["changes"]
    assert policy.load(out).policy_hash == told["proposed_policy"]
    assert (out / "proposal.diff").read_text(encoding="utf-8") == told["diff"]
    assert (told["basis"], told["walk_forward"]) == ("in-sample", [])
    assert home.rows(
        "select policy_hash, effect ->> 'basis' as basis from ops.trial where effect ->> 'basis' <> 'back-test'"
    ) == [{"policy_hash": told["proposed_policy"], "basis": "in-sample"}]
    screen = home.command("propose", *asked, "--budget", "5")
    assert "EXPECTED: not known" in screen.stdout
    assert told["diff"] in screen.stdout
    assert {path.name: path.read_bytes() for path in (home.company / "policy").iterdir()} == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "2026-05", "--to", "2026-04"), "--to lies before --from"),
        (("--from", "2026-05", "--to", "2026-05", "--budget", "0"), "--budget"),
        (("--from", "2026-05", "--to", "2026-05", "--out", str(PROJECT)), "is there already"),
    ],
)
def test_what_makes_no_sense_is_refused(tried: Home, words: tuple[str, ...], said: str) -> None:
    answer = tried.command("propose", *words)
    assert answer.code == 2
    assert said in answer.stderr
