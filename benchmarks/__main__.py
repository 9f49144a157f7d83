"""`make bench`: run every benchmark, print the figures and write them into docs/benchmarks.md.

    python -m benchmarks [--size full|small|tiny]

A benchmark that fails is named, and the others go on.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import daily, report
from benchmarks.measure import run_json
from early_warning.settings import PROJECT

SIZES = {"tiny": (500, 20_000), "small": (10_000, 1_000_000), "full": (100_000, 10_000_000)}
"""Customers, and orders in 36 months. The page has no section for tiny, which only shows that everything works."""

_PAGE = PROJECT / "docs" / "benchmarks.md"
_SCRIPTS = ("orchestration", "extraction", "upkeep")  # modules here that print one JSON object


def main() -> int:
    """Run the benchmarks and return the exit code: 1 when one of them failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what the platform costs.")
    parser.add_argument("--size", choices=SIZES, default="full")
    size = parser.parse_args().size
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or each process compiles what it imports: half of its CPU
    figures: dict[str, float] = {}
    failures = []
    with tempfile.TemporaryDirectory(prefix="early-warning-bench-") as folder:
        benchmarks: dict[str, Callable[[], Iterator[Mapping[str, float]]]] = {
            "daily": partial(daily.measure, Path(folder), *SIZES[size])
        }
        benchmarks |= {name: partial(_script, name) for name in _SCRIPTS if find_spec(f"benchmarks.{name}")}
        benchmarks["digests"] = _digests
        for name, measure in benchmarks.items():
            try:
                for some in measure():
                    figures |= some
                    _tell(some)
            except (subprocess.CalledProcessError, RuntimeError, ValueError) as error:
                failures.append(name)
                _tell({f"{name} failed": str(error)})
    text = report.section(figures, failures, day=date.today(), machine=report.machine())
    print(text)
    if size != "tiny":
        _PAGE.write_text(report.replaced(_PAGE.read_text(encoding="utf-8"), size, text), encoding="utf-8")
    return 1 if failures else 0


def _script(name: str) -> Iterator[dict[str, float]]:
    printed = run_json(f"benchmarks.{name}")
    yield dict(_numbers(name, printed.get("figures", printed)))


def _digests() -> Iterator[Mapping[str, float]]:
    """Let the digests' benchmark fill its own section of the page, as it depends on no company."""
    subprocess.run([sys.executable, "-m", "benchmarks.digests"], check=True)
    yield {}


def _numbers(name: str, value: Any) -> Iterator[tuple[str, float]]:
    """The numbers of a JSON value, by their path in it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _numbers(f"{name}.{key}", inner)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield name, value


def _tell(some: Mapping[str, float | str]) -> None:
    for name, value in some.items():
        print(f"{name:45} {value if isinstance(value, str) else format(value, ',.4g')}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
