"""CPU-seconds, the database's apart from the client's. Wall-clock is kept, but tells of the machine's day."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from early_warning.settings import PROJECT
from early_warning.warehouse import Warehouse


@dataclass
class Cost:
    """What a piece of work took, in seconds: CPU of the database server, CPU of this process and its children, time."""

    database: float = 0
    client: float = 0
    wall: float = 0


@contextmanager
def measured(warehouse: Warehouse) -> Iterator[Cost]:
    """Measure a block; the cost is filled in at its end."""
    server, cost = _postmaster(warehouse), Cost()
    database, client = _cpu_of_tree(server), os.times()
    yield cost
    end = os.times()
    cost.database = _cpu_of_tree(server) - database
    cost.client = sum(end[:4]) - sum(client[:4])
    cost.wall = end.elapsed - client.elapsed


@contextmanager
def entered_home(home: Path) -> Iterator[Path]:
    """Work in a home of its own; the process's own $EARLY_WARNING_HOME is back at the end."""
    before = os.environ.get("EARLY_WARNING_HOME")
    os.environ["EARLY_WARNING_HOME"] = str(home)
    try:
        yield home
    finally:
        if before is None:
            del os.environ["EARLY_WARNING_HOME"]
        else:
            os.environ["EARLY_WARNING_HOME"] = before


def run_json(module: str, *arguments: str) -> dict[str, Any]:
    """Run a module in a process of its own, as a day's run is one, and read the JSON object it prints last.

    Raises:
        subprocess.CalledProcessError: when it fails; what it says goes to stderr.
    """
    answer = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    printed: dict[str, Any] = json.loads(answer.stdout[answer.stdout.index("{") :])
    return printed


def _postmaster(warehouse: Warehouse) -> psutil.Process:
    """The server's first process: the parent of every backend."""
    with warehouse.connect() as connection:
        parent = psutil.Process(connection.info.backend_pid).parent()
    assert parent is not None
    return parent


def _cpu_of_tree(server: psutil.Process) -> float:
    """CPU of the server since it started: its processes, and those that have ended (counted by their parent)."""
    total = 0.0
    for process in (*server.children(recursive=True), server):
        with suppress(psutil.NoSuchProcess):  # it ended a moment ago: its parent, asked last, has it
            times = process.cpu_times()
            total += sum(times[:4])  # user, system, and the same of ended children
    return total
