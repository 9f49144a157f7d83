"""The policy folder (company/policy/*.csv) as the oracle reads it."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Self

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
class Entry:
    """Values of a parameter, for the customers that have all of its attributes, on days from one until another."""

    indicator_code: str
    parameter: str
    values: Mapping[Grade, Fraction]
    attributes: Mapping[str, str]
    valid_from: date | None
    valid_until: date | None

    def applies(self, customer: Mapping[str, Any], day: date) -> bool:
        """Whether it is for a customer on a day (0002.42, 0002.43)."""
        is_valid = (self.valid_from or day) <= day <= (self.valid_until or day)
        return is_valid and all(customer.get(name) == value for name, value in self.attributes.items())

    def is_before(self, other: "Entry") -> bool:
        """Whether it is the one that counts where the other applies too (0002.42, 0002.43)."""
        if len(self.attributes) != len(other.attributes):
            return len(self.attributes) > len(other.attributes)
        for attribute in ("segment", "industry", "region"):
            if (attribute in self.attributes) != (attribute in other.attributes):
                return attribute in self.attributes
        return self._is_dated and not other._is_dated

    @property
    def is_exception(self) -> bool:
        """Whether it is not for all customers and days."""
        return bool(self.attributes) or self._is_dated

    @property
    def _is_dated(self) -> bool:
        return self.valid_from is not None or self.valid_until is not None


@dataclass(frozen=True)
class Policy:
    """Everything an adopter may decide, as read from a policy folder."""

    indicators: dict[str, Indicator]
    parameters: dict[tuple[str, str, Grade], Fraction]
    exceptions: tuple[Entry, ...]
    """Other values for some customers or days, see `of`."""
    rules: tuple[Rule, ...]
    standard_hours: dict[str, Fraction]
    settings: dict[str, Fraction]

    def parameter(self, indicator_code: str, parameter: str, grade: Grade = "serious") -> Fraction:
        """A parameter of an indicator for a grade of breach."""
        return self.parameters[indicator_code, parameter, grade]

    def count(self, indicator_code: str, parameter: str, grade: Grade = "serious") -> int:
        """A parameter that counts days, months or things."""
        return int(self.parameter(indicator_code, parameter, grade))

    def of(self, customer: Mapping[str, Any], day: date) -> Self:
        """The policy by which a customer is judged on a day (0002.42, 0002.43)."""
        chosen: dict[tuple[str, str], Entry] = {}
        for entry in self.exceptions:
            key = entry.indicator_code, entry.parameter
            if entry.applies(customer, day) and (key not in chosen or entry.is_before(chosen[key])):
                chosen[key] = entry
        return replace(self, parameters={**self.parameters, **_values(chosen.values())})

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the policy CSVs of a folder."""
        entries = tuple(map(_entry, _rows(folder, "indicator_parameters")))
        conditions = list(_rows(folder, "level_conditions"))
        return cls(
            indicators={
                row["indicator_code"]: Indicator(
                    row["family"], row["department"], row["direction"], row["is_key"] == "true"
                )
                for row in _rows(folder, "indicators")
            },
            parameters=_values(each for each in entries if not each.is_exception),
            exceptions=tuple(each for each in entries if each.is_exception),
            rules=tuple(_rule(row, conditions) for row in _rows(folder, "level_rules")),
            standard_hours={row["priority"]: Fraction(row["hours"]) for row in _rows(folder, "response_standards")},
            settings={
                row["parameter"]: Fraction(row["value"])
                for table in ("hysteresis_and_budget", "outcomes")
                for row in _rows(folder, table)
            },
        )


def _rows(folder: Path, table: str) -> Iterator[dict[str, str]]:
    with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


def _entry(row: dict[str, str]) -> Entry:
    values: dict[Grade, Fraction] = {"watch": Fraction(row["watch"] or row["serious"])}
    if row["serious"]:
        values["serious"] = Fraction(row["serious"])
    return Entry(
        row["indicator_code"],
        row["parameter"],
        values,
        {name: row[name] for name in ("segment", "industry", "region") if row.get(name)},
        *(date.fromisoformat(row[name]) if row.get(name) else None for name in ("valid_from", "valid_until")),
    )


def _values(entries: Iterable[Entry]) -> dict[tuple[str, str, Grade], Fraction]:
    return {
        (each.indicator_code, each.parameter, grade): value for each in entries for grade, value in each.values.items()
    }


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
