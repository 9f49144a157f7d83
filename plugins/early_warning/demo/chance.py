"""Seeded chance: independent random streams, and events that happen at a given daily rate."""

from __future__ import annotations

import zlib

import numpy as np

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
