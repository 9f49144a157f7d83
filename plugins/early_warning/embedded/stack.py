"""Airflow on one machine: api-server, scheduler, dag-processor and triggerer on a home's embedded PostgreSQL.

`up` starts two processes that outlive it. The *supervisor* starts the components in a session of its own and starts
again what ends by itself; the *guard* is its parent and waits for its end. Whichever of the two is killed, the other
ends every process of that session and leaves the database server, so nothing stays behind. (Process groups would not
do: Airflow gives every task one of its own.) Both live as long as the file that `up` makes:

- `<home>/stack.json`: the port. Deleted (by `down`, or with the home), it ends the stack.
- `<home>/stack.lock`: held (flock) while one of the two lives.
- `<home>/ui-password.json` (mode 600): the password of the page's one user, made once. Airflow's SimpleAuthManager
  reads it as it is: fit for one person on one machine.
- `<home>/airflow/<component>.log`: what each said since its start, `.log.1` what came before.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import psutil

from early_warning.embedded.postgres import airflow_dsn, rotate_log, running_postgres
from early_warning.problems import ConfigurationError
from early_warning.settings import PROJECT

HOST = "127.0.0.1"
USER = "admin"
PORT_VARIABLE = "EARLY_WARNING_UI_PORT"
DEFAULT_PORT = 8080
_COMPONENTS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],  # which would listen on all addresses; the page reads the files
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
_WITH_HEARTBEAT = ("scheduler", "triggerer", "dag_processor")
_INFORMATIVE = {"scheduler": {"AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO"}}  # its children run the tasks: for their logs
_START_SECONDS = 600  # it takes about 50 CPU-seconds, and the machine may be busy
_RESTART_SECONDS = 2
_STOP_SECONDS = 20  # then a task that is still at work is killed; the run goes on from there when the stack is up again


class StackFailed(Exception):
    """The stack does not come up; the text names the log."""


@dataclass(frozen=True)
class Stack:
    """A stack that is up: the address of its page, and the file with the password of `USER`."""

    url: str
    password_file: Path


def environment(home: Path) -> dict[str, str]:
    """Settings of an Airflow that lives in the home, whose server is running, for whichever process uses it."""
    folder, metadata = home / "airflow", airflow_dsn(home)
    return {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": metadata.replace("+psycopg2", "+psycopg_async"),
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(folder / "logs"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


def up(home: Path) -> Stack:
    """Start the stack with this process's environment and return once it is healthy and shows every DAG.

    One that is up already is returned as it is.

    Raises:
        ConfigurationError: the port is taken, or no port.
        StackFailed: it does not become healthy.
    """
    home = home.resolve()
    with suppress(BlockingIOError), _held(home) as lock:
        _launch(home, _free_port(), lock)
    try:
        _wait_until_healthy(home)
    except BaseException:
        down(home)
        raise
    return Stack(_url(_port(home)), _password_file(home))


def down(home: Path) -> bool:
    """End the stack and wait until every process of it is gone; whether there was one."""
    home = home.resolve()
    was_up = is_up(home)
    _file(home).unlink(missing_ok=True)
    while is_up(home):
        time.sleep(0.1)
    return was_up


def is_up(home: Path) -> bool:
    """Whether a stack lives in this home: healthy or not, starting or ending."""
    try:
        with _held(home):
            return False
    except FileNotFoundError:  # not even a home
        return False
    except BlockingIOError:
        return True


# --- the start ----------------------------------------------------------------------------------------------------


def _launch(home: Path, port: int, lock: IO[str]) -> None:
    """Make Airflow's tables and start the guard, which inherits the lock."""
    folder = home / "airflow"
    folder.mkdir(exist_ok=True)
    _make_password(home)
    variables = os.environ | _settings(home, port)
    with _opened(folder / "supervisor.log") as log:
        answer = subprocess.run(_airflow("db", "migrate"), env=variables, stdout=log, stderr=log, check=False)  # noqa: S603
        if answer.returncode != 0:
            raise StackFailed(f"Airflow can't make its tables; read {log.name}")
        _file(home).write_text(json.dumps({"port": port}))
        subprocess.Popen(  # noqa: S603 - fixed command, no shell
            [sys.executable, "-m", __name__, str(home)],
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=[lock.fileno()],
        )


def _free_port() -> int:
    """The port that is asked for, if nobody has it."""
    text = os.environ.get(PORT_VARIABLE) or str(DEFAULT_PORT)
    port = int(text) if text.isdecimal() else 0
    if not 0 < port < 2**16:
        raise ConfigurationError.about(f"{PORT_VARIABLE}={text} is no port", "give a number from 1 to 65535")
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the api-server does
        try:
            candidate.bind((HOST, port))
        except OSError as error:
            raise ConfigurationError.about(
                f"port {port} of {HOST} can't be had: {error.strerror}",
                f"end what listens there, or let {PORT_VARIABLE} name a free port",
            ) from None
    return port


def _settings(home: Path, port: int) -> dict[str, str]:
    """What the components need beyond `environment`. The secrets are new with every start and stand in no file."""
    direct = ",".join(filter(None, [os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), HOST]))
    return {
        "AIRFLOW__API__BASE_URL": _url(port),
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(48),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{_url(port)}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",  # as many processes wait for tasks all the time
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(_password_file(home)),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "NO_PROXY": direct,  # tasks speak to the api-server by HTTP
        "no_proxy": direct,
    }


def _make_password(home: Path) -> None:
    """Make the password once; Airflow itself would print the one it makes."""
    with suppress(FileExistsError):
        descriptor = os.open(_password_file(home), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump({USER: secrets.token_urlsafe(12)}, file)


def _wait_until_healthy(home: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while not _is_healthy(home):
        if time.monotonic() > end or not is_up(home):
            raise StackFailed(f"Airflow does not come up; read the logs in {home / 'airflow'}")
        time.sleep(0.5)


def _is_healthy(home: Path) -> bool:
    """Whether every component has given a sign of life since the start, and the page can show every DAG."""
    try:
        port, started = _port(home), datetime.fromtimestamp(_file(home).stat().st_mtime, UTC)
        health = _ask(port, "GET", "/api/v2/monitor/health")
        heartbeats = [health[name][f"latest_{name}_heartbeat"] for name in _WITH_HEARTBEAT]
        if not all(beat and datetime.fromisoformat(beat) >= started for beat in heartbeats):
            return False
        login = {"username": USER, "password": json.loads(_password_file(home).read_text())[USER]}
        token = _ask(port, "POST", "/auth/token", login)["access_token"]
        shown = {dag["dag_id"] for dag in _ask(port, "GET", "/api/v2/dags", token=token)["dags"]}
        return shown >= {path.stem for path in (PROJECT / "dags").glob("*.py")}
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return False


def _ask(port: int, method: str, path: str, body: object = None, token: str = "") -> Any:
    """JSON that the api-server answers, whatever the status."""
    connection = http.client.HTTPConnection(HOST, port, timeout=10)  # asks no proxy
    try:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        connection.request(method, path, json.dumps(body) if body else None, headers)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


# --- guard and supervisor -----------------------------------------------------------------------------------------


def keep_running(home: Path, commands: Mapping[str, Sequence[str]]) -> None:
    """Be the guard of a stack of commands by name, with the supervisor as its child, while the stack's file exists."""
    guard, supervisor = os.getpid(), os.fork()
    if supervisor == 0:
        os.setsid()
    with running_postgres(home):  # the last of the two stops the server, unless a command uses it
        if supervisor == 0:
            _supervise(home, commands, guard)
        else:
            os.waitpid(supervisor, 0)
        _end_session(supervisor or os.getpid())


def _supervise(home: Path, commands: Mapping[str, Sequence[str]], guard: int) -> None:
    """Keep the commands running while the stack's file and its guard are there, then end them."""
    logs = {name: home / "airflow" / f"{name}.log" for name in commands}
    running: dict[str, subprocess.Popen[bytes]] = {}
    while _file(home).exists() and os.getppid() == guard:
        for name, command in commands.items():
            if name in running and running[name].poll() is None:
                continue
            if name in running:
                print(f"{name} ended with {running[name].returncode} and is started again", file=sys.stderr)
                time.sleep(_RESTART_SECONDS)
            with running_postgres(home), _opened(logs[name]) as log:  # a dead server may be why it ended
                running[name] = subprocess.Popen(  # noqa: S603 - fixed command, no shell
                    command, env=os.environ | _INFORMATIVE.get(name, {}), stdout=log, stderr=log
                )
        for log_file in logs.values():
            rotate_log(log_file)
        time.sleep(0.5)
    for process in running.values():
        process.terminate()
    end = time.monotonic() + _STOP_SECONDS
    for process in running.values():
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0, end - time.monotonic()))


def _end_session(session: int) -> None:
    """Kill every process of a session but this very one, until none is left."""
    while members := [pid for pid in psutil.pids() if pid != os.getpid() and _lives_in(session, pid)]:
        for pid in members:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def _lives_in(session: int, pid: int) -> bool:
    try:
        return os.getsid(pid) == session and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


# --- files and names ----------------------------------------------------------------------------------------------


@contextmanager
def _held(home: Path) -> Iterator[IO[str]]:
    """Hold the stack's lock; a process that inherits the file holds it too.

    Raises:
        BlockingIOError: somebody else holds it.
    """
    with (home / "stack.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield lock


def _opened(log: Path) -> IO[str]:
    return os.fdopen(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a")


def _airflow(*words: str) -> list[str]:
    return [sys.executable, "-m", "airflow", *words]


def _url(port: int) -> str:
    return f"http://{HOST}:{port}"


def _port(home: Path) -> int:
    return int(json.loads(_file(home).read_text())["port"])


def _file(home: Path) -> Path:
    return home / "stack.json"


def _password_file(home: Path) -> Path:
    return home / "ui-password.json"


if __name__ == "__main__":
    keep_running(Path(sys.argv[1]), {name: _airflow(*words) for name, words in _COMPONENTS.items()})
