"""The policy folder (company/policy/*.csv) as the oracle reads it."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, Self

Grade = Literal["serious", "watch"]
"""The two grades of a breach; a parameter without a value for watch has that of serious, and the parameters of an
indicator that is never serious have none for serious (0002.28, 0002.39)."""


@dataclass(frozen=True)
class Indicator:
    """What rules and cases need to know of an indicator."""

    family: str
    department: str
    direction: str
    is_key: bool


@dataclass(frozen=True)
class Condition:
    """One condition of an all_of rule; `value` is a state's name when `measure` is state, else a number."""

    indicator_code: str
    measure: str
    operator: str
    value: str


@dataclass(frozen=True)
class Rule:
    """One level rule of either kind (D§4); the fields of the other kind are empty."""

    rule_code: str
    warning_level: int
    kind: str
    conditions: tuple[Condition, ...]
    least_state: str
    how_many: int
    families: int
    among_families: frozenset[str]
    must_include_families: frozenset[str]
    only_key_indicators: bool


@dataclass(frozen=True)
class Policy:
    """Everything an adopter may decide, as read from a policy folder."""

    indicators: dict[str, Indicator]
    parameters: dict[tuple[str, str, Grade], Fraction]
    rules: tuple[Rule, ...]
    standard_hours: dict[str, Fraction]
    settings: dict[str, Fraction]

    def parameter(self, indicator_code: str, parameter: str, grade: Grade = "serious") -> Fraction:
        """A parameter of an indicator for a grade of breach."""
        return self.parameters[indicator_code, parameter, grade]

    def count(self, indicator_code: str, parameter: str, grade: Grade = "serious") -> int:
        """A parameter that counts days, months or things."""
        return int(self.parameter(indicator_code, parameter, grade))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the policy CSVs of a folder."""
        parameters: dict[tuple[str, str, Grade], Fraction] = {}
        for row in _rows(folder, "indicator_parameters"):
            code, name = row["indicator_code"], row["parameter"]
            if row["serious"]:
                parameters[code, name, "serious"] = Fraction(row["serious"])
            parameters[code, name, "watch"] = Fraction(row["watch"] or row["serious"])
        conditions = list(_rows(folder, "level_conditions"))
        return cls(
            indicators={
                row["indicator_code"]: Indicator(
                    row["family"], row["department"], row["direction"], row["is_key"] == "true"
                )
                for row in _rows(folder, "indicators")
            },
            parameters=parameters,
            rules=tuple(_rule(row, conditions) for row in _rows(folder, "level_rules")),
            standard_hours={row["priority"]: Fraction(row["hours"]) for row in _rows(folder, "response_standards")},
            settings={row["parameter"]: Fraction(row["value"]) for row in _rows(folder, "hysteresis_and_budget")},
        )


def _rows(folder: Path, table: str) -> Iterator[dict[str, str]]:
    with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


def _rule(row: dict[str, str], conditions: list[dict[str, str]]) -> Rule:
    return Rule(
        rule_code=row["rule_code"],
        warning_level=int(row["warning_level"]),
        kind=row["kind"],
        conditions=tuple(
            Condition(each["indicator_code"], each["measure"], each["operator"], each["value"])
            for each in conditions
            if each["rule_code"] == row["rule_code"]
        ),
        least_state=row["least_state"],
        how_many=int(row["how_many"] or 0),
        families=int(row["families"] or 0),
        among_families=_names(row["among_families"]),
        must_include_families=_names(row["must_include_families"]),
        only_key_indicators=row["only_key_indicators"] == "true",
    )


def _names(text: str) -> frozenset[str]:
    return frozenset(name for name in text.split(";") if name)
