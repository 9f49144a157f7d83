"""Where sets of rules are judged anew on kept days, each once, and scored as often as one asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib.resources import files
from itertools import pairwise
from typing import Any

from psycopg import sql
from psycopg.rows import dict_row

from early_warning.policy import Policy
from early_warning.propose.changes import Rule, Rules, rules_of
from early_warning.warehouse import Connection


class JudgedOtherwise(Exception):
    """The quick judgement of the policy in force differs from its replay, so no other may be trusted."""


@dataclass(frozen=True)
class Score:
    """What a set of rules makes of some days. Counts are of customers and days, of levels 1 and 2.

    `gain`: lost customers it catches beyond those of the set it is held against and beyond chance; `gain_error` its
    standard error. `shares_lost`: of each level that holds anybody, the gravest first, 4 for none.
    """

    warned: int
    lost: int
    revenue: Any
    gain: float
    gain_error: float
    shares_lost: Mapping[int, float]

    @property
    def is_ordered(self) -> bool:
        """Whether of no level a smaller share was lost than of a milder one."""
        return all(graver >= milder for graver, milder in pairwise(self.shares_lost.values()))


@dataclass
class Bench:
    """Tables of one session, in one transaction: `scored` (backtest) has to be there, of the same days.

    `run_ids`: the replays of those days by the policy in force, variant 0.
    """

    connection: Connection
    policy: Policy
    run_ids: Sequence[int]
    _rules: dict[Rule, int] = field(default_factory=dict)
    _variants: dict[Rules, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Lay out what rules compare, and judge the policy in force.

        Raises:
            JudgedOtherwise: when that gives other levels than its replays have.
        """
        rules = rules_of(self.policy)
        compared = {
            (one.indicator_code, one.measure) for rule in rules for one in rule.conditions if one.measure != "state"
        }
        codes, measures = zip(*sorted(compared), strict=True) if compared else ((), ())
        self._run("room")
        self._run("breached", run_ids=[*self.run_ids])
        self._run("measured", run_ids=[*self.run_ids], codes=[*codes], measures=[*measures])
        for table in ("scored", "breached", "measured"):
            self._analyze(table)
        self._level([rules])
        unlike = self.rows("unlike")
        if unlike:
            raise JudgedOtherwise(f"rules judged anew give other levels than the replay, such as {unlike[0]}")
        self.connection.execute("truncate levelled")

    def numbers(self, variants: Sequence[Rules]) -> list[int]:
        """Numbers of sets of rules, those judged that were not yet."""
        new = [rules for rules in dict.fromkeys(variants) if rules not in self._variants]
        if new:
            first = self._level(new)
            self._run("moved", first=first)
            self._analyze("moved")
            self.connection.execute("truncate levelled")
        return [self._variants[rules] for rules in variants]

    def _level(self, variants: Sequence[Rules]) -> int:
        """Judge new sets of rules into the table `levelled`; returns the number of the first."""
        first_rule, first = len(self._rules), len(self._variants)
        rules = [
            rule for rule in dict.fromkeys(rule for rules in variants for rule in rules) if rule not in self._rules
        ]
        self._rules |= {rule: number for number, rule in enumerate(rules, start=first_rule)}
        self._variants |= {rules: number for number, rules in enumerate(variants, start=first)}
        self._write(rules, variants)
        self._run("fired", first=first_rule, policy_hash=self.policy.policy_hash)
        self._analyze("fired")
        self._run("levelled", first=first)
        self._analyze("levelled")
        for level, cap in self._caps:
            least = self._settings["cap_min_customers"]
            self._run("capped", run_ids=[*self.run_ids], level=level, cap=cap, least=least, first=first)
        return first

    def scores(self, variants: Sequence[Rules], now: Rules, days: Sequence[date]) -> list[Score]:
        """Score sets of rules on some days, held against the set `now`."""
        numbers = self.numbers(variants)
        found = {
            row["variant"]: row
            for row in self.rows("scores", variants=numbers, now=self.numbers([now])[0], days=[*days])
        }
        return [_score(found[number]) for number in numbers]

    def compare(self, chosen: Mapping[date, Rules]) -> None:
        """Make the table `compared` of what rules make of days, beside the policy in force."""
        self.connection.execute("drop table if exists compared")
        self._run("compared", days=[*chosen], variants=self.numbers([*chosen.values()]))

    def rows(self, name: str, **named: Any) -> list[dict[str, Any]]:
        """Rows of one of the queries in sql/."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(_script(name), named or None).fetchall()

    def _run(self, name: str, **named: Any) -> None:
        self.connection.execute(_script(name), named or None)

    def _analyze(self, table: str) -> None:
        """Tell the planner of a temporary table, which no autovacuum sees."""
        self.connection.execute(sql.SQL("analyze {}").format(sql.Identifier(table)))

    @property
    def _caps(self) -> list[tuple[int, Any]]:
        """Levels that hold no more than a share, gravest first; a cap of 1 is none."""
        caps = ((level, self._settings[f"level_{level}_cap"]) for level in (1, 2, 3))
        return [(level, cap) for level, cap in caps if cap < 1]

    @property
    def _settings(self) -> dict[str, Any]:
        return {row["parameter"]: row["value"] for row in self.policy.tables["hysteresis_and_budget"]}

    def _write(self, rules: Iterable[Rule], variants: Iterable[Rules]) -> None:
        with self.connection.cursor() as cursor:
            for rule in rules:
                number = self._rules[rule]
                cursor.execute(
                    "insert into tried_rules values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                    (
                        number,
                        rule.rule_code,
                        rule.warning_level,
                        rule.kind,
                        rule.least_state,
                        rule.how_many,
                        rule.families,
                        [*rule.among_families],
                        [*rule.must_include_families],
                        rule.only_key_indicators,
                    ),
                )
                cursor.executemany(
                    "insert into tried_conditions values (%s, %s, %s, %s, %s, %s)",
                    [
                        (
                            number,
                            one.indicator_code,
                            one.measure,
                            one.operator,
                            one.value if one.threshold is None else None,
                            one.threshold,
                        )
                        for one in rule.conditions
                    ],
                )
            in_force, is_capped = rules_of(self.policy), bool(self._caps)  # a cap may move who no changed rule touches
            cursor.executemany(
                "insert into tried_variants values (%s, %s, %s, %s)",
                [
                    (
                        self._variants[variant],
                        self._rules[rule],
                        rule in variant,
                        is_capped or variant == in_force or not (rule in variant and rule in in_force),
                    )
                    for variant in variants
                    for rule in variant | in_force
                ],
            )


def _score(row: Mapping[str, Any]) -> Score:
    return Score(
        warned=int(row["warned"]),
        lost=int(row["lost"]),
        revenue=row["revenue"],
        gain=row["gain"],
        gain_error=row["gain_error"],
        shares_lost=dict(zip(row["levels_held"] or (), map(float, row["shares_lost"] or ()), strict=True)),
    )


def _script(name: str) -> bytes:
    return files(__package__).joinpath(f"sql/{name}.sql").read_bytes()
