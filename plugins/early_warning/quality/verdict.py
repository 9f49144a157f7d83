"""Findings of a gate, the verdict they add up to, and where both are kept (ops.gate_result)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from early_warning.problems import Problem
from early_warning.warehouse import Warehouse

Outcome = Literal["pass", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """What became of one expectation: held, or not held with a message that says where, what and what to do."""

    expectation: str
    data_set: str | None
    is_critical: bool
    is_met: bool
    message: str
    failed_rows: int | None = None

    @property
    def outcome(self) -> Outcome:
        """Pass when met, else fail (critical) or warn."""
        if self.is_met:
            return "pass"
        return "fail" if self.is_critical else "warn"


@dataclass(frozen=True)
class Verdict:
    """A gate's judgement. `messages` holds what was not met, the critical ones first."""

    name: str
    verdict: Outcome
    critical: int
    warnings: int
    messages: tuple[str, ...]


def broken(expectation: str, problem: Problem) -> Finding:
    """Make a finding of a problem with a delivery, or with the check itself; what can't be checked has not passed."""
    return Finding(expectation, problem.data_set, problem.is_critical, is_met=False, message=str(problem))


def conclude(gate: str, findings: Sequence[Finding]) -> Verdict:
    """Add findings up to a verdict."""
    unmet = [finding for finding in findings if not finding.is_met]
    critical = [finding.message for finding in unmet if finding.is_critical]
    warnings = [finding.message for finding in unmet if not finding.is_critical]
    outcome: Outcome = "fail" if critical else "warn" if warnings else "pass"
    return Verdict(gate, outcome, len(critical), len(warnings), (*critical, *warnings))


def store(warehouse: Warehouse, run_id: int, gate: str, findings: Sequence[Finding]) -> None:
    """Keep all findings of a gate, instead of those of an earlier attempt of the same run."""
    with warehouse.connect() as connection, connection.cursor() as cursor:
        cursor.execute("delete from ops.gate_result where run_id = %s and gate = %s", (run_id, gate))
        cursor.executemany(
            "insert into ops.gate_result"
            " (run_id, gate, result_no, expectation, data_set, severity, verdict, failed_rows, message)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    run_id,
                    gate,
                    number,
                    finding.expectation,
                    finding.data_set,
                    "critical" if finding.is_critical else "warning",
                    finding.outcome,
                    finding.failed_rows,
                    finding.message,
                )
                for number, finding in enumerate(findings, start=1)
            ],
        )
