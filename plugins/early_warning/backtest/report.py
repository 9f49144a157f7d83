"""A back-test as people read it on one screen, and as JSON (spec: interfaces, `backtest --json`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import sqrt
from typing import Any

from early_warning.backtest import GROUPS, NORMAL_95, Backtest

_NAMES = {
    "1": "level 1",
    "2": "level 2",
    "3": "level 3 *",
    "none": "no level *",
    "1-2": "levels 1 to 2",
    "1-3": "levels 1 to 3 *",
}
_COMPARED = ("1", "1-2", "1-3")  # with as many put first: the second level alone is not the first of any order
_MOST_DIFFERENCES = 10
_MOST_PARTS = 12
_MOST_CHANGED = 4


def as_json(result: Backtest) -> dict[str, Any]:
    """Cells by day, what they come to together, and who is judged otherwise than before."""
    return {
        "policy": result.policy_hash,
        "compared_with": result.before,
        "knowledge": result.knowledge,
        "cells": [_cell(result, cell) for cell in result.cells],
        "horizon_days": result.horizon_days,
        "days": [day.as_of_date for day in result.days],
        "pooled": _pooled(result, result.groups),
        "pooled_before": _pooled(result, result.groups_before),
        "difference_to_recency": difference_to_recency(result),
        "parts": [part | {"precision": _share(part["lost"], part["warned"])} for part in result.parts],
        "cohorts": list(result.cohorts),
        "warnings_per_owner_and_week": result.pace,
        "differences": list(result.differences),
        "effect": result.effect,
    }


def as_text(result: Backtest, changed: Sequence[str] = ()) -> str:
    """What a policy would have told: whether that is better on the first screen, then level by level and day by day.

    `changed`: in words, what sets it apart from the policy in force.
    """
    lines = [*_head(result)]
    if result.before and result.days:
        lines += ["", *_differences(result, changed)]
    if result.cells:
        lines += ["", *_groups(result), "", *_ranking(result), "", *_parts(result), "", *_days(result)]
    return "\n".join(lines)


def interval(result: Backtest, name: str) -> tuple[float, float] | None:
    """95 % interval of the share lost in a group of levels, customers taken as the pieces of evidence."""
    error = _error(result, name)
    if error is None:
        return None
    if error["share"] in (0, 1):  # no spread to measure: Wilson's interval of that many customers
        return _wilson(error["share"], error["customers"])
    if error["share_error"] is None:
        return None
    reach = NORMAL_95 * error["share_error"]
    return max(0.0, error["share"] - reach), min(1.0, error["share"] + reach)


def difference_to_recency(result: Backtest) -> dict[str, float | None] | None:
    """By how much the share lost of levels 1 to 2 exceeds that of as many silent for longest; 95 % interval."""
    error = _error(result, "1-2")
    if error is None:
        return None
    group = _summed(result.groups)["1-2"]
    difference = float(group["lost"] - group["recency_lost"]) / group["warned"]
    reach = None if error["difference_error"] is None else NORMAL_95 * error["difference_error"]
    low, high = (None, None) if reach is None else (difference - reach, difference + reach)
    return {"difference": difference, "low": low, "high": high}


def _error(result: Backtest, name: str) -> Mapping[str, Any] | None:
    """The standard errors of a group of levels; None where it holds nobody."""
    return next((row for row in result.errors if row["name"] == name and row["share"] is not None), None)


def _wilson(share: float, count: int) -> tuple[float, float]:
    square = NORMAL_95**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    reach = NORMAL_95 * sqrt(share * (1 - share) / count + square / (4 * count**2)) / (1 + square / count)
    return middle - reach, middle + reach


def _cell(result: Backtest, cell: Mapping[str, Any]) -> dict[str, Any]:
    groups = result.of_day(cell["as_of_date"])
    totals = cell["judged"], cell["churned"], cell["revenue_lost"]
    scores = {name: _scores(groups[name], *totals) for name in GROUPS if name in groups}
    warned = groups["1-3"]
    return {
        "as_of_date": cell["as_of_date"],
        "horizon_days": result.horizon_days,
        "judged": cell["judged"],
        "churned": cell["churned"],
        "levels": {name: _three(scores[name]) for name in ("1", "2", "3", "none")},
        "cumulative": {name: _three(scores[name]) for name in _COMPARED},
        "same_count": {name: scores[name]["same_count"] for name in _COMPARED},
        "silent_90_days": {
            "warned": cell["silent_90"],
            "precision": _share(cell["silent_90_lost"], cell["silent_90"]),
            "recall": _share(cell["silent_90_lost"], cell["churned"]),
        },
        "auc": {"recency": cell["recency_auc"], "policy": cell["policy_auc"]},
        "lead_days_median": {"recency": warned["recency_lead_days"], "policy": warned["lead_days"]},
    }


def _summed(groups: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Counts and amounts of all days by group of levels."""
    sums: dict[str, dict[str, Any]] = {name: defaultdict(int) for name in GROUPS}
    for row in groups:
        for name in ("warned", "lost", "revenue", "recency_lost", "recency_revenue", "dear_revenue"):
            sums[row["name"]][name] += row[name]
    return sums


def _pooled(result: Backtest, groups: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    churned, revenue = (sum(cell[name] for cell in result.cells) for name in ("churned", "revenue_lost"))
    judged = sum(cell["judged"] for cell in result.cells)
    leads = {row["name"]: row for row in result.leads}  # none where no day is scored
    pooled = {}
    for name, group in _summed(groups).items():
        scores = _scores(group, judged, churned, revenue)
        pooled[name] = scores if name in _COMPARED else _three(scores)
        if groups is result.groups:
            pooled[name]["interval"] = list(interval(result, name) or ())
            lead = leads.get(name, {})
            pooled[name]["lead_days_median"] = {
                "recency": lead.get("recency_lead_days"),
                "policy": lead.get("lead_days"),
            }
    return pooled


def _scores(group: Mapping[str, Any], judged: int, churned: int, revenue: Any) -> dict[str, Any]:
    """A group beside as many put first by silence, and as many drawn by lot (what that gives on the average)."""
    return {
        "warned": group["warned"],
        "precision": _share(group["lost"], group["warned"]),
        "recall": _share(group["lost"], churned),
        "same_count": {
            "policy": {
                "precision": _share(group["lost"], group["warned"]),
                "revenue_caught": _share(group["revenue"], revenue),
                "revenue_caught_by_money_at_risk": _share(group["dear_revenue"], revenue),
            },
            "recency": {
                "precision": _share(group["recency_lost"], group["warned"]),
                "revenue_caught": _share(group["recency_revenue"], revenue),
            },
            "random": {
                "precision": _share(churned, judged) if group["warned"] else None,
                "revenue_caught": _share(group["warned"], judged),
            },
        },
    }


def _three(scores: Mapping[str, Any]) -> dict[str, Any]:
    return {name: scores[name] for name in ("warned", "precision", "recall")}


def _share(part: Any, whole: Any) -> float | None:
    return float(part / whole) if whole else None


def _head(result: Backtest) -> Iterator[str]:
    days = [day.as_of_date for day in result.days]
    yield f"Policy {result.policy_hash[:19]}…"
    if not days:
        yield "None of these days has been reached by a published run, so nothing is known of them."
        return
    yield f"  {len(days)} days from {days[0]} to {days[-1]}, judged by {result.knowledge}"
    judged, churned = (sum(cell[name] for cell in result.cells) for name in ("judged", "churned"))
    yield (
        f"  {len(result.cells)} of them lie {result.horizon_days} days back, so that it is known what came of them:"
        f" {judged:,} times a customer was judged, {churned:,} of them it was lost"
        f" ({percent(_share(churned, judged))})"
    )


def _groups(result: Backtest) -> Iterator[str]:
    judged, churned = (sum(cell[name] for cell in result.cells) for name in ("judged", "churned"))
    revenue = sum(cell["revenue_lost"] for cell in result.cells)
    pooled = _summed(result.groups)
    rows = []
    for name in GROUPS:
        group = pooled[name]
        low_high = interval(result, name)
        rows.append(
            (
                _NAMES[name],
                f"{group['warned']:,}",
                percent(_share(group["warned"], judged)),
                percent(_share(group["lost"], group["warned"])),
                f"{low_high[0]:.0%}–{low_high[1]:.0%}" if low_high else "–",
                percent(_share(group["recency_lost"], group["warned"])) if name in _COMPARED else "",
                percent(_share(group["lost"], churned)),
                percent(_share(group["revenue"], revenue)),
                percent(_share(group["dear_revenue"], revenue)) if name in _COMPARED else "",
                percent(_share(group["recency_revenue"], revenue)) if name in _COMPARED else "",
            )
        )
    heads = ("", "warned", "share", "lost", "95 %", "(silent)", "recall", "money", "(dearest)", "(silent)")
    yield from table(heads, rows)
    yield "  lost: of the warned. recall: of the lost. money: of the lost customers' revenue. Each beside what as many"
    yield "  give that were silent for longest, or that have the most money at risk of levels 1 to 3 (dearest)."
    yield "  * service_fluctuation alone counts as no level."


def _ranking(result: Backtest) -> Iterator[str]:
    difference = difference_to_recency(result)
    if difference:
        points, low, high = (None if value is None else 100 * value for value in difference.values())
        span = f" ({low:+.1f} to {high:+.1f})" if low is not None else ""
        yield f"Levels 1 to 2 against as many silent for longest: {points:+.1f} points of precision{span}."
    aucs = [(cell["policy_auc"], cell["recency_auc"]) for cell in result.cells if cell["policy_auc"] is not None]
    if aucs:
        policy, recency = (sum(map(float, column)) / len(aucs) for column in zip(*aucs, strict=True))
        yield f"As a ranking of everybody (area under the curve, mean of days): {policy:.3f}, by silence {recency:.3f}."
    silent, lost = (sum(cell[name] for cell in result.cells) for name in ("silent_90", "silent_90_lost"))
    yield f"No order for 90 days: {silent:,} customers, {percent(_share(lost, silent))} of them lost."
    if result.pace["raised"] is not None:
        raised, false = (float(result.pace[name]) for name in ("raised", "false_alarms"))
        yield f"New warnings an owner gets in a week: at least {raised:.1f}, {false:.1f} of them about who stays."


def _parts(result: Backtest) -> Iterator[str]:
    churned = sum(cell["churned"] for cell in result.cells)
    for kind, title in (("rule", "rule"), ("indicator", "serious indicator"), ("segment", "segment, levels 1 to 3 *")):
        parts = [part for part in result.parts if part["kind"] == kind]
        rows = [
            (
                part["name"],
                f"{part['warned']:,}",
                percent(_share(part["lost"], part["warned"])),
                percent(_share(part["lost"], churned)),
                f"{part['lead_days']:.0f}" if part["lead_days"] is not None else "–",
            )
            for part in parts[:_MOST_PARTS]
        ]
        yield from table((title, "warned", "lost", "recall", "lead days"), rows)
        if len(parts) > _MOST_PARTS:
            yield f"  … and {len(parts) - _MOST_PARTS} more"
    yield "  lead days: median from the day to the one on which the lost customer counts as lapsed."


def _days(result: Backtest) -> Iterator[str]:
    rows = []
    for cell in result.cells:
        groups = result.of_day(cell["as_of_date"])
        shares = (
            f"{percent(_share(groups[name]['lost'], groups[name]['warned']))} of {groups[name]['warned']:,}"
            for name in ("1", "2", "3", "none")
        )
        rows.append((str(cell["as_of_date"]), *shares))
    yield from table(("share lost", "level 1", "level 2", "level 3 *", "no level *"), rows)


def _differences(result: Backtest, changed: Sequence[str]) -> Iterator[str]:
    """The answer to what was asked: is it better, by how much, whom does it add, drop and move."""
    assert result.before is not None
    yield f"Against the policy in force, {result.before[:19]}…, on all days together:"
    if changed:
        more = len(changed) - _MOST_CHANGED
        yield f"  changed: {'; '.join(changed[:_MOST_CHANGED])}{f'; {more} more' if more > 0 else ''}"
    if result.effect:
        yield from verdict(result.effect)
        yield from effect_table(result.effect)
    added = [row for row in result.differences if row["level_before"] is None]  # by more than service_fluctuation
    dropped = [row for row in result.differences if row["level"] is None]
    moved = [row for row in result.differences if row["level_before"] and row["level"]]
    up, down = ([row for row in moved if sign * row["level"] < sign * row["level_before"]] for sign in (1, -1))
    counted = (
        ("adds", added, "warnings of any level"),
        ("drops", dropped, "warnings of any level"),
        ("gives", up, "customers a graver level"),
        ("gives", down, "customers a milder level"),
    )
    for verb, rows, what in counted:
        known = [row["is_lost"] for row in rows if row["is_lost"] is not None]
        came = f"; {percent(_share(sum(known), len(known)))} of the {len(known):,} known were lost" if known else ""
        yield f"  {verb} {len(rows):,} {what}{came}"
    newest = [row for row in result.differences if row["as_of_date"] == result.days[-1].as_of_date]
    newest.sort(key=lambda row: min(row["level"] or 4, row["level_before"] or 4))
    if newest:
        yield f"  on {result.days[-1].as_of_date} it changes {len(newest):,} customers, the gravest and dearest first:"
        yield from (_difference(row) for row in newest[:_MOST_DIFFERENCES])
        if len(newest) > _MOST_DIFFERENCES:
            yield f"    … and {len(newest) - _MOST_DIFFERENCES:,} more (all with --json)"


def verdict(effect: Mapping[str, Mapping[str, float | None]]) -> Iterator[str]:
    """Whether a change is better, by an effect as of backtest.effect, as two lines.

    The first word goes by the 95 % intervals of precision and recall that leave 0 out. A recall that rises while
    precision does not, is bought by more warnings: that alone is not better.
    """
    precision, recall, warnings = (effect[name] for name in ("precision", "recall", "warnings_a_day"))
    directions = {_direction(precision), _direction(recall)} - {0}
    is_bought = directions == {1} and not _direction(precision) and (precision["difference"] or 0) <= 0
    if not directions:
        word = "No clear difference"
    elif len(directions) > 1 or is_bought:
        word = "Mixed"
    else:
        word = "Better" if directions == {1} else "Worse"
    yield (
        f"  {word}: of those warned at levels 1 and 2 {percent(precision['before'])} → {percent(precision['after'])}"
        f" were lost{_reach(precision, ' points')},"
    )
    yield (
        f"  {percent(recall['before'])} → {percent(recall['after'])} of the lost were warned of{_reach(recall)},"
        f" {warnings['before'] or 0:,.0f} → {warnings['after'] or 0:,.0f} customers a day at these levels."
    )


def _direction(figure: Mapping[str, float | None]) -> int:
    """1 or -1 where the whole interval of the difference lies above or below 0, else 0."""
    return int((figure["low"] or 0) > 0) - int((figure["high"] or 0) < 0)


def _reach(figure: Mapping[str, float | None], unit: str = "") -> str:
    low, high = figure["low"], figure["high"]
    return "" if low is None or high is None else f" ({100 * low:+.1f} to {100 * high:+.1f}{unit})"


def _difference(row: Mapping[str, Any]) -> str:
    levels = " → ".join("none" if row[name] is None else f"level {row[name]}" for name in ("level_before", "level"))
    rules = ", ".join(sorted({*row["rule_codes"]} ^ {*row["rule_codes_before"]})) or "by rules of another level now"
    fate = {True: ", was lost", False: ", stayed", None: ""}[row["is_lost"]]
    at_risk = f"{row['money_at_risk_amount']:,.0f} at risk"
    return f"    {row['customer_id']} {row['customer_name']}: {levels} ({rules}), {at_risk}{fate}"


_FIGURES = {
    "precision": "lost, of the warned",
    "recall": "warned, of the lost",
    "revenue_caught": "of the lost customers' revenue",
    "warnings_a_day": "customers warned a day",
}


def effect_table(effect: Mapping[str, Mapping[str, float | None]]) -> Iterator[str]:
    """An effect as of backtest.effect, a line a figure."""
    rows = []
    for name, text in _FIGURES.items():
        is_share, figure = name != "warnings_a_day", effect[name]
        rows.append(
            (text, *(_number(figure[column], is_share) for column in ("before", "after")), *_span(figure, is_share))
        )
    yield from table(("", "in force", "changed", "difference", "95 %"), rows)


def _number(value: float | None, is_share: bool) -> str:
    return percent(value) if is_share else "–" if value is None else f"{value:,.1f}"


def _span(figure: Mapping[str, float | None], is_share: bool) -> tuple[str, str]:
    values = [figure[name] for name in ("difference", "low", "high")]
    known = [value * (100 if is_share else 1) for value in values if value is not None]
    if len(known) < len(values):
        return "–", "–"
    difference, low, high = (f"{value + 0.0:+.1f}" for value in (round(one, 1) for one in known))
    return difference, f"{low} to {high}"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Columns side by side: the first to the left, figures to the right."""
    lines = [heads, *rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(heads))]
    for first, *rest in lines:
        cells = (cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))
        yield f"  {first.ljust(widths[0])}  {'  '.join(cells)}".rstrip()


def percent(share: float | None) -> str:
    """A share as people read it."""
    return "–" if share is None else f"{100 * share:.1f}%"
