"""Seeded chance: independent random streams, and events that happen at a given daily rate."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from early_warning.demo.timeline import Floats, Ints
from early_warning.settings import SimulationPlan


def stream(plan: SimulationPlan, purpose: str) -> np.random.Generator:
    """Return the plan's random stream for one purpose, so that a change in one part leaves the others as they were."""
    return np.random.default_rng([plan.seed, zlib.crc32(purpose.encode())])


def events(random: np.random.Generator, daily_rate: Floats, regularity: float) -> tuple[Ints, Ints]:
    """Let events happen at `daily_rate`, shape (customers, days).

    Gaps are gamma distributed in the time that the rate makes pass: regularity 1 is pure chance (Poisson), greater is
    steadier. Returns the customer and the day of each event, ordered by both.
    """
    days = daily_rate.shape[1]
    clock = np.cumsum(daily_rate.ravel())  # one clock that runs through all customers' days in turn
    ends = clock[days - 1 :: days]
    begins = np.concatenate([[0.0], ends[:-1]])
    expected = ends - begins
    draws = np.ceil(expected + 6 * np.sqrt(expected / regularity) + 8).astype(np.int64)
    customer = np.repeat(np.arange(len(draws)), draws)
    gaps = random.gamma(regularity, 1 / regularity, len(customer))
    first = np.cumsum(draws) - draws
    gaps[first] *= random.random(len(draws))  # the story begins somewhere between two events
    passed = np.cumsum(gaps)
    moment = begins[customer] + passed - (passed[first] - gaps[first])[customer]
    happens = moment < ends[customer]
    return customer[happens], np.searchsorted(clock, moment[happens], side="right") % days


@dataclass(frozen=True)
class Spells:
    """Bad times that come over any customer, whatever its fate: each lasts `days` and comes once in `cycle` days.

    Without them only the fated would stand out, and every warning would be right.
    """

    phase: Ints
    cycle: int
    days: int

    @classmethod
    def draw(cls, plan: SimulationPlan, purpose: str, count: int, *, share: float, days: int) -> Spells:
        """Draw those of `count` customers; on any day a `share` of them is in one."""
        cycle = round(days / share)
        return cls(stream(plan, f"spells: {purpose}").integers(0, cycle, count), cycle, days)

    def cover(self, customer: Ints, day: Ints) -> NDArray[np.bool_]:
        """Return whether each day falls into a spell of the customer beside it."""
        return np.asarray((day + self.phase[customer]) % self.cycle < self.days)
