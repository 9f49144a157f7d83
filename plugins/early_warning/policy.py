"""The policy: thresholds, level rules and standards as CSVs; checked at the door, hashed, stored.

A policy is what its lines say, not how the files are laid out: the hash is over the parsed rows, so a re-sorted
or re-saved file is the same policy.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from psycopg import sql

from early_warning.indicators import Indicator, declared
from early_warning.problems import ConfigurationError, Problem
from early_warning.warehouse import Warehouse

FAMILIES = (
    "demand",
    "engagement",
    "arrears",
    "credit",
    "quality",
    "service",
    "satisfaction",
    "market",
    "model",
)
DEPARTMENTS = ("sales", "service", "product", "finance")
_STATES = ("serious", "watch")
_OPERATORS = (">=", ">", "<", "<=", "=")

JOINT = "demand_and_arrears"  # the playbook's subject for a customer that orders less and owes
_LEVELS = ("1", "2", "3")

_CAPS = tuple(f"level_{level}_cap" for level in _LEVELS)
_DEADLINES = tuple(f"level_{level}_deadline_hours" for level in _LEVELS)
_COUNTS_OF_PRODUCTS = ("product_window_days", "product_baseline_days", "product_min_problems", "product_min_lines")
_AT_LEAST_1 = (*_COUNTS_OF_PRODUCTS, "product_factor")
_WHOLE = (
    *("cooldown_days", "inactive_days", "min_segment_customers", "owner_budget", "follow_up_days", "reopen_days"),
    *_DEADLINES,
    *_COUNTS_OF_PRODUCTS,
)
SETTINGS = (*_WHOLE, "inactive_gap_multiple", "product_factor", *_CAPS)


@dataclass(frozen=True)
class Policy:
    """A checked policy: its rows by table (values as PostgreSQL takes them) and the hash that names it."""

    policy_hash: str
    tables: dict[str, tuple[dict[str, Any], ...]]

    @property
    def indicator_codes(self) -> tuple[str, ...]:
        """Indicators this policy judges by, sorted."""
        return tuple(sorted(row["indicator_code"] for row in self.tables["indicators"]))


# --- reading one cell ---------------------------------------------------------------------------------------------


def _text(cell: str) -> str:
    if not cell:
        raise ValueError("is empty")
    return cell


def _number(cell: str) -> Decimal:
    try:
        number = Decimal(cell)
    except InvalidOperation:
        raise ValueError(f"{cell!r} is not a number") from None
    if not number.is_finite() or number < 0:
        raise ValueError(f"{cell!r} is not a number of 0 or more")
    return number


def _whole(cell: str) -> int:
    number = _number(cell)
    if number != int(number):
        raise ValueError(f"{cell!r} is not a whole number")
    return int(number)


def _flag(cell: str) -> bool:
    if cell not in ("true", "false"):
        raise ValueError(f"{cell!r} is neither true nor false")
    return cell == "true"


def _one_of(*words: str) -> Callable[[str], str]:
    def read(cell: str) -> str:
        if cell not in words:
            raise ValueError(f"{cell!r} is unknown; use one of {', '.join(words)}")
        return cell

    return read


def _some_of(*words: str) -> Callable[[str], list[str]]:
    read = _one_of(*words)
    return lambda cell: [read(word.strip()) for word in cell.split(";")] if cell else []


def _indicator(cell: str) -> str:
    return _one_of(*declared())(cell)


def _optional(read: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda cell: read(cell) if cell else None


_TABLES: dict[str, tuple[tuple[str, ...], dict[str, Callable[[str], Any]]]] = {
    # table: (key, column → reader)
    "indicators": (
        ("indicator_code",),
        {
            "indicator_code": _indicator,
            "name": _text,
            "family": _one_of(*FAMILIES),
            "department": _one_of(*DEPARTMENTS),
            "also_departments": _some_of(*DEPARTMENTS),
            "unit": _text,
            "direction": _one_of("low", "high"),
            "is_key": _flag,
        },
    ),
    "indicator_parameters": (
        ("indicator_code", "parameter"),
        {
            "indicator_code": _indicator,
            "parameter": _text,
            "serious": _optional(_number),
            "watch": _optional(_number),
        },
    ),
    "level_rules": (
        ("rule_code",),
        {
            "rule_code": _text,
            "warning_level": lambda cell: int(_one_of(*_LEVELS)(cell)),
            "kind": _one_of("all_of", "count_of"),
            "least_state": _optional(_one_of(*_STATES)),
            "how_many": _optional(_whole),
            "families": _optional(_whole),
            "among_families": _some_of(*FAMILIES),
            "must_include_families": _some_of(*FAMILIES),
            "only_key_indicators": lambda cell: _flag(cell or "false"),
            "description": _text,
        },
    ),
    "level_conditions": (
        ("rule_code", "indicator_code", "measure", "operator"),
        {
            "rule_code": _text,
            "indicator_code": _indicator,
            "measure": _text,
            "operator": _one_of(*_OPERATORS),
            "value": _text,
        },
    ),
    "response_standards": (("priority",), {"priority": _text, "hours": _number}),
    "hysteresis_and_budget": (("parameter",), {"parameter": _one_of(*SETTINGS), "value": _number}),
    "playbook": (
        ("department", "subject", "warning_level", "step"),
        {
            "department": _one_of(*DEPARTMENTS),
            "subject": lambda cell: _one_of(JOINT, *FAMILIES, *declared())(cell),
            "warning_level": _one_of("", *_LEVELS),
            "step": _whole,
            "action_zh_cn": _text,
            "action_zh_tw": _text,
            "action_en": _text,
        },
    ),
}


def load(folder: Path) -> Policy:
    """Read and check the policy CSVs of a company.

    Raises:
        ConfigurationError: with every unknown, contradictory or unreadable entry: file, row, column, remedy.
    """
    problems: list[Problem] = []
    numbered = {table: list(_read(folder / f"{table}.csv", table, problems)) for table in _TABLES}
    if not problems:  # entries are compared with each other only once each can be read
        problems += _parameter_problems(numbered)
        problems += _rule_problems(numbered)
        problems += _condition_problems(numbered)
        problems += _standard_problems(numbered)
        problems += _setting_problems(numbered)
        problems += _playbook_problems(numbered)
    if problems:
        raise ConfigurationError(problems)
    tables = {table: tuple(row for _, row in rows) for table, rows in numbered.items()}
    canonical = {
        table: sorted(
            (json.dumps(row, sort_keys=True, default=_canonical, ensure_ascii=False) for row in rows),
        )
        for table, rows in tables.items()
    }
    digest = hashlib.sha256(json.dumps(canonical, sort_keys=True).encode()).hexdigest()
    return Policy(f"sha256:{digest}", tables)


def _canonical(number: object) -> str:
    """Decimals by value: 0.40 and 0.4 are one threshold."""
    return format(number.normalize(), "f") if isinstance(number, Decimal) else str(number)


def _read(path: Path, table: str, problems: list[Problem]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of one CSV with their row numbers; what can't be read becomes problems."""
    key, columns = _TABLES[table]
    seen: dict[tuple[Any, ...], int] = {}
    for number, raw in enumerate(_raw_rows(path, tuple(columns), problems), start=2):
        row = {}
        for name, read in columns.items():
            try:
                row[name] = read(raw[name].strip())
            except ValueError as error:
                problems.append(_entry(path.name, number, name, str(error), "correct the entry"))
        if len(row) < len(columns):
            continue
        identity = tuple(row[name] for name in key)
        if identity in seen:
            problems.append(_entry(path.name, number, key[0], f"repeats row {seen[identity]}", "keep one of the two"))
        seen[identity] = number
        yield number, row


def _raw_rows(path: Path, columns: tuple[str, ...], problems: list[Problem]) -> list[dict[str, str]]:
    """Lines of a CSV that has exactly these columns; none of one that hasn't."""
    known = ", ".join(columns)
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.reader(lines)
            header, *rows = [row for row in reader if row] or [[]]
    except FileNotFoundError:
        problems.append(Problem("the file is missing", f"add it with the columns {known}", file=path.name))
        return []
    except UnicodeDecodeError as error:
        problems.append(Problem(f"not UTF-8: {error.reason}", "save it as CSV UTF-8", file=path.name))
        return []
    wrong = [_entry(path.name, 1, name, "unknown column", f"use {known}") for name in header if name not in columns]
    wrong += [_entry(path.name, 1, name, "the column is missing", "add it") for name in columns if name not in header]
    problems += wrong
    if wrong:
        return []
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            message = f"{len(row)} cells under {len(header)} columns"
            problems.append(
                _entry(path.name, number, header[min(len(row), len(header) - 1)], message, "fill the row up")
            )
    return [dict(zip(header, row + [""] * len(header), strict=False)) for row in rows]


def _entry(file: str, row: int, column: str, message: str, remedy: str) -> Problem:
    return Problem(message, remedy, file=file, row=row, column=column)


Numbered = dict[str, list[tuple[int, dict[str, Any]]]]


def _parameter_problems(numbered: Numbered) -> Iterator[Problem]:
    file = "indicator_parameters.csv"
    known = declared()
    given = {(row["indicator_code"], row["parameter"]) for _, row in numbered["indicator_parameters"]}
    for number, row in numbered["indicator_parameters"]:
        indicator, parameter = known[row["indicator_code"]], row["parameter"]
        if parameter not in indicator.parameters:
            names = ", ".join(indicator.parameters)
            message = f"{indicator.code} has no parameter {parameter!r}"
            yield _entry(file, number, "parameter", message, f"use one of {names}")
        else:
            yield from (_entry(file, number, *problem) for problem in _value_problems(indicator, row))
    for number, row in numbered["indicators"]:
        code = row["indicator_code"]
        for parameter in known[code].parameters:
            if (code, parameter) not in given:
                message = f"{code} lacks its parameter {parameter}"
                yield _entry("indicators.csv", number, "indicator_code", message, f"add it to {file}")


_COUNTS = re.compile(r"(months|days|count|scores)$|^min_")
_AT_LEAST_ONE = ("months", "count", "scores", "window_days", "count_days", "drop")  # by 0 everybody would be warned of


def _value_problems(indicator: Indicator, row: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Column, message and remedy of values that don't go with what the indicator says of its parameter."""
    for column in ("serious", "watch"):
        number = row[column]
        if number is not None and _COUNTS.search(row["parameter"]) and number != int(number):
            yield column, f"{number} is not a whole number", "months, days and counts are whole"
        elif number == 0 and row["parameter"] in _AT_LEAST_ONE:
            yield column, f"{row['parameter']} can't be 0", "write a greater number"
    serious, watch, graver = row["serious"], row["watch"], indicator.parameters[row["parameter"]]
    if indicator.is_watch_only:
        if serious is not None:
            yield "serious", f"{indicator.code} has no serious state", "write the value under watch"
        if watch is None:
            yield "watch", "is empty", "write the value: the indicator has no other state"
    elif serious is None:
        yield "serious", "is empty", "write the value of the serious state"
    elif watch is not None and graver == "same":
        yield "watch", f"{row['parameter']} is one value for both states", "leave watch empty"
    elif watch is not None and (watch > serious if graver == "more" else watch < serious):
        message = f"watch {watch} is graver than serious {serious}"
        yield "watch", message, "watch is the milder value: swap the two, or leave watch empty"


def _rule_problems(numbered: Numbered) -> Iterator[Problem]:
    conditioned = {row["rule_code"] for _, row in numbered["level_conditions"]}
    file = "level_rules.csv"
    for number, row in numbered["level_rules"]:
        if row["kind"] == "all_of":
            if row["rule_code"] not in conditioned:
                remedy = "add one to level_conditions.csv"
                yield _entry(file, number, "rule_code", f"{row['rule_code']} has no condition", remedy)
            continue
        for column in ("least_state", "how_many", "families"):
            if not row[column]:
                yield _entry(file, number, column, "a count_of rule needs it", "fill it in")
        if (row["families"] or 0) > (row["how_many"] or 0):
            message = "more families than indicators can never be reached"
            yield _entry(file, number, "families", message, "lower it, or raise how_many")


def _condition_problems(numbered: Numbered) -> Iterator[Problem]:
    rules = {row["rule_code"] for _, row in numbered["level_rules"] if row["kind"] == "all_of"}
    indicators = {row["indicator_code"] for _, row in numbered["indicators"]}
    file = "level_conditions.csv"
    for number, row in numbered["level_conditions"]:
        code, measure = row["indicator_code"], row["measure"]
        measures = ("state", code, *declared()[code].measures)
        if row["rule_code"] not in rules:
            message = f"{row['rule_code']!r} is no all_of rule"
            yield _entry(file, number, "rule_code", message, "name one of level_rules.csv")
        if code not in indicators:
            yield _entry(file, number, "indicator_code", f"{code} is not in indicators.csv", "add it there")
        if measure not in measures:
            message = f"{code} has no measure {measure!r}"
            yield _entry(file, number, "measure", message, f"use one of {', '.join(measures)}")
        elif problem := _comparison_problem(row):
            yield _entry(file, number, "value", problem, "correct operator or value")


def _comparison_problem(row: dict[str, Any]) -> str | None:
    """Why a condition's operator and value don't go with what it measures."""
    if row["measure"] == "state":
        if row["value"] == "serious" and declared()[row["indicator_code"]].is_watch_only:
            return f"{row['indicator_code']} has no serious state"
        is_state = row["value"] in _STATES and row["operator"] in ("=", ">=")
        return None if is_state else "a state is compared by = or >= with serious or watch"
    try:
        _number(row["value"])
    except ValueError as error:
        return str(error)
    return None


def _standard_problems(numbered: Numbered) -> Iterator[Problem]:
    file = "response_standards.csv"
    priorities = {row["priority"] for _, row in numbered["response_standards"]}
    if "normal" not in priorities:
        yield Problem("the priority normal is missing", "add it: it stands for tickets without one", file=file)
    for number, row in numbered["response_standards"]:
        if row["hours"] == 0:
            yield _entry(file, number, "hours", "nobody answers in zero hours", "write a positive number")


def _setting_problems(numbered: Numbered) -> Iterator[Problem]:
    file = "hysteresis_and_budget.csv"
    for number, row in numbered["hysteresis_and_budget"]:
        name, value = row["parameter"], row["value"]
        if name in _AT_LEAST_1 and value < 1:
            yield _entry(file, number, "value", f"{name} can't be below 1", "write a greater number")
        elif name in _WHOLE and value != int(value):
            yield _entry(file, number, "value", f"{value} is not a whole number", "days, hours and counts are whole")
        elif name in _DEADLINES and value == 0:
            yield _entry(file, number, "value", "nobody reacts in zero hours", "write a positive number")
        elif name in _CAPS and value > 1:
            yield _entry(file, number, "value", f"{value} is more than all", "write a share; 1 is no cap")
    missing = set(SETTINGS) - {row["parameter"] for _, row in numbered["hysteresis_and_budget"]}
    for name in sorted(missing):
        yield Problem(f"{name} is missing", "add it", file=file, column="parameter")


def _playbook_problems(numbered: Numbered) -> Iterator[Problem]:
    """Whoever is warned is told what to do: each indicator's department has a first measure for every level."""
    file = "playbook.csv"
    first = {
        (row["department"], row["subject"], row["warning_level"]) for _, row in numbered["playbook"] if row["step"] == 1
    }
    for number, row in numbered["playbook"]:
        at = (row["department"], row["subject"])
        if row["step"] == 0:
            yield _entry(file, number, "step", "0 is no step", "the first measure is 1")
        elif not any((*at, level) in first for level in ("", row["warning_level"])):
            yield _entry(file, number, "step", "no first measure comes before it", "add one with step 1")
    remedy = "add a row with step 1 and an empty warning_level"
    for department in ("sales", "finance"):
        if (department, JOINT, "") not in first:
            yield Problem(f"{department} has no measure for {JOINT}", remedy, file=file, column="subject")
    for number, row in numbered["indicators"]:
        department = row["department"]
        if not {(department, row["indicator_code"], ""), (department, row["family"], "")} & first:
            message = f"{department} has no measure for {row['indicator_code']} or {row['family']}"
            yield _entry("indicators.csv", number, "department", message, f"{remedy} to {file}")


def store(warehouse: Warehouse, policy: Policy) -> None:
    """Keep a policy under its hash; a policy that is there already is left as it is."""
    with warehouse.connect() as connection:
        stored = connection.execute(
            "insert into policy.policy (policy_hash) values (%s) on conflict do nothing", (policy.policy_hash,)
        )
        if stored.rowcount == 0:
            return
        for table, rows in policy.tables.items():
            columns = ("policy_hash", *_TABLES[table][1])
            statement = sql.SQL("insert into policy.{} ({}) values ({})").format(
                sql.Identifier(table),
                sql.SQL(", ").join(map(sql.Identifier, columns)),
                sql.SQL(", ").join(sql.Placeholder() * len(columns)),
            )
            with connection.cursor() as cursor:
                cursor.executemany(
                    statement, [(policy.policy_hash, *(row[name] for name in columns[1:])) for row in rows]
                )
            # or the planner takes a few rows for hundreds and every join with them for a rare hit
            connection.execute(sql.SQL("analyze policy.{}").format(sql.Identifier(table)))
