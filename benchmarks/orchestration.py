"""What the platform itself takes of a quiet day's `early-warning run`: all but extraction, gates, dbt and simulation.

    python -m benchmarks.orchestration

makes a home of the shipped demo company, runs its first day, then measures the second; prints one JSON object.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from benchmarks.measure import entered_home
from early_warning import cli, tasks
from early_warning.embedded.postgres import remove_postgres

_OTHERS_WORK = ("simulate", "extract", "gate_source", "gate_landing", "transform", "gate_marts")
_MEASURE = "--measure"


def main() -> None:
    """Measure the orchestration of a quiet day."""
    if sys.argv[1:] == [_MEASURE]:
        measure_run()
        return
    with (
        tempfile.TemporaryDirectory(prefix="early-warning-bench-") as folder,
        entered_home(Path(folder) / "home") as home,
    ):
        try:
            subprocess.run([Path(sys.executable).with_name("early-warning"), "run"], check=True)
            subprocess.run([sys.executable, "-m", "benchmarks.orchestration", _MEASURE], check=True)
        finally:
            remove_postgres(home)


def measure_run() -> None:
    """Run the day that is due in this process and print its CPU-seconds, those of others' work apart."""
    spent: dict[str, float] = defaultdict(float)
    for name in _OTHERS_WORK:  # before orchestrate makes tasks of them
        setattr(tasks, name, _timed(getattr(tasks, name), name, spent))
    code = cli.main(["run"])
    if code:
        sys.exit(code)
    whole = _cpu()
    json.dump(
        {
            "figures": {
                "cpu_seconds": whole - sum(spent.values()),
                "whole_run_cpu_seconds": whole,
                **{f"{name}_cpu_seconds": seconds for name, seconds in spent.items()},
            }
        },
        sys.stdout,
    )


def _timed(work: Callable[..., Any], name: str, spent: dict[str, float]) -> Callable[..., Any]:
    @wraps(work)
    def call(*args: Any, **kwargs: Any) -> Any:
        started = _cpu()
        try:
            return work(*args, **kwargs)
        finally:
            spent[name] += _cpu() - started

    return call


def _cpu() -> float:
    """CPU of this process since it began, and of its ended children (not of the database, which is nobody's child)."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    main()
