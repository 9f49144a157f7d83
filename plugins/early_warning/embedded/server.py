"""One PostgreSQL server on one data directory: find it, start it, stop it.

A live server is known by its processes' titles: they carry the cluster's name, which is made of the data directory's
inode. So a stale postmaster.pid whose number meanwhile belongs to someone else, a moved home and a copied one are all
told apart, for root in a container too (where another user's /proc/<pid>/cwd can't be read).
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from early_warning.embedded.account import Account, Binaries, PostgresUnavailable

START_SECONDS = 180
STOP_SECONDS = 60
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "60",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "32MB",
    "maintenance_work_mem": "128MB",
    "wal_level": "minimal",  # nothing replicates from here, and bulk loads into new tables skip the WAL
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_destination": "stderr",
    "logging_collector": "off",  # the launcher rotates the one log file in the home
    "log_line_prefix": "%m [%p] %u@%d ",
    "log_checkpoints": "off",
    "log_statement": "none",
    "log_min_error_statement": "panic",  # with terse: passwords and customers' rows stay out of the log
    "log_error_verbosity": "terse",
}
_started: dict[int, subprocess.Popen[bytes]] = {}  # children of this process, so that they are reaped


@dataclass(frozen=True)
class Postmaster:
    """A live server's first process, as its postmaster.pid says. `status` is starting, ready or stopping."""

    pid: int
    started_at: int
    port: int
    status: str


class PortTaken(Exception):
    """The server could not listen: somebody else has the port."""


@dataclass(frozen=True)
class Server:
    """The server of one data directory; `log` takes all it says."""

    data: Path
    log: Path
    account: Account

    @property
    def cluster_name(self) -> str:
        """Name in the titles of this server's processes."""
        identity = self.data.stat()
        return f"early-warning-{identity.st_dev:x}-{identity.st_ino:x}"

    def find(self) -> Postmaster | None:
        """Find the live server of this data directory."""
        lines = self._pid_file_lines()
        if len(lines) < 4 or not lines[3].strip().isdigit():
            return None
        pid = int(lines[0])
        if self.cluster_name not in (_titles([pid]).get(pid) or ""):
            return None
        return Postmaster(pid, int(lines[2]), int(lines[3]), lines[7].strip() if len(lines) > 7 else "starting")

    def start(self, binaries: Binaries, port: int) -> None:
        """Start the server and wait until it takes connections.

        Raises:
            PortTaken: nothing was started; try another port.
            PostgresUnavailable: with the end of the log.
        """
        self._clear_after_crash()
        settings = SETTINGS | {"port": str(port), "cluster_name": self.cluster_name}
        command = [str(binaries.folder / "postgres"), "-D", str(self.data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        said = self.log.stat().st_size if self.log.exists() else 0
        descriptor = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            process = subprocess.Popen(  # noqa: S603 - fixed command, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,  # a Ctrl-C at the terminal is for the command, not for the server
                **self.account.options,
            )
        finally:
            os.close(descriptor)
        _started[process.pid] = process
        is_up = _wait(lambda: process.poll() is not None or self._is_ready(process.pid), START_SECONDS)
        if process.poll() is None and is_up:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGQUIT)
        words = self.log.read_bytes()[said:].decode(errors="replace").strip()
        if "Address already in use" in words:
            raise PortTaken
        last_words = "\n".join(words.splitlines()[-10:]) or "it said nothing"
        raise PostgresUnavailable(
            f"PostgreSQL did not start:\n{last_words}\n", "mend what the log says, then run again", file=self.log
        )

    def wait_settled(self) -> Postmaster | None:
        """Wait for a server that somebody is starting or stopping just now; None when none runs."""
        found = self.find()
        if found and found.status != "ready":
            _wait(lambda: (now := self.find()) is None or now.status == "ready", START_SECONDS)
            found = self.find()
        return found

    def is_gone_soon(self) -> bool:
        """Whether the server is just being stopped, or has been killed and is listed for a second or two."""
        return self.wait_settled() is None or _wait(lambda: self.find() is None, 2)

    def stop(self, *, at_once: bool = False) -> None:
        """Stop the server if it runs: connections are ended, what was committed is safe.

        `at_once` leaves out the closing checkpoint, for data that is about to be deleted.

        Raises:
            PostgresUnavailable: it does not stop.
        """
        for number in (signal.SIGQUIT,) if at_once else (signal.SIGINT, signal.SIGQUIT):
            found = self.find()
            if found is None:
                return
            os.kill(found.pid, number)
            if _wait(lambda: self.find() is None, STOP_SECONDS):
                if found.pid in _started:
                    _started.pop(found.pid).wait(STOP_SECONDS)
                return
        raise PostgresUnavailable("PostgreSQL does not stop", "look at the end of the log", file=self.log)

    def _is_ready(self, pid: int) -> bool:
        found = self.find()
        return found is not None and found.pid == pid and found.status == "ready"

    def _pid_file_lines(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return []

    def _clear_after_crash(self) -> None:
        """Make way after a postmaster that was killed: end its orphans, drop a postmaster.pid that names a stranger.

        PostgreSQL sees by itself that a number is nobody's; a stranger of the same user, or a dead process not yet
        reaped, it takes for a live server. A process whose title can't be read leaves the decision to PostgreSQL.
        """
        lines = self._pid_file_lines()
        if not lines:
            return
        name = self.cluster_name

        def orphans() -> list[int]:
            return [pid for pid, title in _titles().items() if title and name in title]

        for pid in orphans():
            os.kill(pid, signal.SIGQUIT)
        if not _wait(lambda: not orphans(), STOP_SECONDS):
            raise PostgresUnavailable(
                f"processes {orphans()} of a killed server hold the data", "end them, then run again", file=self.log
            )
        pid = int(lines[0]) if lines[0].strip().isdigit() else 0
        if pid == 0 or _titles([pid]).get(pid):
            (self.data / "postmaster.pid").unlink(missing_ok=True)


def _titles(pids: list[int] | None = None) -> dict[int, str | None]:
    """Command lines of live processes (of all, or of those asked for): only PostgreSQL's own are told in words.

    A stranger's is `stranger`, and so is that of a dead one not yet reaped; one that may not be read is None.
    """
    found: dict[int, str | None] = {}
    if Path("/proc/self/cmdline").exists():
        numbers = pids if pids is not None else [int(path.name) for path in Path("/proc").glob("[0-9]*")]
        for pid in numbers:
            try:
                line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            except (FileNotFoundError, ProcessLookupError):
                continue
            except PermissionError:
                found[pid] = None
                continue
            found[pid] = _title(line)
        return found
    which = ["-p", ",".join(map(str, pids))] if pids is not None else ["-ax"]
    answer = subprocess.run(  # noqa: S603 - fixed command, no shell
        ["/bin/ps", *which, "-o", "pid=,command="], capture_output=True, text=True, errors="replace", check=False
    )
    for row in answer.stdout.splitlines():
        number, _, line = row.strip().partition(" ")
        found[int(number)] = _title(line.strip())
    return found


def _title(line: str) -> str:
    is_postgres = line.startswith("postgres:") or "/postgres -D " in line
    return line if is_postgres else "stranger"


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until the condition holds; False when the time is up."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
