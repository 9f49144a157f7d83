"""Small changes of a policy: which there are, what they make of its rules, and of its CSVs as people diff them."""

from __future__ import annotations

import csv
import difflib
import io
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from early_warning.policy import Policy, load

FACTORS = tuple(map(Decimal, ("0.5", "0.6", "0.75", "0.9", "1.1", "1.25", "1.5", "2")))
"""By how much a threshold is moved, before it is made a figure that people would write."""

TOLD_APART = "service_fluctuation"
"""The rule that warns of no loss (docs/decisions/0002), so nothing that is judged by losses may touch it."""

_CONDITION = ("rule_code", "indicator_code", "measure", "operator")


@dataclass(frozen=True, order=True)
class Condition:
    """One comparison of an all_of rule; `value` is a state or, as written, a number."""

    indicator_code: str
    measure: str
    operator: str
    value: str

    @property
    def threshold(self) -> Decimal | None:
        """The number that the measure is compared with; None for a state."""
        return None if self.measure == "state" else Decimal(self.value)


@dataclass(frozen=True)
class Rule:
    """A line of level_rules.csv with its conditions; what a rule is called matters less than what it says."""

    rule_code: str
    warning_level: int
    kind: str
    least_state: str | None
    how_many: int | None
    families: int | None
    among_families: tuple[str, ...]
    must_include_families: tuple[str, ...]
    only_key_indicators: bool
    conditions: tuple[Condition, ...]


Rules = frozenset[Rule]


@dataclass(frozen=True)
class Change:
    """A condition with another threshold, a rule at another level or, where `after` is None, a rule left out."""

    rule_code: str
    condition: Condition | None
    before: str
    after: str | None

    def __str__(self) -> str:
        if self.after is None:
            return f"{self.rule_code}: left out (was level {self.before})"
        if self.condition is None:
            return f"{self.rule_code}: level {self.before} → {self.after}"
        compared = f"{self.condition.indicator_code}.{self.condition.measure} {self.condition.operator}"
        return f"{self.rule_code}: {compared} {self.before} → {self.after}"

    def clashes_with(self, other: Change) -> bool:
        """Whether the two touch the same cell, or one a rule that the other leaves out."""
        if self.rule_code != other.rule_code:
            return False
        return self.condition == other.condition or None in (self.after, other.after)


Changes = tuple[Change, ...]


def rules_of(policy: Policy) -> Rules:
    """The level rules of a policy."""
    conditions: dict[str, list[Condition]] = {}
    for row in policy.tables["level_conditions"]:
        cells = (row[name] for name in (*_CONDITION[1:], "value"))
        conditions.setdefault(row["rule_code"], []).append(Condition(*cells))
    return frozenset(
        Rule(
            rule_code=row["rule_code"],
            warning_level=row["warning_level"],
            kind=row["kind"],
            least_state=row["least_state"],
            how_many=row["how_many"],
            families=row["families"],
            among_families=tuple(row["among_families"]),
            must_include_families=tuple(row["must_include_families"]),
            only_key_indicators=row["only_key_indicators"],
            conditions=tuple(sorted(conditions.get(row["rule_code"], ()))),
        )
        for row in policy.tables["level_rules"]
    )


def possible(rules: Rules) -> list[Change]:
    """Every small change of some rules, always in the same order."""
    return [change for rule in sorted(rules, key=lambda rule: rule.rule_code) for change in _of_rule(rule)]


def _of_rule(rule: Rule) -> Iterator[Change]:
    if rule.rule_code == TOLD_APART:
        return
    level = str(rule.warning_level)
    for condition in rule.conditions:
        if condition.threshold is not None:
            for value in _moved(condition.measure, condition.threshold):
                yield Change(rule.rule_code, condition, condition.value, value)
    for other in (rule.warning_level - 1, rule.warning_level + 1):
        if 1 <= other <= 3:
            yield Change(rule.rule_code, None, level, str(other))
    yield Change(rule.rule_code, None, level, None)


def _moved(measure: str, threshold: Decimal) -> list[str]:
    """Thresholds around one, as people write them: whole where it is and its measure is no ratio, fives from 20 on."""
    is_whole = threshold == threshold.to_integral_value() and not measure.endswith("ratio")
    values = []
    for factor in FACTORS:
        exact = threshold * factor
        if is_whole:
            step = Decimal(5 if exact >= 20 else 1)
            value = (exact / step).quantize(Decimal(1)) * step
        else:
            value = exact.quantize(Decimal(1).scaleb(exact.adjusted() - 1)) if exact else exact
        text = format(value.normalize(), "f")
        if value not in (threshold, 0) and text not in values:
            values.append(text)
    return values


def applied(rules: Rules, changes: Iterable[Change]) -> Rules:
    """The rules with some changes that don't clash."""
    by_code = {rule.rule_code: rule for rule in rules}
    for change in changes:
        rule = by_code[change.rule_code]
        if change.after is None:
            del by_code[change.rule_code]
        elif change.condition is None:
            by_code[change.rule_code] = replace(rule, warning_level=int(change.after))
        else:
            moved = replace(change.condition, value=change.after)
            others = (condition for condition in rule.conditions if condition != change.condition)
            by_code[change.rule_code] = replace(rule, conditions=tuple(sorted((*others, moved))))
    return frozenset(by_code.values())


# --- the CSVs -----------------------------------------------------------------------------------------------------


def changed_files(folder: Path, changes: Sequence[Change]) -> dict[str, tuple[str, str]]:
    """Text before and after of each policy CSV that the changes touch, by file name. No other cell is written anew."""
    found = {}
    for name in ("level_rules.csv", "level_conditions.csv"):
        before = (folder / name).read_bytes().decode("utf-8")
        after = _changed(before, changes, is_conditions=name == "level_conditions.csv")
        if after != before:
            found[name] = (before, after)
    return found


def write(policy_folder: Path, into: Path, changes: Sequence[Change]) -> Policy:
    """Write a policy folder that is the given one with some changes, and return the policy it holds.

    Raises:
        ConfigurationError: when the changed files are no policy.
    """
    shutil.copytree(policy_folder, into, dirs_exist_ok=True)
    for name, (_, after) in changed_files(policy_folder, changes).items():
        (into / name).write_bytes(after.encode("utf-8"))
    return load(into)


def diff(files: dict[str, tuple[str, str]]) -> str:
    """A unified diff for `patch -p1` or `git apply` in the company folder; empty if there is nothing to change."""
    lines: list[str] = []
    for name, (before, after) in files.items():
        old, new = (_lines(text) for text in (before, after))
        lines += difflib.unified_diff(old, new, f"a/policy/{name}", f"b/policy/{name}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _lines(text: str) -> list[str]:
    """Lines with their ends, parted at line feeds alone as diffs part them."""
    return [line for line in re.split(r"(?<=\n)", text) if line]


def _changed(text: str, changes: Sequence[Change], *, is_conditions: bool) -> str:
    records = _records(text)
    head = _values(records[0].lstrip("\ufeff"))
    for place in range(1, len(records)):
        for change in changes:
            row = dict(zip(head, _values(records[place]), strict=False))
            if row.get("rule_code", "").strip() == change.rule_code:
                edits = _condition_edits(row, change) if is_conditions else _rule_edits(row, change)
                records[place] = "" if edits is None else _with(records[place], head, edits)
    return "".join(records)


def _condition_edits(row: dict[str, str], change: Change) -> dict[str, str] | None:
    """Cells of a line of level_conditions.csv that a change of its rule writes; None: the line goes."""
    if change.after is None:
        return None
    of = change.condition
    if of is None or [row[name].strip() for name in _CONDITION[1:]] != [of.indicator_code, of.measure, of.operator]:
        return {}
    return {"value": change.after}


def _rule_edits(row: dict[str, str], change: Change) -> dict[str, str] | None:
    """Cells of a line of level_rules.csv that a change of its rule writes; None: the line goes.

    A description that names the threshold, once, is kept true.
    """
    if change.after is None:
        return None
    if change.condition is None:
        return {"warning_level": change.after}
    told, named = re.subn(rf"(?<![\d.]){re.escape(change.before)}(?![\d.]*\d)", change.after, row["description"])
    return {"description": told} if named == 1 else {}


def _records(text: str) -> list[str]:
    """The records of a CSV as they stand, line ends included; a quoted cell may run over lines."""
    records, quotes = [""], 0
    for line in _lines(text):
        if quotes % 2 == 0 and records[-1]:
            records.append("")
        records[-1] += line
        quotes += line.count('"')
    return records


def _values(record: str) -> list[str]:
    return next(csv.reader(io.StringIO(record, newline="")), [])


def _with(record: str, head: Sequence[str], edits: dict[str, str]) -> str:
    """A record with some cells written anew, in quotes where they were, the rest as it stands."""
    body = record.rstrip("\r\n")
    cells = re.findall(r'((?:^|,)(?:\s*"(?:[^"]|"")*"[^,]*|[^,]*))', body)
    for place, name in enumerate(head[: len(cells)]):
        if name in edits:
            comma = "," if place else ""
            is_quoted = '"' in cells[place]
            value = edits[name].replace('"', '""') if is_quoted else edits[name]
            cells[place] = f'{comma}"{value}"' if is_quoted else f"{comma}{value}"
    return "".join(cells) + record[len(body) :]
