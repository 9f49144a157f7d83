"""Fixtures that every test may use: an embedded server for the session, a fresh migrated warehouse for a test."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from early_warning.embedded.postgres import admin_dsn, remove_postgres, running_postgres
from early_warning.warehouse import Warehouse, migrate
from homes import Home, demo_company, made_once, session_folder

_HOME_VARIABLE = "EARLY_WARNING_TEST_HOME"
_TEMPLATE = "template_warehouse"


def pytest_configure(config: pytest.Config) -> None:
    """Make the session's home; xdist's workers inherit it by its variable and share one server."""
    if not hasattr(config, "workerinput"):
        home = Path(tempfile.mkdtemp(prefix="early-warning-tests-"))
        home.chmod(0o755)
        os.environ[_HOME_VARIABLE] = str(home)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest tests begin first."""
    items.sort(key=lambda item: item.get_closest_marker("longest") is None)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Delete the session's home; the workers are gone by now."""
    home = os.environ.pop(_HOME_VARIABLE, None) if not hasattr(config, "workerinput") else None
    if home:
        remove_postgres(Path(home))
        shutil.rmtree(home)


@dataclass(frozen=True)
class Databases:
    """The session's server: makes warehouses from a migrated template and drops them."""

    admin_dsn: str = field(repr=False)
    warehouse: Warehouse

    def named(self, name: str) -> Warehouse:
        """Warehouse of that database, with the usual two roles."""
        return Warehouse(
            dsn=make_conninfo(self.warehouse.dsn, dbname=name),
            reader_dsn=make_conninfo(self.warehouse.reader_dsn, dbname=name),
        )

    def create(self) -> Warehouse:
        """Make a fresh, migrated warehouse (about 50 ms)."""
        return self._create_from(_TEMPLATE)

    def copy(self, warehouse: Warehouse) -> Warehouse:
        """Make a warehouse that holds what another one holds now; nobody may be connected to that one."""
        return self._create_from(str(conninfo_to_dict(warehouse.dsn)["dbname"]))

    def _create_from(self, template: str) -> Warehouse:
        name = f"test_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self.admin_dsn, autocommit=True) as connection:
            connection.execute(
                sql.SQL("create database {} owner early_warning template {}").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
        return self.named(name)

    def drop(self, warehouse: Warehouse) -> None:
        """Drop a warehouse, whoever is still connected."""
        name = conninfo_to_dict(warehouse.dsn)["dbname"]
        with psycopg.connect(self.admin_dsn, autocommit=True) as connection:
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(str(name))))

    def make_template(self) -> None:
        """Make the template once, whichever worker comes first."""
        with psycopg.connect(self.admin_dsn, autocommit=True) as connection:
            connection.execute("select pg_advisory_lock(hashtext('template'))")
            if connection.execute("select 1 from pg_database where datname = %s", [_TEMPLATE]).fetchone():
                return
            connection.execute("create database template_draft owner early_warning")
            migrate(self.named("template_draft"))
            connection.execute(sql.SQL("alter database template_draft rename to {}").format(sql.Identifier(_TEMPLATE)))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Databases]:
    """One embedded server for all workers of the session; the last one out stops it."""
    home = Path(os.environ[_HOME_VARIABLE])
    with running_postgres(home) as warehouse:
        databases = Databases(admin_dsn(home), warehouse)
        databases.make_template()
        yield databases


@pytest.fixture(scope="session", autouse=True)
def home_of_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give every worker a home of its own (dbt's parsed project, logs), so that none touches a person's."""
    home = tmp_path_factory.mktemp("home")
    os.environ["EARLY_WARNING_HOME"] = str(home)
    yield home
    del os.environ["EARLY_WARNING_HOME"]


@pytest.fixture
def warehouse(postgres: Databases) -> Iterator[Warehouse]:
    """A fresh database, migrated, that no other test sees."""
    fresh = postgres.create()
    yield fresh
    postgres.drop(fresh)


# Homes of the command line's tests


@pytest.fixture(scope="session")
def first_day() -> Home:
    """A home of the small demo company with its first day, 30 June 2026, published. Only to be read and copied."""

    def make(folder: Path) -> None:
        home = Home.new(folder / "home", demo_company(folder / "company"))
        answer = home.run()
        assert answer.code == 0, answer.stderr
        (folder / "answer.json").write_text(answer.stdout)

    folder = made_once("first-day", make)
    return Home(folder / "home", folder / "company")


@pytest.fixture
def home(first_day: Home) -> Iterator[Home]:
    """A copy of that home, the test's own."""
    copy = first_day.copy(session_folder() / f"home-{uuid.uuid4().hex[:8]}")
    yield copy
    copy.remove()
