"""What a gate examines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Subject:
    """Rows to examine and the suite they have to meet.

    `query` is a SELECT. `place` are the columns that tell a person which row it is. The rows of a summary are figures
    of ours, mostly one row a data set (column data_set), and each has findings of its own. `personal` columns are
    never shown.
    """

    suite: Path
    query: str
    source: str | None = None
    data_set: str | None = None
    place: tuple[str, ...] = ()
    is_summary: bool = False
    personal: frozenset[str] = frozenset()

    @property
    def file(self) -> str:
        """The suite as a person would look for it, e.g. expectations/landing/sales.orders.json."""
        return "/".join(self.suite.parts[-3:])
