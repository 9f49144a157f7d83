"""What is wrong, where, and what to do: the one shape of every complaint about input."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing wrong with something a person delivered or edited.

    `row` is counted as a person would find it in the file (the header of a CSV is row 1). A critical problem stops what
    it belongs to, a warning is told. `is_stale` marks that the newest of a data set is too old to judge customers by.
    """

    message: str
    remedy: str
    source: str | None = None
    data_set: str | None = None
    file: str | None = None
    row: int | None = None
    column: str | None = None
    is_critical: bool = True
    is_stale: bool = False

    def __str__(self) -> str:
        """Read as one line: place, what is wrong, what to do."""
        parts = (
            self.source and f"source {self.source}",
            self.data_set,
            self.file,
            self.row is not None and f"row {self.row}",
            self.column and f"column {self.column}",
        )
        place = ", ".join(part for part in parts if part)
        return f"{place}: {self.message} → {self.remedy}" if place else f"{self.message} → {self.remedy}"


class ConfigurationError(Exception):
    """The company folder or the home can't be used; carries every problem found, not only the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @classmethod
    def about(cls, message: str, remedy: str) -> ConfigurationError:
        """One problem that has no place in a file."""
        return cls([Problem(message, remedy)])


class GateStopped(Exception):
    """A gate found something critical: the run stops, nothing of it is published."""
