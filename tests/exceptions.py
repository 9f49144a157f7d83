"""Policies with exceptions: other values of parameters for some customers, or for some days."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path
from random import Random

from chapters import INDUSTRIES
from histories import REGIONS
from judged_by_sql import POLICY

COLUMNS = (
    "indicator_code",
    "parameter",
    "serious",
    "watch",
    "segment",
    "industry",
    "region",
    "valid_from",
    "valid_until",
)
SEGMENTS = ("retail", "a", "b")


def with_exceptions(folder: Path, exceptions: Iterable[Sequence[str]]) -> Path:
    """Add entries to a policy's parameters, their cells in the order of COLUMNS; the rest of a short one is empty."""
    if not folder.exists():
        shutil.copytree(POLICY, folder)
    path = folder / "indicator_parameters.csv"
    with path.open(encoding="utf-8", newline="") as lines:
        _, *rows = csv.reader(lines)
    with path.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([*row, *[""] * (len(COLUMNS) - len(row))] for row in [*rows, *exceptions])
    return folder


def random_exceptions(random: Random, days: Sequence[date]) -> list[Sequence[str]]:
    """Exceptions for half of all parameters, that overlap in whom and when they are for in every way allowed."""
    with (POLICY / "indicator_parameters.csv").open(encoding="utf-8", newline="") as lines:
        parameters = list(csv.DictReader(lines))
    scopes = list(product(("", *SEGMENTS), ("", *INDUSTRIES[1:]), ("", REGIONS[0])))
    found = []
    for row in parameters:
        for scope in random.sample(scopes, 3) if random.random() < 1 / 2 else ():
            first = random.choice(days)
            times = [("", "")] if any(scope) else []
            times += (
                [(str(first), str(first + timedelta(days=random.choice((0, 1, 7)))))] if random.random() < 1 / 2 else []
            )
            for valid_from, valid_until in times:
                values = _other(random, row["serious"], row["watch"])
                found.append((row["indicator_code"], row["parameter"], *values, *scope, valid_from, valid_until))
    return found


def _other(random: Random, serious: str, watch: str) -> tuple[str, str]:
    """Both values changed alike, so that watch stays the milder one."""
    if all(Decimal(cell) == int(Decimal(cell)) for cell in (serious, watch) if cell):
        change = random.choice((-1, 1, 2))
        return tuple(str(max(1, int(Decimal(cell)) + change)) if cell else "" for cell in (serious, watch))
    factor = random.choice((Decimal("0.5"), Decimal("0.9"), Decimal("1.25")))
    return tuple(str(Decimal(cell) * factor) if cell else "" for cell in (serious, watch))
