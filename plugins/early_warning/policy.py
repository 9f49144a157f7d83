"""The policy: thresholds, level rules and standards as CSVs; checked at the door, hashed, stored.

A policy is what its lines say, not how the files are laid out: the hash is over the parsed rows, so a re-sorted
or re-saved file is the same policy.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from itertools import combinations, product
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

ATTRIBUTES = ("segment", "industry", "region")
"""What a customer is; a parameter may have another value for some. The first is the more specific."""

JOINT = "demand_and_arrears"  # the playbook's subject for a customer that orders less and owes
_LEVELS = ("1", "2", "3")

_CAPS = tuple(f"level_{level}_cap" for level in _LEVELS)
_DEADLINES = tuple(f"level_{level}_deadline_hours" for level in _LEVELS)
_COUNTS_OF_PRODUCTS = ("product_window_days", "product_baseline_days", "product_min_problems", "product_min_lines")
_OF_PRODUCTS = (*_COUNTS_OF_PRODUCTS, "product_factor")
_WHOLE = (
    *("cooldown_days", "inactive_days", "min_segment_customers", "cap_min_customers"),
    *("owner_budget", "follow_up_days", "reopen_days"),
    *_DEADLINES,
    *_COUNTS_OF_PRODUCTS,
)
SETTINGS = (*_WHOLE, "inactive_gap_multiple", "product_factor", *_CAPS)

_SPANS = ("horizon_days", "recovery_days", "health_window_days")
_SHARES = ("collapsed_share", "recovered_share")
OUTCOMES = (*_SPANS, *_SHARES)


@dataclass(frozen=True)
class Policy:
    """A checked policy: its rows by table (values as PostgreSQL takes them) and the hash that names it."""

    policy_hash: str
    tables: dict[str, tuple[dict[str, Any], ...]]

    @property
    def indicator_codes(self) -> tuple[str, ...]:
        """Indicators this policy judges by, sorted."""
        return tuple(sorted(row["indicator_code"] for row in self.tables["indicators"]))

    def outcome(self, parameter: str) -> Decimal:
        """A parameter of outcomes.csv."""
        return next(Decimal(row["value"]) for row in self.tables["outcomes"] if row["parameter"] == parameter)


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


def _day_or(unlimited: date) -> Callable[[str], date]:
    def read(cell: str) -> date:
        try:
            return date.fromisoformat(cell) if cell else unlimited
        except ValueError:
            raise ValueError(f"{cell!r} is not a date like 2026-12-31") from None

    return read


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
        ("indicator_code", "parameter", *ATTRIBUTES, "valid_from", "valid_until"),
        {
            "indicator_code": _indicator,
            "parameter": _text,
            "serious": _optional(_number),
            "watch": _optional(_number),
            **dict.fromkeys(ATTRIBUTES, str),
            "valid_from": _day_or(date.min),
            "valid_until": _day_or(date.max),
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
    "outcomes": (("parameter",), {"parameter": _one_of(*OUTCOMES), "value": _number}),
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

KEYS = {table: key for table, (key, _) in _TABLES.items()}
"""What tells the lines of each CSV apart."""

_MAY_BE_MISSING = (*ATTRIBUTES, "valid_from", "valid_until")
"""Columns that a file without exceptions can do without."""


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
        problems += _outcome_problems(numbered)
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
                row[name] = read(raw.get(name, "").strip())
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
    """Lines of a CSV that has these columns and no others; none of one that hasn't."""
    known = ", ".join(columns)
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.reader(lines)
            header, *rows = [row for row in reader if row] or [[]]
    except FileNotFoundError:
        problems.append(
            Problem(
                "the file is missing",
                f"add it, as in company/policy of the project, with the columns {known}",
                file=path.name,
            )
        )
        return []
    except UnicodeDecodeError as error:
        problems.append(Problem(f"not UTF-8: {error.reason}", "save it as CSV UTF-8", file=path.name))
        return []
    wrong = [_entry(path.name, 1, name, "unknown column", f"use {known}") for name in header if name not in columns]
    missing = [name for name in columns if name not in header and name not in _MAY_BE_MISSING]
    wrong += [_entry(path.name, 1, name, "the column is missing", "add it") for name in missing]
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


Entry = tuple[int, dict[str, Any]]
Numbered = dict[str, list[Entry]]


def _parameter_problems(numbered: Numbered) -> Iterator[Problem]:
    file = "indicator_parameters.csv"
    known = declared()
    entries = numbered["indicator_parameters"]
    given = {(row["indicator_code"], row["parameter"]) for _, row in entries if is_for_all(row)}
    for number, row in entries:
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
                remedy = f"add it to {file}, for all customers and all days"
                yield _entry("indicators.csv", number, "indicator_code", message, remedy)
    yield from _validity_problems(entries)
    yield from _history_problems(entries)


def is_for_all(row: dict[str, Any]) -> bool:
    """Whether an entry of indicator_parameters is the one for whomever and whenever no other applies."""
    return not any(_specificity(row))


def exception(row: dict[str, Any]) -> str:
    """Whom and when an entry of indicator_parameters is for: "segment retail, from 2026-11-01 until 2027-02-28"."""
    words = [f"{attribute} {row[attribute]}" for attribute in ATTRIBUTES if row[attribute]]
    days = [f"from {row['valid_from']}"] if row["valid_from"] > date.min else []
    days += [f"until {row['valid_until']}"] if row["valid_until"] < date.max else []
    return ", ".join([*words, *([" ".join(days)] if days else [])])


def _specificity(row: dict[str, Any]) -> tuple[int, ...]:
    """What makes the greater of two entries that apply win; policy.sql says the same in one number."""
    named = [int(row[attribute] != "") for attribute in ATTRIBUTES]
    return (sum(named), *named, int(row["valid_from"] > date.min or row["valid_until"] < date.max))


def _validity_problems(entries: Iterable[Entry]) -> Iterator[Problem]:
    """Entries that are never valid, or of which nobody knows which one counts."""
    file = "indicator_parameters.csv"
    alike: defaultdict[tuple[Any, ...], list[Entry]] = defaultdict(list)
    for number, row in entries:
        alike[(row["indicator_code"], row["parameter"], _specificity(row), *(row[name] for name in ATTRIBUTES))].append(
            (number, row)
        )
        if row["valid_from"] > row["valid_until"]:
            message = f"it ends before {row['valid_from']}, when it begins"
            yield _entry(file, number, "valid_until", message, "correct one of the two days")
    for of_same_customers in alike.values():
        for (first, one), (second, other) in combinations(of_same_customers, 2):
            if one["valid_from"] <= other["valid_until"] and other["valid_from"] <= one["valid_until"]:
                message = f"valid on days on which row {first} is valid for the same customers"
                yield _entry(file, second, "valid_from", message, "let one of the two end before the other begins")


def _history_problems(entries: Iterable[Entry]) -> Iterator[Problem]:
    """Baselines that may never be long enough to count, for whomever and whenever that is so."""
    lengths: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry[1]["parameter"] in ("baseline_months", "min_baseline_months"):
            lengths[entry[1]["indicator_code"]].append(entry)
    for of_indicator in lengths.values():
        told = set()
        for applying in _combinations(of_indicator):
            if len(applying) == 2 and (met := tuple(number for number, _ in applying.values())) not in told:
                told.add(met)
                (number, row), (other, least) = applying["baseline_months"], applying["min_baseline_months"]
                if 0 < row["serious"] < least["serious"]:
                    message = f"{row['serious']} months are never the {least['serious']} that row {other} asks for"
                    remedy = "raise it, write 0 for all months, or lower min_baseline_months"
                    yield _entry("indicator_parameters.csv", number, "serious", message, remedy)


def _combinations(entries: list[Entry]) -> Iterator[dict[str, Entry]]:
    """The entry of each parameter that counts, for every kind of customer and time that the entries tell apart."""
    values = [{"", *(row[name] for _, row in entries)} for name in ATTRIBUTES]
    days = {date.min} | {row["valid_from"] for _, row in entries}
    days |= {row["valid_until"] + timedelta(days=1) for _, row in entries if row["valid_until"] < date.max}
    for customer in product(*values, days):
        applying: dict[str, Entry] = {}
        for number, row in sorted(entries, key=lambda entry: _specificity(entry[1])):
            names = zip(ATTRIBUTES, customer, strict=False)
            if row["valid_from"] <= customer[-1] <= row["valid_until"] and all(row[a] in ("", v) for a, v in names):
                applying[row["parameter"]] = (number, row)
        yield applying


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
        if name in _OF_PRODUCTS and value < 1:
            yield _entry(file, number, "value", f"{name} can't be below 1", "write a greater number")
        elif name in _WHOLE and value != int(value):
            yield _entry(file, number, "value", f"{value} is not a whole number", "days, hours and counts are whole")
        elif name in _DEADLINES and value == 0:
            yield _entry(file, number, "value", "nobody reacts in zero hours", "write a positive number")
        elif name in _CAPS and value > 1:
            yield _entry(file, number, "value", f"{value} is more than all", "write a share; 1 is no cap")
    yield from _missing(SETTINGS, numbered["hysteresis_and_budget"], file)


def _outcome_problems(numbered: Numbered) -> Iterator[Problem]:
    file = "outcomes.csv"
    for number, row in numbered["outcomes"]:
        name, value = row["parameter"], row["value"]
        if name in _SPANS and (value != int(value) or value < 1):
            yield _entry(file, number, "value", f"{value} is no number of days", "write a whole number from 1 on")
        elif name in _SHARES and value > 1:
            yield _entry(file, number, "value", f"{value} is more than all", "write a share of the usual amount")
    yield from _missing(OUTCOMES, numbered["outcomes"], file)


def _missing(names: Iterable[str], entries: Iterable[Entry], file: str) -> Iterator[Problem]:
    for name in sorted(set(names) - {row["parameter"] for _, row in entries}):
        yield Problem(
            f"{name} is missing", f"add it, as in company/policy/{file} of the project", file=file, column="parameter"
        )


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


def stored(warehouse: Warehouse, policy_hash: str) -> Policy:
    """A policy that is kept under its hash, as it was checked then."""
    tables = {}
    for table, (key, columns) in _TABLES.items():
        names = ", ".join(f'"{name}"' for name in columns)
        rows = warehouse.rows(
            f"select {names} from policy.{table} where policy_hash = %s order by {', '.join(key)}",  # noqa: S608
            policy_hash,
        )
        tables[table] = tuple(rows)
    return Policy(policy_hash, tables)
