"""Homes and the command line as people use them: every command a process of its own, every mail a real one."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import psutil
import psycopg
import yaml
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from early_warning.contract import DATA_SETS
from early_warning.digest import outbox_list, outbox_show
from early_warning.embedded.postgres import HOST, keep_postgres, remove_postgres, running_postgres
from early_warning.settings import PROJECT
from early_warning.warehouse import READER, Warehouse

Rows = list[dict[str, Any]]

# What a person's environment says about the platform must not reach the tests, nor one test's settings another.
_OURS = (
    "EARLY_WARNING_HOME",
    "EARLY_WARNING_COMPANY",
    "EARLY_WARNING_PROGRESS",
    "EARLY_WARNING_SMTP_URL",
    "EARLY_WARNING_DEMO_DSN",
)
_THEIRS = ("EARLY_WARNING_DSN", "EARLY_WARNING_READER_DSN", "AIRFLOW")


def session_folder() -> Path:
    """The folder that all workers of this pytest session share."""
    return Path(os.environ["EARLY_WARNING_TEST_HOME"])


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """A folder of the session: whichever worker needs it first makes it, the others wait for it."""
    folder = session_folder() / name
    with folder.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder.with_suffix(".done")
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o755)
            make(folder)
            done.touch()
    return folder


def environment(**ours: str) -> dict[str, str]:
    """Environment of a command. Bytecode is kept for the session where it isn't kept for good: half of a run's time."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS + _THEIRS)}
    if inherited.pop("PYTHONDONTWRITEBYTECODE", None):
        inherited["PYTHONPYCACHEPREFIX"] = str(session_folder() / "bytecode")
    return inherited | {"PYTHONPATH": str(PROJECT / "plugins")} | ours


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        assert self.stdout, f"it printed nothing and ended with {self.code}: {self.stderr}"
        return json.loads(self.stdout)

    @property
    def run(self) -> dict[str, Any]:
        """The one run that `run --json` reports."""
        [run] = self.json["runs"]
        return dict(run)


@dataclass(frozen=True)
class Home:
    """A home and the company it serves, in a folder that the database's user can enter."""

    folder: Path
    company: Path

    @classmethod
    def new(cls, folder: Path, company: Path) -> Home:
        folder.mkdir(mode=0o755)
        return cls(folder, company)

    def copy(self, folder: Path) -> Home:
        """A home of its own that begins where this one stands; no command may be at work here.

        With a port of its own too, so that who still watches a server that was killed never meets a sister's.
        """
        subprocess.run(["cp", "-a", self.folder, folder], check=True)
        state = folder / "postgres.json"
        state.write_text(json.dumps(json.loads(state.read_text()) | {"port": random.randrange(20_000, 30_000)}))
        return Home(folder, self.company)

    def command(self, *words: str, **variables: str) -> Answer:
        """Type `early-warning …` and wait."""
        ended = subprocess.run(self._typed(words), env=self._variables(variables), capture_output=True, text=True)
        return Answer(ended.returncode, ended.stdout, ended.stderr)

    def run(self, *words: str, **variables: str) -> Answer:
        """Type `early-warning run --json …` for this home's company and wait."""
        return self.command("run", "--company", str(self.company), "--json", *words, **variables)

    def start(self, *words: str, **variables: str) -> subprocess.Popen[bytes]:
        """Type `early-warning run …` and don't wait; the process leads a group of its own."""
        with self.progress.open("w") as progress:
            return subprocess.Popen(
                self._typed(("run", "--company", str(self.company), *words)),
                env=self._variables(variables),
                stdout=subprocess.DEVNULL,
                stderr=progress,
                start_new_session=True,
            )

    def _typed(self, words: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "early_warning.cli", *words]

    def _variables(self, variables: dict[str, str]) -> dict[str, str]:
        return environment(EARLY_WARNING_HOME=str(self.folder), **variables)

    def rows(self, query: str, *parameters: Any) -> Rows:
        """Rows of a query as the owner of the warehouse."""
        with running_postgres(self.folder) as warehouse:
            return warehouse.rows(query, *parameters)

    def orphaned_server(self) -> Warehouse:
        """Start the server as a killed command leaves it behind: running, used by nobody, kept by nobody."""
        warehouse = keep_postgres(self.folder)
        (self.folder / "postgres.keep").unlink()
        return warehouse

    @property
    def progress(self) -> Path:
        """What the command that was started last has said so far."""
        return self.folder / "progress.txt"

    @property
    def processes(self) -> list[str]:
        """Command lines of whatever still runs for this home, but for its server."""
        found = []
        for one in psutil.process_iter():
            with suppress(psutil.Error):
                if one.environ().get("EARLY_WARNING_HOME") == str(self.folder):
                    found.append(" ".join(one.cmdline()))
        return found

    @property
    def reader_dsn(self) -> str:
        """Connection string of the reader, for a home whose server has been started."""
        password = json.loads((self.folder / "credentials.json").read_text())[READER]
        port = json.loads((self.folder / "postgres.json").read_text())["port"]
        return make_conninfo(host=HOST, port=port, user=READER, password=password, dbname="warehouse")

    @property
    def postmaster(self) -> int | None:
        """Process number of the home's server while it runs."""
        file = self.folder / "postgres" / "data" / "postmaster.pid"
        return int(file.read_text().split()[0]) if file.exists() else None

    def remove(self) -> None:
        remove_postgres(self.folder)
        shutil.rmtree(self.folder)


def demo_company(folder: Path, **changes: Any) -> Path:
    """The shipped company, small: 150 customers and 24 months, first judged on 30 June 2026."""
    shutil.copytree(PROJECT / "company", folder)
    file = folder / "company.yml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    content["simulation"] |= {"customers": 150, "starts_on": "2024-07-01", "months": 24}
    file.write_text(yaml.safe_dump(content | changes, allow_unicode=True), encoding="utf-8")
    return folder


def published(warehouse: Warehouse, day: str) -> dict[str, Rows]:
    """What BI tools see of a day, but for what differs between homes: run ids and the time of publication."""
    queries = {
        view: f"select to_jsonb(seen) - 'run_id' as row from bi.{view} as seen where as_of_date = %s order by 1"
        for view in ("customers", "indicator_values", "warnings")
    }
    queries["runs"] = (
        "select to_jsonb(run) - '{run_id, published_at, previous_run_id}'::text[]"
        " || jsonb_build_object('previous_day', previous.as_of_date) as row from bi.runs as run"
        " left join bi.runs as previous on previous.run_id = run.previous_run_id where run.as_of_date = %s order by 1"
    )
    with psycopg.connect(warehouse.reader_dsn, row_factory=dict_row) as connection:
        return {
            view: [row["row"] for row in connection.execute(query, [day]).fetchall()] for view, query in queries.items()
        }


_LEDGERS = {
    "runs": "select run.as_of_at, run.state, run.is_backfill, previous.as_of_at as previous_at,"
    " run.composed_at is not null as is_composed, run.finished_at is not null as is_finished,"
    " publication.run_id is not distinct from run.run_id as is_shown from ops.run"
    " left join ops.run as previous on previous.run_id = run.previous_run_id"
    " left join ops.publication on publication.as_of_date = run.as_of_date",
    "steps": "select as_of_at, step, run_step.state from ops.run_step join ops.run using (run_id)",
    "batches": "select as_of_at, source, data_set, mode, batch.state, rows, quarantined, orphans, previous_rows,"
    " newest_file_date, (select md5(string_agg(concat_ws(' ', table_name, file, sha256), '' order by table_name, file))"
    " from ops.delivery where delivery.batch_id = batch.batch_id) as files from ops.batch join ops.run using (run_id)",
    "quarantine": "select as_of_at, source, data_set, source_file, source_row, column_name, reason"
    " from ops.quarantine join ops.run using (run_id)",
    "problems": "select as_of_at, source, data_set, file, row, problem.message"
    " from ops.problem join ops.run using (run_id)",
    "gates": "select as_of_at, gate, expectation, data_set, verdict, failed_rows"
    " from ops.gate_result join ops.run using (run_id)",
    "told": "select as_of_at, told.customer_id, audience, recipient, case_id, step, warning_level, reminder"
    " from ops.told join ops.run using (run_id)",
    "landed": " union all ".join(
        f"select '{one.table}' as landed, count(*),"
        " sum(hashtextextended((to_jsonb(landed) - '_batch_id')::text, 0)) as content"
        f" from landing.{one.table} as landed"
        for one in DATA_SETS.values()
    ),
}


def ledgers(warehouse: Warehouse) -> dict[str, Rows]:
    """All that a home keeps of its runs, but for what differs between homes: ids, clocks, how often it was tried."""
    return {name: _as_json(warehouse, query) for name, query in _LEDGERS.items()} | {"mails": _mails(warehouse)}


def _as_json(warehouse: Warehouse, query: str) -> Rows:
    return [row["kept"] for row in warehouse.rows(f"select to_jsonb(kept) as kept from ({query}) as kept order by 1")]


def _mails(warehouse: Warehouse) -> Rows:
    """The mails of each run, failure notices apart.

    What digests say is without the last line: it names the run's id, and ids may jump when a server is killed. What
    reports say of the platform itself may differ: how long a run took, and that it was begun twice.
    """
    mails = [mail for mail in outbox_list(warehouse) if mail["audience"] != "operators"]
    same = ("audience", "recipient", "message_id", "state")
    return [
        {name: mail[name] for name in same}
        | {"as_of_at": mail["as_of_at"].isoformat()}
        | ({} if mail["audience"] in ("operators_report", "audit_report") else _words_of(warehouse, mail))
        for mail in mails
    ]


def _words_of(warehouse: Warehouse, mail: dict[str, Any]) -> dict[str, str]:
    text = outbox_show(warehouse, mail["mail_key"])["text"]
    return {"subject": mail["subject"], "text": text.rstrip().rpartition("\n")[0]}


# --- mail ---------------------------------------------------------------------------------------------------------


@dataclass
class Postbox:
    """A mail server that remembers what it took; with `stuck_after` it has so many, it lets the next one wait."""

    taken: list[tuple[str, str]] = field(default_factory=list)
    stuck_after: int | None = None
    is_stuck: bool = False
    url: str = ""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Take a mail."""
        while len(self.taken) == self.stuck_after:
            self.is_stuck = True
            await asyncio.sleep(0.02)  # ends with the connection
        message = message_from_bytes(envelope.original_content or b"", policy=policy.SMTP)
        [recipient] = envelope.rcpt_tos
        self.taken.append((str(message["Message-ID"]), recipient))
        return "250 Kept"

    @property
    def twice(self) -> list[tuple[str, str]]:
        """Mails that came more than once."""
        return [mail for mail, times in Counter(self.taken).items() if times > 1]


class _OnFreePort(Controller):
    def __init__(self, handler: Postbox) -> None:
        self._bound = socket.create_server(("127.0.0.1", 0))
        super().__init__(handler, hostname="127.0.0.1", port=self._bound.getsockname()[1], server_hostname="localhost")

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self._bound)


@contextmanager
def postbox() -> Iterator[Postbox]:
    """Let a mail server run while the block runs; its `url` is for EARLY_WARNING_SMTP_URL."""
    box = Postbox()
    controller = _OnFreePort(box)
    box.url = f"smtp://127.0.0.1:{controller.port}"
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


def closed_port() -> str:
    """Address of a mail server that is down."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return f"smtp://127.0.0.1:{found.getsockname()[1]}"


# --- killing and watching -----------------------------------------------------------------------------------------

VICTIMS = ("process", "server", "both")


def kill(home: Home, process: subprocess.Popen[bytes], victim: str = "process") -> None:
    """Kill -9 a command with its process group, the home's server with all its processes, or both as a power cut does.

    A command that loses its server has to end by itself.
    """
    server = [psutil.Process(home.postmaster)] if victim != "process" and home.postmaster else []
    for one in [*server, *(child for parent in server for child in parent.children(recursive=True))]:
        with suppress(psutil.NoSuchProcess):
            one.kill()
    if victim == "server":
        process.wait(timeout=600)
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    psutil.wait_procs(server, timeout=30)


_WIRE = """
create function ops.wait_at_the_wire() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(4711);
    return new;
end
$$;
create trigger wire before insert or update on {table} for each row when ({when})
execute function ops.wait_at_the_wire();
select pg_advisory_lock(4711);
"""
_CUT = "drop trigger if exists wire on {table}; drop function if exists ops.wait_at_the_wire()"


@contextmanager
def stuck_at(
    home: Home, table: str, *words: str, when: str = "", **variables: str
) -> Iterator[tuple[subprocess.Popen[bytes], Warehouse]]:
    """A `run` that waits to write to a table and can't: neither earlier nor later. The block has to kill it.

    With `when`, a condition on `new`, it waits in the middle of a statement: at the first row for which that holds.
    """
    warehouse = home.orphaned_server()
    with closing(psycopg.connect(warehouse.dsn, autocommit=bool(when))) as holder:
        if when:
            holder.execute(_WIRE.format(table=table, when=when))
            waiting = "select pid from pg_locks where locktype = 'advisory' and objid = 4711 and not granted"
        else:
            holder.execute(f"lock table {table} in share mode")
            waiting = f"select pid from pg_locks where relation = '{table}'::regclass and not granted"
        process = home.start(*words, **variables)
        try:
            wait_until(lambda: _finds(holder, waiting), process)
            yield process, warehouse
        finally:
            if process.poll() is None:
                kill(home, process)
            with suppress(psycopg.OperationalError):  # what the dead had asked for and not got never happens
                holder.execute(f"select pg_terminate_backend(pid, 10000) from ({waiting}) as its_backend")
    if when:
        with closing(psycopg.connect(home.orphaned_server().dsn, autocommit=True)) as cutter:
            cutter.execute(_CUT.format(table=table))


def _finds(connection: psycopg.Connection[Any], query: str) -> bool:
    try:
        return connection.execute(query).fetchone() is not None
    except psycopg.OperationalError:  # the command has ended, and its server with it
        return False


def wait_until(is_so: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 600) -> None:
    """Wait for something that a command brings about."""
    end = time.monotonic() + seconds
    while not is_so():
        assert process.poll() is None, f"the command ended with {process.returncode} before that"
        assert time.monotonic() < end, "that did not happen in time"
        time.sleep(0.05)


@dataclass
class Watch:
    """What a reader saw of some days, asking again and again: (day, rows of each view), and errors."""

    seen: set[tuple[str, int, int, int]] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    looks: int = 0


_LOOK = (
    "select day::text, (select count(*) from bi.customers where as_of_date = day),"
    " (select count(*) from bi.indicator_values where as_of_date = day),"
    " (select count(*) from bi.warnings where as_of_date = day) from unnest(%s::date[]) as day"
)


@contextmanager
def watching(home: Home, days: Sequence[str]) -> Iterator[Watch]:
    """Look at the bi views all the time while the block runs, as a BI tool would. A stopped server is no error."""
    watch, is_over = Watch(), threading.Event()

    def look() -> None:
        while not is_over.is_set():
            try:
                with psycopg.connect(home.reader_dsn, autocommit=True, connect_timeout=2) as connection:
                    while not is_over.wait(0.05):
                        watch.seen.update(connection.execute(_LOOK, [list(days)]).fetchall())
                        watch.looks += 1
            except psycopg.OperationalError:
                is_over.wait(0.05)
            except psycopg.Error as error:
                watch.errors.append(str(error))
                is_over.wait(0.05)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield watch
    finally:
        is_over.set()
        thread.join()
