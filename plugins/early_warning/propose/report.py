"""A proposal as people read it on one screen, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from early_warning.backtest.report import effect_table, percent, table
from early_warning.propose import Proposal
from early_warning.propose.changes import Change
from early_warning.propose.search import Found

_VERDICTS = {
    "holds": "It holds on later days: more of the lost are warned of.",
    "fails": "It does not hold on later days: fewer of the lost are warned of. Keep the policy.",
    "open": "It is not shown to hold on later days: the difference may be chance.",
    "fewer": "On later days fewer are warned, as the budget asks; see what of the lost that gives up.",
}
_LEVELS = {1: "level 1", 2: "level 2", 3: "level 3", 4: "none"}


def as_json(proposal: Proposal) -> dict[str, Any]:
    """All that the screen says; shares are fractions, figures those of levels 1 and 2."""
    found = proposal.found
    return {
        "policy": proposal.policy_hash,
        "proposed_policy": proposal.proposed_hash,
        "changes": [_change(change) for change in proposal.changes],
        "diff": proposal.diff,
        "basis": proposal.basis,
        "verdict": proposal.verdict,
        "expected": proposal.expected,
        "in_sample": proposal.in_sample,
        "horizon_days": proposal.horizon_days,
        "days": [day.as_of_date for day in proposal.days],
        "scored_days": list(proposal.scored_days),
        "budget": found and found.budget,
        "tried": found and found.tried,
        "keeps_order": found and {"in_force": found.in_force.is_ordered, "proposed": found.chosen.is_ordered},
        "walk_forward": [
            {
                "chosen_on": [min(one.chosen_on), max(one.chosen_on)],
                "changes": [_change(change) for change in one.found.changes],
                **one.outcome,
            }
            for one in proposal.walk
        ],
        "in_sample_days": list(proposal.moved),
    }


def as_bytes(proposal: Proposal) -> bytes:
    """The same as a file: numbers are numbers, days ISO text."""
    return json.dumps(as_json(proposal), ensure_ascii=False, indent=1, default=_plain).encode()


def _plain(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else str(value)


def _change(change: Change) -> dict[str, Any]:
    condition = change.condition
    return {
        "rule_code": change.rule_code,
        "indicator_code": condition and condition.indicator_code,
        "measure": condition and condition.measure,
        "operator": condition and condition.operator,
        "column": "value" if condition else "warning_level",
        "before": change.before,
        "after": change.after,
        "text": str(change),
    }


def as_text(proposal: Proposal) -> str:
    """What would change, what to expect of it, and by which days one may believe it."""
    lines = [*_head(proposal)]
    if proposal.found:
        lines += ["", *_proposed(proposal, proposal.found), "", *_expected(proposal)]
        if proposal.walk:
            lines += ["", *_walk(proposal)]
    return "\n".join(lines)


def _head(proposal: Proposal) -> Iterator[str]:
    yield f"Policy {proposal.policy_hash[:19]}…"
    if not proposal.days:
        yield "None of these days has been reached by a published run, so nothing is known of them."
        return
    first, last = proposal.days[0].as_of_date, proposal.days[-1].as_of_date
    yield f"  {len(proposal.days)} days from {first} to {last}, {len(proposal.scored_days)} of them known"
    yield f"  {proposal.horizon_days} days later, so that one can say who was lost."
    if not proposal.found:
        yield "Without such a day there is nothing to choose by."


def _proposed(proposal: Proposal, found: Found) -> Iterator[str]:
    yield (
        f"Looked at {found.tried} ways to change it, for at most {found.budget:,.1f} customers a day at levels 1 and 2"
        f" (in force: {found.in_force.warned / len(proposal.scored_days):,.1f})."
    )
    if found.is_too_dear:
        yield "PROPOSED: nothing. No such changes keep the budget."
    elif not found.changes:
        yield "PROPOSED: keep the policy. No way keeps budget and order and gains more than chance would show."
    else:
        yield f"PROPOSED, as policy {str(proposal.proposed_hash)[:19]}…:"
        yield from (f"  {change}" for change in found.changes)
    if not found.in_force.is_ordered:
        shares = (f"{_LEVELS[level]} {100 * share:.2f}%" for level, share in found.in_force.shares_lost.items())
        yield f"In force the share lost does not fall from level to level: {', '.join(shares)}."
        yield "Only what mends that can be proposed."
    if proposal.diff:
        yield ""
        yield from proposal.diff.rstrip("\n").split("\n")


def _expected(proposal: Proposal) -> Iterator[str]:
    if not proposal.walk:
        yield "EXPECTED: not known. No day lies far enough after another to choose on the one and judge on the other."
    elif proposal.basis != "walk-forward":
        yield f"EXPECTED: not known. For none of {len(proposal.walk)} later days had the days before given a change."
    else:
        yield f"EXPECTED (walk-forward: chosen on the past, judged on {len(proposal.walk)} later days), levels 1 and 2"
        yield from effect_table(proposal.expected)
        if proposal.verdict:
            yield f"  {_VERDICTS[proposal.verdict]}"
    if proposal.changes:
        yield ""
        yield "In-sample: the proposal on the very days it was chosen on, so flattered"
        yield from effect_table(proposal.in_sample)
        moved, newest = proposal.moved_in_all, proposal.moved[-1]
        yield (
            f"  adds {moved['added']:,} warnings of levels 1 and 2 ({_of(moved, 'added')} lost) and drops"
            f" {moved['dropped']:,} ({_of(moved, 'dropped')} lost); on {newest['as_of_date']} it adds"
            f" {newest['added']:,} and drops {newest['dropped']:,}"
        )


def _of(moved: Mapping[str, int], what: str) -> str:
    return percent(moved[f"{what}_lost"] / moved[what] if moved[what] else None)


def _walk(proposal: Proposal) -> Iterator[str]:
    rows = []
    kinds: dict[str, str] = {}
    for one in proposal.walk:
        text = "\n     ".join(map(str, one.found.changes)) or "keep the policy"
        mark = kinds.setdefault(text, chr(ord("a") + len(kinds)))
        out = one.outcome
        rows.append(
            (
                str(one.as_of_date),
                f"{len(one.chosen_on)} to {max(one.chosen_on)}",
                mark,
                *(
                    f"{percent(out[f'lost{when}'] / out[f'warned{when}'] if out[f'warned{when}'] else None)}"
                    f" of {out[f'warned{when}']:,}"
                    for when in ("_before", "")
                ),
                f"+{out['added']:,} -{out['dropped']:,}",
            )
        )
    yield from table(("later day", "chosen on", "", "in force: lost", "changed: lost", "customers"), rows)
    yield from (f"  {mark}  {text}" for text, mark in kinds.items())
