"""What a person reads at the end of `early-warning run`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from early_warning.policy_changes import in_words
from early_warning.problems import Problem
from early_warning.settings import Company, typed

_GATES = "select gate, message from bi.gates where verdict <> 'pass' and run_id = "
_WARNINGS = (
    "select customer_name, warning_level, reason from bi.warnings where as_of_date = 'DAY'"
    " order by warning_level, money_at_risk_amount desc limit 10"
)
_MOST_DIFFERENCES = 3
_LEVELS = {"1": "very high", "2": "high", "3": "slight"}


def summary(company: Company, home: Path, reports: list[dict[str, Any]], notices: Iterable[Problem] = ()) -> str:
    """Say what became of the runs, of the last one in full, and what of the configuration is odd. Plain text."""
    if not reports:
        return "Nothing was due."
    *earlier, last = reports
    lines = [f"{run['as_of_date']}: {run['state']}" for run in earlier]
    lines.append("")
    lines += _published(company, last) if last["state"] == "published" else _not_published(last)
    lines += [f"  notice      {notice}" for notice in notices]
    lines += ["", *_next_steps(company, home, last)]
    return "\n".join(lines)


def levels_in_words(levels: dict[str, int]) -> str:
    """How many customers hold each level."""
    return ", ".join(f"level {level} ({_LEVELS[level]}): {count:,}" for level, count in levels.items())


def _published(company: Company, run: dict[str, Any]) -> list[str]:
    customers, mails = run["customers"], run["mails"]
    lines = [
        f"{company.name}, {run['as_of_date']}: published as run {run['run_id']}"
        + (" (a back-fill: nobody is mailed)" if run["is_backfill"] else ""),
        f"  customers   {customers['judged']:,} judged, {customers['lapsed']:,} lapsed,"
        f" {customers['prospect']:,} prospects",
        f"  warnings    {levels_in_words(run['levels'])}",
        *_gates(run),
    ]
    lines += [*_policy_change(run), *_unknown(run["unknown"])]
    lines.append(f"  mails       {mails['composed']} written, {mails['sent']} sent")
    return lines


def _policy_change(run: dict[str, Any]) -> list[str]:
    """By which other rules than the run before this one judged, in a line."""
    change = run.get("policy_change")
    if not change:
        return []
    told = [in_words(difference) for difference in change["differences"]]
    more = [f"{len(told) - _MOST_DIFFERENCES} more"] if len(told) > _MOST_DIFFERENCES else []
    said = "; ".join([*told[:_MOST_DIFFERENCES], *more])
    return [f"  policy      changed since run {change['previous_run_id']} by {change['changed_by']}: {said}"]


def _unknown(unknown: dict[str, dict[str, int]]) -> list[str]:
    """What is missing, indicator by indicator, since somebody can mend that; of the rest how many there are."""
    told, rest = [], 0
    for code, reasons in unknown.items():
        mendable = {reason: count for reason, count in reasons.items() if reason in ("no_data", "stale")}
        told += [f"{code} {count:,} {reason}" for reason, count in mendable.items()]
        rest += sum(reasons.values()) - sum(mendable.values())
    if rest:
        told.append(f"{rest:,} times too short a history, nothing to compare with, or expired")
    return [f"  {'' if position else 'unknown':<12}{what}" for position, what in enumerate(told)]


def _not_published(run: dict[str, Any]) -> list[str]:
    return [
        f"{run['as_of_date']}: {run['state']}. Nothing of this run is published; readers see the last good day.",
        *_gates(run),
        *(f"  {line}" for line in (run.get("message") or "").splitlines()),
    ]


def _gates(run: dict[str, Any]) -> list[str]:
    words = [
        f"{gate['name']} {gate['verdict']}" + (f" ({gate['warnings']} warnings)" if gate["warnings"] else "")
        for gate in run["gates"]
    ]
    quarantined = sum(batch["quarantined"] for batch in run["batches"].values())
    return [
        f"  gates       {', '.join(words) or 'none reached'}",
        f"  rows        {sum(batch['rows'] for batch in run['batches'].values()):,} new, {quarantined:,} quarantined",
    ]


def _next_steps(company: Company, home: Path, run: dict[str, Any]) -> list[str]:
    again = typed("run", company=company.folder)
    steps = {}
    if run["mails"]["composed"] and (home / "mail").exists():
        steps["read the mails"] = f"open {home / 'mail'}/*.html, or: {typed('outbox', 'list')}"
    if run["state"] == "published" and any(gate["warnings"] for gate in run["gates"]):
        steps["what gates said"] = typed("sql", f"{_GATES}{run['run_id']}")
    if any(batch["quarantined"] for batch in run["batches"].values()):
        steps["unusable rows"] = typed("quarantine", "list")
    if run["state"] == "published":
        steps["query"] = typed("sql", _WARNINGS.replace("DAY", run["as_of_date"]))
        steps["change a rule"] = f"edit {company.policy_folder}/*.csv, then: {again} --as-of {run['as_of_date']}"
        steps["the next day"] = again
    else:
        steps["once it is mended"] = f"{again} --as-of {run['as_of_date']}"
    return [f"  {name:<18}{text}" for name, text in steps.items()]
