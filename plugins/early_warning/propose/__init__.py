"""Proposals: a search for small changes of the policy, judged on later days than it was chosen on (spec: domain, § 8).

Nothing changes by itself: what comes of it is a diff with its expected effect, and people decide.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from early_warning import backtest, policy, policy_changes
from early_warning.backtest.replay import Replay, replay
from early_warning.policy import Policy
from early_warning.propose.bench import Bench, JudgedOtherwise
from early_warning.propose.changes import Changes, applied, changed_files, diff, rules_of, write
from early_warning.propose.search import Found, choose
from early_warning.runs import Moment
from early_warning.warehouse import Connection, Warehouse

__all__ = ["JudgedOtherwise", "Proposal", "Tried", "propose", "write"]


@dataclass(frozen=True)
class Tried:
    """A later day: what the search had chosen by then, from which days, and what it made of this one (sql/days)."""

    as_of_date: date
    chosen_on: Sequence[date]
    found: Found
    outcome: dict[str, Any]


@dataclass(frozen=True)
class Proposal:
    """What to change in a policy, and what to expect of it.

    `expected`: pooled difference on days later than those the changes were chosen on, chosen anew for each; `in_sample`
    on the very days that `found` was chosen on, so flattered. Both by figure, as of backtest.effect. `moved`: what
    the changes make of each of those days. `diff`: the changes as a unified diff for the company folder.
    """

    policy_hash: str
    horizon_days: int
    days: Sequence[Replay]
    scored_days: Sequence[date]
    found: Found | None
    walk: Sequence[Tried]
    expected: dict[str, dict[str, float | None]]
    in_sample: dict[str, dict[str, float | None]]
    moved: Sequence[dict[str, Any]]
    diff: str = ""
    proposed_hash: str | None = None

    @property
    def changes(self) -> Changes:
        """The changes proposed; none: keep the policy."""
        return self.found.changes if self.found else ()

    @property
    def basis(self) -> str:
        """Which figures tell what to expect: walk-forward once a change had been chosen for some later day."""
        return "walk-forward" if any(one.found.changes for one in self.walk) else "in-sample"

    @property
    def verdict(self) -> str | None:
        """How such proposals fared on later days: `holds`, `fails`, `open`, or `fewer` are warned; None if unknown."""
        if not self.changes or self.basis != "walk-forward":
            return None
        fewest, most = self.expected["recall"]["low"], self.expected["recall"]["high"]
        if (fewest or 0) > 0:
            return "holds"
        if (self.expected["warnings_a_day"]["high"] or 0) < 0:
            return "fewer"
        return "fails" if (most or 0) < 0 else "open"

    @property
    def moved_in_all(self) -> dict[str, int]:
        """Warnings of levels 1 and 2 that the changes add and drop on all days, and how many of those were lost."""
        names = ("added", "added_lost", "dropped", "dropped_lost")
        return {name: sum(day[name] for day in self.moved) for name in names}

    @property
    def headline(self) -> dict[str, Any]:
        """What to expect of the changes, in the shape that ops.trial keeps: the basis, then the figures."""
        return {"basis": self.basis, **(self.expected if self.basis == "walk-forward" else self.in_sample)}


def propose(
    warehouse: Warehouse,
    folder: Path,
    moments: Sequence[Moment],
    *,
    horizon_days: int,
    budget: float | None,
    most_changes: int,
    tell: Callable[[str], None],
) -> Proposal:
    """Replay the policy of a folder on past moments, and search for changes that would have served better.

    The folder stays as it is. What is proposed is kept with its expected effect, so that whoever adopts it finds that.

    Raises:
        ConfigurationError: when the folder holds no policy.
        TransformFailed: when a day can't be judged.
        JudgedOtherwise: when the quick judgement is not that of the replay, which is a fault of ours.
    """
    current = policy.load(folder)
    policy.store(warehouse, current)
    days = replay(warehouse, [current.policy_hash], moments, tell)[current.policy_hash]
    newest = backtest.known_through(warehouse)
    known = [day for day in days if newest and day.as_of_date + timedelta(days=horizon_days) <= newest]
    with warehouse.connect() as connection:
        proposal = _proposal(connection, current, days, known, horizon_days, budget, most_changes)
    if not proposal.changes:
        return proposal
    with tempfile.TemporaryDirectory() as draft:
        proposed = write(folder, Path(draft), proposal.changes)
    policy_changes.keep_trial(
        warehouse, proposed.policy_hash, current.policy_hash, proposal.scored_days, horizon_days, proposal.headline
    )
    return replace(proposal, diff=diff(changed_files(folder, proposal.changes)), proposed_hash=proposed.policy_hash)


def _proposal(
    connection: Connection,
    current: Policy,
    days: Sequence[Replay],
    known: Sequence[Replay],
    horizon_days: int,
    budget: float | None,
    most_changes: int,
) -> Proposal:
    run_ids, scored_days = [day.run_id for day in known], [day.as_of_date for day in known]
    found, walk, expected, in_sample, moved = None, [], {}, {}, []
    if known:
        backtest.score(connection, run_ids, run_ids, horizon_days)
        bench, rules = Bench(connection, current, run_ids), rules_of(current)
        past = _past(scored_days, horizon_days)
        later = {day: choose(bench, rules, before, budget, most_changes) for day, before in past.items()}
        if later:
            bench.compare({day: applied(rules, one.changes) for day, one in later.items()})
            expected = backtest.effect(connection)
            outcomes = {row["as_of_date"]: row for row in bench.rows("days")}
            walk = [Tried(day, past[day], one, outcomes[day]) for day, one in later.items()]
        found = choose(bench, rules, scored_days, budget, most_changes)
        bench.compare(dict.fromkeys(scored_days, applied(rules, found.changes)))
        in_sample, moved = backtest.effect(connection), bench.rows("days")
    return Proposal(current.policy_hash, horizon_days, days, scored_days, found, walk, expected, in_sample, moved)


def _past(days: Sequence[date], horizon_days: int) -> dict[date, list[date]]:
    """For each day of the later half those before it of which one knew by then what came of them; if there are any."""
    past = {
        day: [earlier for earlier in days if earlier + timedelta(days=horizon_days) <= day]
        for day in days[len(days) // 2 :]
    }
    return {day: before for day, before in past.items() if before}
