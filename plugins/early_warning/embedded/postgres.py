"""The embedded PostgreSQL of a home: made at the first use, started for a command, stopped after the last one.

What lies where:

- `<home>/postgres.json`: the port, where the data lies, whether it is complete.
- `<home>/credentials.json` (mode 600): random passwords, made once.
- `<home>/postgres.log`: all the server says; `postgres.log.1` what came before.
- `<home>/postgres/data`: the data directory. Started by root, with a home that the service user can't enter (made by
  `mktemp -d`, or below /root), it is `/var/lib/early-warning/<id>/data` instead, and `/var/lib/early-warning/<id>/home`
  names the home. Such a folder whose home is gone or uses another one is deleted when the next one is made.
- `<home>/postgres.lock`, `postgres.users`: who starts or stops, who uses the server just now (flock, so that a killed
  process holds nothing). `postgres.keep`: the server that stays, see `keep_postgres`.

The role `early_warning` owns the database `warehouse`, `early_warning_reader` may only connect to it, `airflow` owns
the database `airflow`; `postgres` is the superuser; `source_database` adds a database with an owner and a reader of its
own. All log in with passwords over 127.0.0.1, nothing else is offered.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import LiteralString, TextIO

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from early_warning.embedded.account import (
    Account,
    Binaries,
    PostgresUnavailable,
    outside_locked,
    reachable_binaries,
)
from early_warning.embedded.server import PortTaken, Server
from early_warning.warehouse import READER, Connection, Warehouse, verifier

HOST = "127.0.0.1"
SUPERUSER = "postgres"
OWNER = "early_warning"
AIRFLOW = "airflow"
LOG_BYTES = 5_000_000
MONTH_DAYS = 30
_PORTS = range(20_000, 30_000)  # below what systems hand out to outgoing connections, so a kept port stays free


@contextmanager
def running_postgres(home: Path) -> Iterator[Warehouse]:
    """Use the home's server: started if it is not running, stopped at the end by the last one who uses it.

    A server that `keep_postgres` started, stays. One that a killed process left behind is taken over.

    Raises:
        PostgresUnavailable: it can't be had.
    """
    cluster = _Cluster(home.resolve())
    with cluster.used():
        yield cluster.warehouse()


def keep_postgres(home: Path) -> Warehouse:
    """Start the home's server and let it run when this process and later commands end, until `stop_postgres`."""
    cluster = _Cluster(home.resolve())
    with cluster.used():
        cluster.keep()
        return cluster.warehouse()


def stop_postgres(home: Path) -> None:
    """Stop the home's server if it runs, whoever uses it."""
    cluster = _Cluster(home.resolve())
    with cluster.locked():
        cluster.stop()


def remove_postgres(home: Path) -> None:
    """Stop the home's server and delete its data and credentials, wherever they lie."""
    cluster = _Cluster(home.resolve())
    with cluster.locked():
        cluster.remove()


def airflow_dsn(home: Path) -> str:
    """SQLAlchemy URL of Airflow's metadata, for a home whose server is running."""
    return _Cluster(home.resolve()).airflow_url()


@dataclass(frozen=True)
class SourceDatabase:
    """A database that stands for a system of the company's: connection strings of its owner and of who may only read.

    Neither belongs in a log.
    """

    dsn: str = field(repr=False)
    reader_dsn: str = field(repr=False)


def source_database(home: Path, name: str) -> SourceDatabase:
    """Make the database `name` beside the warehouse if it is missing, for a home whose server is running.

    The role `name` owns it; the role `<name>_reader` may select from whatever the owner creates in it.
    """
    cluster = _Cluster(home.resolve())
    reader = f"{name}_reader"
    with cluster.locked():
        cluster.make_source_database(name, reader)
    return SourceDatabase(cluster.dsn(name, name), cluster.dsn(reader, name))


def admin_dsn(home: Path) -> str:
    """Connection string of the superuser on the database postgres, for a home whose server is running."""
    return _Cluster(home.resolve()).dsn(SUPERUSER, SUPERUSER)


def rotate_log(log: Path) -> None:
    """Keep a log small, also under a process that has run for months (it appends, so cutting it is safe)."""
    if log.exists() and log.stat().st_size > LOG_BYTES:
        shutil.copyfile(log, _older(log))
        _older(log).chmod(0o600)
        os.truncate(log, 0)


@dataclass(frozen=True)
class _State:
    """postgres.json. `folder` is where the data lies if not in the home; an incomplete state is made anew."""

    port: int
    folder: str | None = None
    is_complete: bool = False


class _Cluster:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.state_file = home / "postgres.json"
        self.credentials_file = home / "credentials.json"
        self.keep_file = home / "postgres.keep"
        self.log = home / "postgres.log"

    # -- who uses it -------------------------------------------------------------------------------------------------

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let nobody else start, stop or make this home's server."""
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            lock = (self.home / "postgres.lock").open("a")
        except OSError as error:
            raise PostgresUnavailable(
                f"the home can't be used: {error.strerror}",
                "run as the user it belongs to, or let EARLY_WARNING_HOME name another folder",
                file=self.home,
            ) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def used(self) -> Iterator[None]:
        """Have the server running, and be counted as one who uses it."""
        with ExitStack() as stack:
            with self.locked():
                users = stack.enter_context((self.home / "postgres.users").open("a"))
                fcntl.flock(users, fcntl.LOCK_SH)  # waits for nobody: an exclusive holder holds `locked` too
                self.ensure_running()
                server = self.server()
            try:
                yield
            finally:
                self._leave(users, server)

    def _leave(self, users: TextIO, server: Server) -> None:
        """Be no user any more; the last one stops a server that isn't kept. A deleted home has no others."""
        if not self.home.exists():
            server.stop(at_once=True)
            return
        with self.locked(), suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not self.is_kept():
                server.stop()

    def keep(self) -> None:
        """Mark the server that runs now as one that stays; the mark ends with it."""
        self.keep_file.write_text(repr(self.server().find()))

    def is_kept(self) -> bool:
        """Whether the running server is one that stays."""
        return self.keep_file.exists() and self.keep_file.read_text() == repr(self.server().find())

    def stop(self) -> None:
        """Stop the server whoever uses it."""
        self.keep_file.unlink(missing_ok=True)
        if self.state().is_complete:
            self.server().stop()

    def remove(self) -> None:
        """Stop the server and delete what belongs to it."""
        self._delete_data(self.state())
        for file in (self.state_file, self.credentials_file, self.keep_file, self.log, _older(self.log)):
            file.unlink(missing_ok=True)

    # -- where it is -------------------------------------------------------------------------------------------------

    def state(self) -> _State:
        """Read postgres.json; a home without one has an incomplete state."""
        try:
            return _State(**json.loads(self.state_file.read_text()))
        except FileNotFoundError:
            return _State(port=0)
        except (OSError, ValueError, TypeError) as error:
            raise PostgresUnavailable(
                f"not readable: {error}",
                "run as the user the home belongs to, or restore the file",
                file=self.state_file,
            ) from error

    def save(self, state: _State) -> _State:
        """Write postgres.json, whole or not at all."""
        _write_private(self.state_file, json.dumps(asdict(state)))
        return state

    def folder(self, state: _State) -> Path:
        """Find the folder of the data directory."""
        return Path(state.folder) if state.folder else self.home / "postgres"

    def server(self) -> Server:
        """Describe the server of this home."""
        folder = self.folder(self.state())
        return Server(folder / "data", self.log, Account.for_folder(folder / "data"))

    def password(self, role: str) -> str:
        """Look up a role's password."""
        try:
            return str(json.loads(self.credentials_file.read_text())[role])
        except (OSError, ValueError, KeyError) as error:
            raise PostgresUnavailable(
                f"not readable: {error}",
                f"run as the user the home belongs to; if the file is lost, delete {self.home} and begin anew",
                file=self.credentials_file,
            ) from error

    def dsn(self, role: str, database: str) -> str:
        """Write the libpq connection string of a role on a database."""
        return make_conninfo(
            host=HOST,
            port=self.state().port,
            user=role,
            password=self.password(role),
            dbname=database,
            sslmode="disable",  # the binaries have no TLS, and PGSSLMODE of the environment means other servers
        )

    def warehouse(self) -> Warehouse:
        """Say where the warehouse is."""
        return Warehouse(dsn=self.dsn(OWNER, "warehouse"), reader_dsn=self.dsn(READER, "warehouse"))

    def airflow_url(self) -> str:
        """Write the URL of Airflow's metadata; passwords are URL-safe."""
        return f"postgresql+psycopg2://{AIRFLOW}:{self.password(AIRFLOW)}@{HOST}:{self.state().port}/{AIRFLOW}"

    # -- starting ----------------------------------------------------------------------------------------------------

    def ensure_running(self) -> None:
        """Take over the running server, or start it, or make it."""
        rotate_log(self.log)
        state = self.state()
        if not state.is_complete:
            self._make(state)
            return
        self._check_folder(state)
        server = self.server()
        found = server.wait_settled()
        if found:
            if found.port != state.port:
                self.save(replace(state, port=found.port))
            if self._is_there(server):
                return
            server.stop()  # it runs by the home's former path, or has just been killed
        self._start(reachable_binaries(server.account))

    def _start(self, binaries: Binaries) -> None:
        state, server = self.state(), self.server()
        for _ in range(5):
            if not _is_free(state.port):
                state = self.save(replace(state, port=_free_port()))
            try:
                server.start(binaries, state.port)
            except PortTaken:
                continue
            if self._answers():
                return
            server.stop()
            break
        raise PostgresUnavailable(
            f"PostgreSQL can't be reached at {HOST}:{state.port}", "look at the end of the log", file=self.log
        )

    def _is_there(self, server: Server) -> bool:
        """Whether the server that was found answers as ours; one that was killed a moment ago may still be listed."""
        try:
            return self._answers()
        except PostgresUnavailable:
            if server.is_gone_soon():
                return False
            raise

    def _answers(self) -> bool:
        """Whether the server behind our port is really the one of our data directory."""
        with self._admin() as connection:
            row = connection.execute("show data_directory").fetchone()
        data = self.server().data
        return row is not None and Path(row[0]).exists() and data.samefile(row[0])

    @contextmanager
    def _admin(self, database: str = SUPERUSER) -> Iterator[Connection]:
        """Connect as the superuser, whatever PGOPTIONS says."""
        try:
            connection = psycopg.connect(self.dsn(SUPERUSER, database), autocommit=True, options="", connect_timeout=20)
        except psycopg.OperationalError as error:
            raise PostgresUnavailable(
                f"PostgreSQL refuses the superuser: {error}",
                "credentials.json and the data belong together: restore what was replaced",
                file=self.log,
            ) from error
        with closing(connection):
            yield connection

    def _check_folder(self, state: _State) -> None:
        """Tell a moved home (goes on) from a copied one (must not share the original's data).

        Raises:
            PostgresUnavailable: the data is gone, belongs to another home, or can't be reached any more.
        """
        folder = self.folder(state)
        if not (folder / "data" / "PG_VERSION").exists():
            remedy = f"restore it, or delete {self.home} and begin anew"
            raise PostgresUnavailable("the data directory is gone", remedy, file=folder)
        if not Account.for_folder(folder / "data").can_enter(folder / "data"):
            raise PostgresUnavailable(
                "the server's user can't reach the data directory any more",
                "let everybody enter the folders above it (chmod o+x), or delete it to begin anew",
                file=folder,
            )
        if state.folder:
            owner = _owner(folder)
            if owner and owner != self.home and _uses(owner, folder):
                raise PostgresUnavailable(
                    f"this home is a copy of {owner} and would share its data",
                    "delete postgres.json and credentials.json here to begin with an empty warehouse",
                    file=self.home,
                )
            if owner != self.home:
                _write_private(folder / "home", str(self.home))

    # -- making ------------------------------------------------------------------------------------------------------

    def _make(self, state: _State) -> None:
        """Make data directory, roles and databases; what an earlier attempt left is deleted first."""
        if self.state_file.exists():
            self._delete_data(state)
        elif self.folder(state).exists():
            raise PostgresUnavailable(
                "there is data but no postgres.json",
                "restore postgres.json, or delete this folder to begin with an empty warehouse",
                file=self.folder(state),
            )
        state = self._make_folder(_free_port())
        passwords = {role: secrets.token_urlsafe(24) for role in (SUPERUSER, OWNER, READER, AIRFLOW)}
        _write_private(self.credentials_file, json.dumps(passwords, indent=2))
        server = self.server()
        binaries = reachable_binaries(server.account)
        self._initdb(server, binaries, passwords[SUPERUSER])
        self._start(binaries)
        try:
            self._make_databases(passwords)
        except BaseException:
            server.stop(at_once=True)
            raise
        self.save(replace(self.state(), is_complete=True))

    def _make_folder(self, port: int) -> _State:
        """Make the folder of the data directory, in the home if the server's user can get there."""
        account = Account.for_folder(self.home / "postgres/data")
        if account.can_enter(self.home):
            _make_passage(self.home / "postgres")
            return self.save(_State(port))
        with outside_locked() as outside:
            _sweep(outside)
            folder = outside / secrets.token_hex(8)
            _make_passage(folder)
            _write_private(folder / "home", str(self.home))
            return self.save(_State(port, str(folder)))

    def _delete_data(self, state: _State) -> None:
        """Delete our data directory; never the one of a home that this one is a copy of."""
        if state.folder is None or _owner(Path(state.folder)) == self.home:
            _delete(self.folder(state))

    def _initdb(self, server: Server, binaries: Binaries, password: str) -> None:
        server.data.mkdir(mode=0o700)
        server.account.own(server.data)
        password_file = server.data.with_name("password")
        _write_private(password_file, password)
        server.account.own(password_file)
        locale = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
        answer = server.account.run(
            [
                binaries.folder / "initdb",
                f"--pgdata={server.data}",
                f"--username={SUPERUSER}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                *(locale if binaries.major >= 17 else ("--locale=C.UTF-8",)),
                "--no-instructions",
            ]
        )
        password_file.unlink()
        with os.fdopen(os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a") as log:
            log.write(answer.stdout + answer.stderr)
        if answer.returncode != 0:
            raise PostgresUnavailable(
                f"initdb failed:\n{answer.stderr.strip()}\n", "mend what the log says, then run again", file=self.log
            )

    def _make_databases(self, passwords: dict[str, str]) -> None:
        """Create the roles and databases. The reader's role is the owner's to look after, so that it can migrate."""
        with self._admin() as connection:
            for role in (OWNER, READER, AIRFLOW):
                _make_role(connection, role, passwords[role], "createrole" if role == OWNER else "")
            connection.execute(
                sql.SQL("grant {} to {} with admin option").format(sql.Identifier(READER), sql.Identifier(OWNER))
            )
            for database, owner in (("warehouse", OWNER), (AIRFLOW, AIRFLOW)):
                names = {"database": sql.Identifier(database), "owner": sql.Identifier(owner)}
                connection.execute(sql.SQL("create database {database} owner {owner}").format(**names))
                connection.execute(sql.SQL("revoke all on database {database} from public").format(**names))
            connection.execute(sql.SQL("grant connect on database warehouse to {}").format(sql.Identifier(READER)))
            connection.execute("revoke all on database postgres, template1 from public")
        for database in ("warehouse", AIRFLOW):
            with self._admin(database) as connection:
                connection.execute("revoke all on schema public from public")
        with self._admin("warehouse") as connection:
            connection.execute(files("early_warning.warehouse").joinpath("schema/keep_to_the_owner.sql").read_bytes())

    def make_source_database(self, name: str, reader: str) -> None:
        """Make a database with its two roles, or what of it an earlier attempt left out."""
        passwords = json.loads(self.credentials_file.read_text())
        missing = {role: secrets.token_urlsafe(24) for role in (name, reader) if role not in passwords}
        if missing:
            _write_private(self.credentials_file, json.dumps(passwords | missing, indent=2))
        names = {"database": sql.Identifier(name), "reader": sql.Identifier(reader)}
        with self._admin() as connection:
            for role in (name, reader):
                if connection.execute("select from pg_roles where rolname = %s", (role,)).fetchone() is None:
                    _make_role(connection, role, self.password(role))
            if connection.execute("select from pg_database where datname = %s", (name,)).fetchone() is None:
                connection.execute(sql.SQL("create database {database} owner {database}").format(**names))
            connection.execute(sql.SQL("revoke all on database {database} from public").format(**names))
            connection.execute(sql.SQL("grant connect on database {database} to {reader}").format(**names))
        with self._admin(name) as connection:
            connection.execute("revoke all on schema public from public")
            connection.execute(sql.SQL("grant usage on schema public to {reader}").format(**names))
            connection.execute(
                sql.SQL("alter default privileges for role {database} grant select on tables to {reader}").format(
                    **names
                )
            )


def _make_role(connection: Connection, role: str, password: str, privilege: LiteralString = "") -> None:
    """Create a role that logs in."""
    connection.execute(
        sql.SQL("create role {} login {} password {}").format(
            sql.Identifier(role), sql.SQL(privilege), verifier(connection, role, password)
        )
    )


def _older(log: Path) -> Path:
    return log.with_name(f"{log.name}.1")


def _write_private(path: Path, text: str) -> None:
    """Write a file of mode 600, whole or not at all."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _is_free(port: int) -> bool:
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as PostgreSQL does
        try:
            candidate.bind((HOST, port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    for _ in range(50):
        port = secrets.choice(_PORTS)
        if _is_free(port):
            return port
    with socket.socket() as candidate:
        candidate.bind((HOST, 0))
        return int(candidate.getsockname()[1])


def _uses(home: Path, folder: Path) -> bool:
    """Whether a home's data lies in this folder outside."""
    try:
        return bool(json.loads((home / "postgres.json").read_text())["folder"] == str(folder))
    except (OSError, ValueError, KeyError):
        return False


def _owner(folder: Path) -> Path | None:
    """Home that a folder outside was made for."""
    try:
        return Path((folder / "home").read_text())
    except FileNotFoundError:
        return None


def _sweep(outside: Path) -> None:
    """Delete data directories whose home is gone or uses another one.

    A home that can't be seen may be on a disk that isn't mounted just now: unless it was a temporary one, its data
    stays for a month after its last start.
    """
    for folder in outside.iterdir():
        owner = _owner(folder) if folder.is_dir() else None
        if owner and not _uses(owner, folder) and (_is_temporary(owner) or _idle_days(folder) > MONTH_DAYS):
            _delete(folder)


def _is_temporary(home: Path) -> bool:
    return home.is_relative_to(Path(tempfile.gettempdir()).resolve())


def _idle_days(folder: Path) -> float:
    """Days since the server of a data directory was last started."""
    started = folder / "data" / "postmaster.opts"
    return (time.time() - (started if started.exists() else folder).stat().st_mtime) / 86_400


def _make_passage(folder: Path) -> None:
    """Make the folder around a data directory: ours, the server's user may only pass through."""
    folder.mkdir()
    folder.chmod(0o711 if os.geteuid() == 0 else 0o700)


def _delete(folder: Path) -> None:
    """Delete a folder with a data directory, its server stopped first."""
    data = folder / "data"
    if data.exists():
        Server(data, folder / "log", Account.for_folder(data)).stop(at_once=True)
    if folder.exists():
        shutil.rmtree(folder)
