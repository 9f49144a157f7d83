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
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import psutil
import pytest

from early_warning import runs, tasks
from early_warning.embedded import stack
from early_warning.settings import PROJECT
from early_warning.warehouse import Warehouse
from homes import Home, demo_company, environment, session_folder

DAG = "customer_warning_daily"


def wait_for(is_so: Callable[[], bool], seconds: float = 120, every: float = 0.2) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "that did not happen in time"
        time.sleep(every)


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
    wait_for(lambda: kept.home.postmaster not in (None, postmaster))  # the commands may be back before the server is
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


# --- whose turn it is -------------------------------------------------------------------------------------------------


def test_dag_runs_wait_for_each_other_and_for_commands(warehouse: Warehouse) -> None:
    at_work = {"scheduled", "backfill"}
    assert runs.take_turn(warehouse, "scheduled", at_work.__contains__)
    assert not runs.take_turn(warehouse, "backfill", at_work.__contains__)
    assert runs.take_turn(warehouse, "scheduled", at_work.__contains__), "the run's next task"
    at_work.remove("scheduled")
    with runs.alone(warehouse) as is_alone:
        assert is_alone
        assert not runs.take_turn(warehouse, "backfill", at_work.__contains__)
    assert runs.take_turn(warehouse, "backfill", at_work.__contains__)
    assert runs.scheduled(warehouse) == "backfill"


def test_tasks_of_a_published_run_leave_it_as_it_is(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARLY_WARNING_DSN", warehouse.dsn)
    monkeypatch.setenv("EARLY_WARNING_READER_DSN", warehouse.reader_dsn)
    zone = ZoneInfo("Asia/Shanghai")
    run = runs.open_run(warehouse, runs.Moment.of_day(date(2026, 6, 30), zone), zone, "sha256:0")
    runs.publish(warehouse, run)
    before = warehouse.rows("select * from ops.run natural join ops.publication")
    for again in (tasks.gate_landing, tasks.transform, tasks.gate_marts, tasks.publish):
        assert again(run) == run
    for again in (tasks.extract, tasks.gate_source):
        assert again(run, "sales") == run
    assert warehouse.rows("select * from ops.run natural join ops.publication") == before
    assert warehouse.rows("select * from ops.run_step") == []


# --- Airflow itself: one story, since a start takes long --------------------------------------------------------------

# Ticks on four mornings a year: switched on, the schedule's newest is run (4 July, which judges the 3rd).
SCHEDULE = "0 6 1-4 7 *"
BACKFILL = ("--from-date", "2026-07-02T00:00+08:00", "--to-date", "2026-07-03T23:00+08:00", "--max-active-runs", "1")


class Page:
    """Airflow's page, as a program sees it."""

    def __init__(self, home: Home) -> None:
        self.port = json.loads((home.folder / "stack.json").read_text())["port"]
        self.password_file = home.folder / "ui-password.json"
        [(user, self.password)] = json.loads(self.password_file.read_text()).items()
        answer = self.ask("POST", "/auth/token", {"username": user, "password": self.password})[1]
        self.token = json.loads(answer)["access_token"]

    def ask(self, method: str, path: str, body: object = None, token: str = "") -> tuple[int, bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def do(self, method: str, path: str, body: object = None) -> Any:
        status, answer = self.ask(method, path, body, self.token)
        assert status < 300, answer
        return json.loads(answer)

    def runs(self, **that_are: str) -> list[dict[str, Any]]:
        """The DAG's runs, those that were created first first."""
        found = self.do("GET", f"/api/v2/dags/{DAG}/dagRuns?order_by=id")["dag_runs"]
        return [run for run in found if that_are.items() <= run.items()]


def guard_and_supervisor(home: Home) -> tuple[int, int]:
    title = ["early_warning.embedded.stack", str(home.folder)]
    found = [process for process in psutil.process_iter(["cmdline"]) if (process.info["cmdline"] or [])[-2:] == title]
    [(guard, supervisor)] = [(one.pid, two.pid) for one in found for two in found if two.ppid() == one.pid]
    return guard, supervisor


def everybody(home: Home) -> list[int]:
    """Every process that lives because the stack is up."""
    guard, supervisor = guard_and_supervisor(home)
    assert home.postmaster
    server = psutil.Process(home.postmaster)
    return [guard, *members_of(supervisor), server.pid, *(child.pid for child in server.children())]


def listening(pids: list[int]) -> set[tuple[str, int]]:
    return {
        (connection.laddr.ip, connection.laddr.port)
        for pid in pids
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


def is_free(port: int) -> bool:
    with socket.socket() as candidate:
        return candidate.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture
def sales_home(tmp_path: Path) -> Iterator[Home]:
    """A home of the small demo company's sales: every gate is a process here that imports Great Expectations anew."""
    company = demo_company(tmp_path / "company", schedule=SCHEDULE)
    for source in ("finance", "market", "service"):
        shutil.rmtree(company / "sources" / source)
    home = Home.new(session_folder() / "stack", company)
    yield home
    home.command("down")
    home.remove()


@pytest.mark.slow
def test_airflow_on_the_home_survives_a_kill_runs_beside_commands_and_leaves_nothing(sales_home: Home) -> None:
    home = sales_home
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]

    def up() -> list[int]:
        answer = home.command("up", "--company", str(home.company), EARLY_WARNING_UI_PORT=str(port))
        assert answer.code == 0, answer.stderr
        assert f"http://127.0.0.1:{port}\n" in answer.stderr
        return everybody(home)

    # Up: on loopback alone, behind a password that stands in one private file.
    members = up()
    page = Page(home)
    assert {address for address, _ in listening(members)} == {"127.0.0.1"}
    assert page.ask("GET", "/")[0] == 200
    assert page.ask("GET", "/api/v2/dags")[0] == 401
    assert stat.S_IMODE(page.password_file.stat().st_mode) == 0o600
    logs = [path for path in (home.folder / "airflow").rglob("*.log*") if path.is_file()]
    assert logs
    assert not [path for path in logs if page.password in path.read_text()]
    assert not [pid for pid in members if page.password in " ".join(psutil.Process(pid).cmdline())]

    # Killed: nothing is left, and the next start needs no help.
    os.kill(guard_and_supervisor(home)[1], signal.SIGKILL)
    wait_for(lambda: not any(map(is_alive, members)))
    members = up()
    page = Page(home)

    # A scheduled run, a triggered one and a back-fill of two days, all wanted at once.
    page.do("PATCH", f"/api/v2/dags/{DAG}", {"is_paused": False})
    page.do("POST", f"/api/v2/dags/{DAG}/dagRuns", {"logical_date": None, "conf": {"as_of": "2026-07-04"}})
    backfill = home.command("airflow", "backfill", "create", "--dag-id", DAG, *BACKFILL)
    assert backfill.code == 0, backfill.stderr
    wait_for(lambda: bool(home.rows("select from ops.run")), 300, every=1)
    beside = home.run("--as-of", "2026-07-05")
    assert (beside.code, "is at work in this home" in beside.stderr) == (2, True), beside.stderr
    assert home.command("status", "--json").code == 0
    wait_for(lambda: not page.runs(state="queued") + page.runs(state="running"), 1800, every=1)
    assert {run["run_type"]: run["state"] for run in page.runs()} == dict.fromkeys(
        ("scheduled", "manual", "backfill"), "success"
    )
    assert len(page.runs()) == 4

    # A command beside the scheduler, which leaves its run alone.
    answer = home.run("--as-of", "2026-07-05")
    assert (answer.code, answer.run["state"]) == (0, "published"), answer.stderr
    tasks = page.do("GET", f"/api/v2/dags/{DAG}/dagRuns/{quote(page.runs()[-1]['dag_run_id'])}/taskInstances")
    assert {task["try_number"] for task in tasks["task_instances"]} == {1}
    assert 0 < page.runs()[-1]["duration"] < 3600

    # Every day was judged once, one run after the other, and readers see them all.
    days = home.command(
        "sql", "--format", "json", "select as_of_date, count(*) from bi.customers group by 1 order by 1"
    )
    assert [row["as_of_date"] for row in days.json] == [f"2026-07-0{day}" for day in range(1, 6)]
    assert all(row["count"] > 100 for row in days.json)
    assert home.rows("select run_id from ops.run where state <> 'published' or finished_at is null") == []
    overlaps = home.rows(
        "with run as (select run_id, min(started_at) as began,"
        " max(started_at + seconds * interval '1 second') as ended from ops.run_step group by 1)"
        " select * from run as one join run as two on one.run_id < two.run_id and two.began < one.ended"
    )
    assert overlaps == []

    # Down: nothing is left.
    members = everybody(home)
    assert home.command("down").stderr == "Airflow is down\n"
    wait_for(lambda: not any(map(is_alive, members)), 5)
    assert is_free(port)
    assert home.postmaster is None
