"""The search: which few small changes catch more of the customers that are lost, under a budget of warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import product
from math import log, sqrt

from early_warning.propose.bench import Bench, Score
from early_warning.propose.changes import Change, Changes, Rules, applied, possible


@dataclass(frozen=True)
class Found:
    """What a search came to: no changes means that the policy should be kept.

    `in_force`, `chosen`: the scores of both on the days it was chosen on. `tried`: sets of changes looked at.
    `is_too_dear`: the policy in force gives more than the budget, and so does all that was found.
    """

    changes: Changes
    in_force: Score
    chosen: Score
    budget: float
    tried: int
    is_too_dear: bool = False


def choose(bench: Bench, rules: Rules, days: Sequence[date], budget: float | None, most: int) -> Found:
    """Choose up to `most` changes by what became of the customers of some days, step by step.

    A step is one change, or two that pay for each other: under a full budget one alone can only warn of fewer. Of the
    steps that keep budget and order the one that catches most lost customers is taken, of several the one that catches
    most revenue; but only if its gain is greater than the best of so many worthless steps would show by chance. Where
    the policy in force breaks the order, a change that mends it is also tried as the first, and has to pay in the end.
    `budget`: greatest mean number of customers at levels 1 and 2 a day; None: what the policy in force gives.
    """
    [in_force] = bench.scores([rules], rules, days)
    most_warned = in_force.warned if budget is None else budget * len(days)
    search = _Search(bench, rules, days, most_warned, most)
    changes, chosen = search.walk((), in_force)
    if not in_force.is_ordered and not changes and in_force.warned <= most_warned:
        changes, chosen = search.walk_from_order(in_force)
    limit = most_warned / len(days)
    if chosen.warned > most_warned:
        return Found((), in_force, in_force, limit, search.tried, is_too_dear=True)
    return Found(changes, in_force, chosen, limit, search.tried)


Step = tuple[Changes, Score]


@dataclass
class _Search:
    bench: Bench
    rules: Rules
    days: Sequence[date]
    most_warned: float
    most: int
    tried: int = 0

    def walk(self, chosen: Changes, now: Score) -> Step:
        """Go on from some changes for as long as a step is worth it."""
        while len(chosen) < self.most:
            taken = self._gain(chosen, now) if now.warned <= self.most_warned else self._save(chosen, now)
            if taken is None:
                break
            chosen, now = taken
        return chosen, now

    def walk_from_order(self, in_force: Score) -> Step:
        """Mend the order of levels first, then go on; nothing if that is not worth it against the policy in force."""
        mending = [step for step in self._steps((), in_force, pairs=False) if self._fits(step[1])]
        if mending:
            first = max(mending, key=_worth)
            changes, _ = self.walk(*first)
            if len(changes) > 1:
                [(_, score)] = self._scored((), [changes])
                if score.lost > in_force.lost and score.gain > self._least(self.tried) * score.gain_error:
                    return changes, score
        return (), in_force

    def _steps(self, chosen: Changes, now: Score, *, pairs: bool = True) -> list[Step]:
        """Every way on from what is chosen, scored against it."""
        free = [change for change in possible(self.rules) if not any(change.clashes_with(other) for other in chosen)]
        steps = self._scored(chosen, [(*chosen, change) for change in free])
        if pairs and len(chosen) + 2 <= self.most:
            steps += self._scored(chosen, [(*chosen, *pair) for pair in _pairs(steps, now)])
        return steps

    def _scored(self, chosen: Changes, ways: Sequence[Changes]) -> list[Step]:
        self.tried += len(ways)
        variants = [applied(self.rules, way) for way in ways]
        scores = self.bench.scores(variants, applied(self.rules, chosen), self.days) if ways else []
        return list(zip(ways, scores, strict=True))

    def _gain(self, chosen: Changes, now: Score) -> Step | None:
        """The step that catches most, of those whose gain is no chance; None if there is none."""
        steps = self._steps(chosen, now)
        least = self._least(len(steps))
        fit = [
            step
            for step in steps
            if self._fits(step[1]) and step[1].lost > now.lost and step[1].gain > least * step[1].gain_error
        ]
        return max(fit, key=_worth, default=None)

    def _save(self, chosen: Changes, now: Score) -> Step | None:
        """The change towards the budget that gives up least; None if none warns of fewer."""
        steps = self._steps(chosen, now, pairs=False)
        fewer = [step for step in steps if step[1].is_ordered and step[1].warned < now.warned]
        fit = [step for step in fewer if self._fits(step[1])]
        return max(fit, key=_worth, default=max(fewer, key=lambda step: (step[1].gain, _worth(step)), default=None))

    def _fits(self, score: Score) -> bool:
        return score.is_ordered and score.warned <= self.most_warned

    @staticmethod
    def _least(steps: int) -> float:
        """How many standard errors the best of so many worthless steps comes to (the greatest of normal draws)."""
        return sqrt(2 * log(max(steps, 2)))


def _pairs(singles: Sequence[Step], now: Score) -> list[tuple[Change, Change]]:
    """Changes that warn of more beside such as warn of fewer; of each only those that no other beats."""
    more = _unbeaten([step for step in singles if step[1].warned > now.warned])
    fewer = _unbeaten([step for step in singles if step[1].warned < now.warned])
    return [(one, other) for one, other in product(more, fewer) if not one.clashes_with(other)]


def _unbeaten(singles: Sequence[Step]) -> list[Change]:
    """The last changes of steps beside which none catches as many lost customers with as few warnings."""
    unbeaten, most_lost = [], -1
    for changes, score in sorted(singles, key=lambda step: (step[1].warned, -step[1].lost, -step[1].revenue)):
        if score.lost > most_lost:
            unbeaten.append(changes[-1])
            most_lost = score.lost
    return unbeaten


def _worth(step: Step) -> tuple[object, ...]:
    """What the greater of two steps has more of; of equal ones that is better which changes least."""
    changes, score = step
    left_out = sum(change.after is None for change in changes)
    return (score.lost, score.revenue, -len(changes), -left_out, -score.warned, tuple(map(str, changes)))
