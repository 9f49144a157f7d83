"""The figures as a page: what was asked for, what was measured, and why if the two differ."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import psutil

from early_warning.embedded.account import Account, reachable_binaries


@dataclass(frozen=True)
class Row:
    """A line of the table. `missed` says why a target is missed; it is shown only where it is."""

    text: str
    figure: str
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None
    missed: str = ""

    @property
    def target(self) -> str:
        """The target in words."""
        if self.at_most is not None:
            return f"≤ {self.at_most:g}"
        return f"≥ {self.at_least:g}" if self.at_least is not None else ""

    def is_met(self, value: float) -> bool:
        """Whether a figure reaches the target; one without a target always does."""
        return (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)


ROWS = (
    Row(
        "ordinary day: database CPU, in scans of the raw tables",
        "day.ordinary.scans",
        at_most=2,
        missed="reading a row once costs 0.17 µs, judging a customer by 23 indicators 300. Every customer is judged"
        " anew each day, since its silence grows by itself: indicators, levels, cases and attributes are computed,"
        " written and checked, half of it. A fifth counts windows of days anew, however little of them changed:"
        " which products two months' orders were of, what was promised and came. The rest looks up what the orders,"
        " tickets, invoices and payments of 15,000 customers have changed. It grows with customers and with what"
        " changes, not with history",
    ),
    Row(
        "day on which a month ends: database CPU, in scans",
        "day.roll.scans",
        at_most=2,
        missed="every window of closed months ends a month later, so what eight indicators and their baselines take"
        " from such months is counted anew for every customer from its cells: twelve days a year",
    ),
    Row("… one scan of the raw tables", "day.ordinary.scan_cpu_seconds", "CPU-s"),
    Row(
        "staging and cells of a day: with the whole history against a twelfth of it",
        "staging.ratio",
        at_most=1.15,
        missed="a changed customer has twelve times the months to look through, and a new order a year of them;"
        " indexes are deeper",
    ),
    Row("… orders in the whole history against the other", "staging.history_ratio"),
    Row("… database CPU with the whole history", "staging.cpu_seconds", "CPU-s"),
    Row(
        "dbt itself on an ordinary day",
        "day.ordinary.dbt_cpu_seconds",
        "CPU-s",
        at_most=4,
        missed="importing dbt is two fifths of it, as every run is a process of its own; the rest is 0.05 a node, most"
        " of it dbt's templates and log",
    ),
    Row("… invocations", "day.ordinary.dbt_invocations", at_most=1),
    Row("… parses of the project when only the date changed", "day.ordinary.dbt_parses", at_most=0),
    Row(
        "orchestration of a quiet day (Airflow, ledgers, mail; 2,000 customers)",
        "orchestration.cpu_seconds",
        "CPU-s",
        20,
    ),
    Row("gate: the orders' suite on the whole table against the day's batch", "gate.ratio"),
    Row("… on the day's batch, database and client", "gate.batch_cpu_seconds", "CPU-s"),
    Row("extraction: rows a second against `psql \\| psql` in binary", "extraction.ratio", at_least=0.9),
    Row(
        "400 days with upkeep every week: the marts' bytes on the last day against day 200",
        "upkeep.marts_growth",
        "",
        1.1,
    ),
    Row("… the warehouse's, which has 200 more days of orders to hold", "upkeep.warehouse_growth"),
    Row(
        "… database CPU of a build on the last day against day 30",
        "upkeep.build_slowdown",
        "",
        1.15,
        missed="on day 30 the marts hold half of what the retention keeps; between day 200 and day 400 nothing grows",
    ),
    Row("… one upkeep", "upkeep.upkeep_seconds", "s"),
    Row("full rebuild, from landing to marts: database CPU", "rebuild.cpu_seconds", "CPU-s"),
    Row("… against DuckDB, which computes the same figures, judges and keeps nothing", "rebuild.duckdb.ratio"),
    Row("… against polars, likewise", "rebuild.polars.ratio"),
    Row("… sums on which DuckDB differs", "rebuild.duckdb.differences", at_most=0, missed="a fault in one of them"),
    Row("… sums on which polars differs", "rebuild.polars.differences", at_most=0, missed="a fault in one of them"),
    Row("… staging and cells alone", "rebuild.staging_cpu_seconds", "CPU-s"),
    Row(
        "back-test of 24 month ends: database CPU, in full rebuilds",
        "backtest.rebuilds",
        at_most=2,
        missed="from one month end to the next every window of closed months moves, and ten models read every cell:"
        " three tenths of a date. The month's cells are a sixth, judging every customer by all indicators a seventh,"
        " invoices and payments an eighth; with 10,000 customers a sixth is what 48 models cost however few their rows",
    ),
    Row("… database CPU", "backtest.cpu_seconds", "CPU-s"),
)

DIGEST_ROWS = (
    Row("composing and sending 5,000 digests: time against plain smtplib sending the same bytes", "digests.ratio"),
    Row("… sending them alone", "digests.sending_ratio"),
    Row("… composing one", "digests.compose_ms_a_mail", "ms"),
    Row("… the composer's peak memory, 5,000 owners against 500", "digests.compose_memory_ratio", at_most=1.25),
    Row("… the sender's", "digests.send_memory_ratio", at_most=1.1),
    Row("… size of a mail", "digests.mail_kib", "KiB"),
)
"""Of the section `digests`, which `benchmarks.digests` fills from the demo company."""


def machine() -> str:
    """What the figures were measured on, in one line."""
    with tempfile.TemporaryDirectory() as folder:
        postgres = reachable_binaries(Account.for_folder(Path(folder) / "data")).folder / "postgres"
    version = subprocess.run([postgres, "--version"], capture_output=True, text=True, check=True)
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{_cpu_model()}, {os.cpu_count()} cores, {memory:.0f} GB; PostgreSQL {version.stdout.split()[-1]},"
        f" Python {platform.python_version()}"
    )


def _cpu_model() -> str:
    names = Path("/proc/cpuinfo")
    lines = names.read_text().splitlines() if names.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def section(
    figures: Mapping[str, float], failures: Sequence[str], *, day: date, machine: str, rows: Sequence[Row] = ROWS
) -> str:
    """Render what was measured as Markdown."""
    counts = ", ".join(
        f"{figures[f'size.{name}_rows']:,.0f} {name.split('.')[1]}"
        for name in ("sales.customers", "sales.orders", "service.tickets", "finance.invoices", "finance.payments")
        if f"size.{name}_rows" in figures
    )
    lines = [
        f"Measured on {day.isoformat()}: {machine}.",
        *([f"The company: {counts}."] if counts else []),
        "",
        "| | target | measured | | why |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(_line(row, figures.get(row.figure)))
    known = {row.figure for row in rows}
    others = {name: round(value, 4) for name, value in sorted(figures.items()) if name not in known}
    lines += ["", *(f"Failed: {name}.\n" for name in failures)]
    lines += ["<details><summary>All other figures</summary>", "", "```json"]
    lines += [json.dumps(others, indent=1, ensure_ascii=False), "```", "", "</details>"]
    return "\n".join(lines)


def _line(row: Row, value: float | None) -> str:
    if value is None:
        return f"| {row.text} | {row.target} | – | | not measured |"
    verdict = "" if not row.target else "met" if row.is_met(value) else "missed"
    why = (row.missed or "no reason found yet") if verdict == "missed" else ""
    measured = f"{value:,.4g} {row.unit}".rstrip()
    return f"| {row.text} | {row.target} | {measured} | {verdict} | {why} |"


def replaced(page: str, size: str, text: str) -> str:
    """The page with the section of a size replaced, which lies between the comments `size` and `/size`.

    Raises:
        ValueError: when the page has no such section.
    """
    begin, end = f"<!-- {size} -->\n", f"\n<!-- /{size} -->"
    if begin not in page or end not in page:
        raise ValueError(f"no section {size}")
    head, rest = page.split(begin)
    return f"{head}{begin}{text}{end}{rest.split(end)[1]}"
