"""The demo company: a seeded simulation that leaves what a real company's departments would leave: exports, a CRM.

Everything follows from the plan alone, never from the clock, the machine or the days asked for before.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from early_warning.settings import SimulationPlan

__all__ = ["SimulationPlan", "first_as_of", "prepare"]


def first_as_of(plan: SimulationPlan) -> date:
    """Return the last day of the history, the first day the demo judges."""
    from early_warning.demo import timeline

    return timeline.first_as_of(plan)


def prepare(folder: Path, plan: SimulationPlan, through: date, crm: str) -> None:
    """Make or extend `folder` so that it holds what the departments have exported up to the end of the day `through`.

    Writes service/, finance/ and market/, and beside them truth.csv: each customer's fate, which no pipeline reads.
    Sales keeps its books in the database `crm` (a libpq connection string), as they stand at the end of that day.
    Up to the month before the first as-of date a month is archived as one file, from then on every day has its own.
    Every file appears whole or not at all, and so does a day in the database; a call that was cut off is finished by
    the next. A day that was reached already changes nothing.

    Raises:
        ValueError: `through` lies outside the simulated time (430 days beyond the first as-of date), or the folder
            or the database belongs to another plan, or to another edition of the simulation.
    """
    from early_warning.demo import exports

    exports.prepare(folder, plan, through, crm)
