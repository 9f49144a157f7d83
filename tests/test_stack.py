"""The full stack: Airflow's page and scheduler on a home, up and down, beside commands, and killed."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from early_warning.embedded import stack
from early_warning.settings import PROJECT
from homes import Home, demo_company, environment, made_once, session_folder

DAG = "customer_warning_daily"


def wait_for(is_so: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "that did not happen in time"
        time.sleep(0.1)


def is_alive(pid: int) -> bool:
    """A dead process that nobody reaps counts as gone."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def members_of(session: int | None) -> list[int]:
    """Live processes of a session."""

    def is_member(pid: int) -> bool:
        try:
            return os.getsid(pid) == session and is_alive(pid)
        except ProcessLookupError:
            return False

    return [pid for pid in psutil.pids() if is_member(pid)]


# --- how it ends: the guard and the supervisor, with commands that cost nothing --------------------------------------

# A command with a child in a process group of its own that ignores polite requests, as a task of Airflow's may.
_STUBBORN = """
import os, signal, subprocess, sys, time
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", child], process_group=0).wait()
"""
_KEEP_RUNNING = """
import sys
from pathlib import Path
from early_warning.embedded import stack
commands = {name: [sys.executable, "-c", sys.argv[2]] for name in ("one", "two")}
stack.keep_running(Path(sys.argv[1]), commands)
"""


@pytest.fixture(scope="module")
def kept_home() -> Iterator[Home]:
    """One home for the tests that leave it whole."""
    home = Home.new(session_folder() / f"kept-{os.getpid()}", PROJECT / "company")
    (home.folder / "airflow").mkdir()
    yield home
    home.remove()


class Kept:
    """A stack of stubborn commands: its guard, its supervisor, the commands and the child of each."""

    def __init__(self, home: Home) -> None:
        (home.folder / "stack.json").write_text(json.dumps({"port": 1}))
        self.home = home
        self.guard = subprocess.Popen(
            [sys.executable, "-c", _KEEP_RUNNING, home.folder, _STUBBORN], env=environment(), start_new_session=True
        )

    @property
    def supervisor(self) -> int | None:
        """The guard's child that is made like it; the database server is another."""
        guard = psutil.Process(self.guard.pid)
        return next((child.pid for child in guard.children() if child.cmdline() == guard.cmdline()), None)

    @property
    def commands(self) -> list[int]:
        supervisor = self.supervisor
        return [pid for pid in members_of(supervisor) if pid != supervisor]

    @property
    def everybody(self) -> list[int]:
        return [self.guard.pid, self.supervisor or 0, *self.commands, self.home.postmaster or 0]

    def wait_until_gone(self, members: list[int]) -> None:
        wait_for(lambda: self.guard.poll() is not None and not any(is_alive(pid) for pid in members))


@pytest.fixture
def kept(kept_home: Home) -> Iterator[Kept]:
    running = Kept(kept_home)
    members: list[int] = []
    try:
        wait_for(lambda: len(running.commands) == 4)
        members = running.everybody
        yield running
    finally:  # also where what is tested is broken
        running.guard.kill()
        running.guard.wait()
        for pid in filter(is_alive, members):
            os.kill(pid, signal.SIGKILL)


def _take_file_away(kept: Kept) -> None:
    (kept.home.folder / "stack.json").unlink()


def _kill_guard(kept: Kept) -> None:
    kept.guard.kill()


def _kill_supervisor(kept: Kept) -> None:
    os.kill(kept.supervisor or 0, signal.SIGKILL)


@pytest.mark.parametrize("end", [_take_file_away, _kill_guard, _kill_supervisor])
def test_stack_leaves_no_process_however_it_ends(kept: Kept, end: Callable[[Kept], None]) -> None:
    members = kept.everybody
    assert all(map(is_alive, members))
    end(kept)
    kept.wait_until_gone(members)


def test_command_that_ends_is_started_again_and_so_is_a_dead_server(kept: Kept) -> None:
    before, postmaster = kept.commands, kept.home.postmaster
    assert postmaster
    os.kill(postmaster, signal.SIGKILL)
    wait_for(lambda: not is_alive(postmaster))
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len(kept.commands) == 4 and not set(kept.commands) & set(before))
    assert kept.home.postmaster != postmaster
    members = kept.everybody
    _take_file_away(kept)
    kept.wait_until_gone(members)


def test_port_that_is_taken_is_told_with_the_remedy_before_anything_starts(kept_home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        port = str(squatter.getsockname()[1])
        answer = kept_home.command("up", EARLY_WARNING_UI_PORT=port)
    assert answer.code == 2
    assert port in answer.stderr
    assert "EARLY_WARNING_UI_PORT" in answer.stderr
    assert not stack.is_up(kept_home.folder)
    assert kept_home.command("up", EARLY_WARNING_UI_PORT="80a").code == 2
    down = kept_home.command("down")
    assert (down.code, down.stderr) == (0, "Airflow was not up\n")
