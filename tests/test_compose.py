"""docker-compose.yml as far as it can be judged without a container engine: schema, variables, paths, commands."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from psycopg.conninfo import make_conninfo

from early_warning.cli import _parser
from early_warning.embedded import stack
from early_warning.embedded.__main__ import variables
from early_warning.embedded.account import Account, reachable_binaries
from early_warning.embedded.postgres import admin_dsn
from early_warning.settings import PROJECT
from early_warning.smtp import SmtpSettings
from early_warning.warehouse import Warehouse, migrate
from homes import Home, session_folder

FILE = PROJECT / "docker-compose.yml"
IN_THE_IMAGE = "/opt/early-warning/"
OF_OTHER_IMAGES = {"POSTGRES_DB", "POSTGRES_PASSWORD", "MP_DISABLE_VERSION_CHECK"}  # postgres, mailpit
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(:[-?][^}]*)?\}")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services with anchors and merges resolved."""
    return dict(yaml.safe_load(FILE.read_text())["services"])


def environments(services: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for service in services.values():
        yield from ((name, str(value)) for name, value in service.get("environment", {}).items())


def test_file_is_valid_against_the_compose_schema() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", FILE]
    answer = subprocess.run(check, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_components_are_those_of_the_full_stack_each_with_the_same_settings(services: dict[str, Any]) -> None:
    commands = {tuple(service["command"][:2]) for name, service in services.items() if name.startswith("airflow-")}
    assert commands == {("sh", "-c"), *(("airflow", name) for name in stack._COMPONENTS)}
    airflow = [service for name, service in services.items() if name.startswith("airflow-")]
    assert all(service["environment"] == airflow[0]["environment"] for service in airflow)
    for command in re.findall(r"early-warning (\w+)", str(airflow)):
        _parser().parse_args([command])


def test_every_service_comes_up_in_order_is_watched_and_comes_back(services: dict[str, Any]) -> None:
    for name, service in services.items():
        after = service.get("depends_on", {})
        assert set(after) <= set(services)
        if name == "airflow-init":
            assert (service["restart"], after["postgres"]["condition"]) == ("no", "service_healthy")
            continue
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name
        if name.startswith("airflow-"):
            assert after["airflow-init"]["condition"] == "service_completed_successfully", name


def test_every_published_port_is_bound_to_loopback(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert not any("network_mode" in service for service in services.values())


def test_every_variable_is_read_by_the_project_airflow_or_an_image(services: dict[str, Any]) -> None:
    spec = importlib.util.find_spec("airflow")
    assert spec
    assert spec.submodule_search_locations
    [folder] = spec.submodule_search_locations
    sections = yaml.safe_load((Path(folder) / "config_templates" / "config.yml").read_text())
    airflow = {
        f"AIRFLOW__{section}__{option}".upper()
        for section, content in sections.items()
        for option in content["options"]
    }
    sources = [*(PROJECT / "plugins").rglob("*.py"), PROJECT / "docker" / "databases.sql"]
    ours = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    for name, _ in environments(services):
        is_known = name in airflow | OF_OTHER_IMAGES or re.search(rf"\b{name}\b", ours)
        assert is_known, f"nobody reads {name}"


def test_no_secret_is_shipped_and_every_one_is_asked_for(services: dict[str, Any]) -> None:
    for name, value in environments(services):
        if re.search(r"(PASSWORD|SECRET|SECRET_KEY|FERNET_KEY)$", name):
            assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), name
        for password in re.findall(r"://[^:@/{}]+:([^@]*)@", value):
            assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", password), name
    required = {name for name, rest in VARIABLE.findall(FILE.read_text()) if not rest.startswith(":-")}
    example = (PROJECT / ".env.example").read_text()
    assert set(re.findall(r"^(\w+)=$", example, re.MULTILINE)) == required
    assert re.findall(r"^\w+=.+$", example, re.MULTILINE) == []
    optional = {name for name, rest in VARIABLE.findall(FILE.read_text()) if rest.startswith(":-")}
    assert set(re.findall(r"^# (\w+)=", example, re.MULTILINE)) == optional
    ignored = subprocess.run(["git", "check-ignore", "--quiet", ".env"], cwd=PROJECT)
    assert ignored.returncode == 0


def test_every_path_exists_in_the_project_and_in_the_image(services: dict[str, Any]) -> None:
    volumes = {volume.split(":")[0] for service in services.values() for volume in service.get("volumes", ())}
    named = set(yaml.safe_load(FILE.read_text())["volumes"])
    assert {volume for volume in volumes if not volume.startswith("./")} == named
    assert all((PROJECT / volume).exists() for volume in volumes - named)
    dockerfile = (PROJECT / "Dockerfile").read_text()
    copied = {path for line in re.findall(r"^COPY (.+) \S+$", dockerfile, re.MULTILINE) for path in line.split()}
    allowed = set(re.findall(r"^!(.+)$", (PROJECT / ".dockerignore").read_text(), re.MULTILINE))
    assert copied == allowed
    assert all((PROJECT / path).exists() for path in copied)
    for _, value in environments(services):
        if value.startswith(IN_THE_IMAGE):
            assert value.removeprefix(IN_THE_IMAGE).split("/")[0] in copied
    assert {PROJECT / name for name in ("dags", "dbt_project", "expectations", "company")} <= {
        PROJECT / path for path in copied
    }


def test_mail_goes_to_the_catcher(services: dict[str, Any]) -> None:
    default = VARIABLE.fullmatch(services["airflow-scheduler"]["environment"]["EARLY_WARNING_SMTP_URL"])
    assert default
    assert SmtpSettings.from_url(default[2].removeprefix(":-")).host in services


def test_database_script_makes_the_roles_that_the_platform_needs() -> None:
    """On a fresh server, as PostgreSQL's image runs it; the mounted scripts in their order."""
    home = Home.new(session_folder() / "compose", PROJECT / "company")
    try:
        home.rows("select 1")
        warehouse = home.orphaned_server()
        admin = admin_dsn(home.folder)
        with psycopg.connect(admin, autocommit=True) as connection:
            for database in ("warehouse", "airflow"):
                connection.execute(f"drop database {database}".encode())
            for role in ("early_warning", "early_warning_reader", "airflow"):
                connection.execute(f"drop role {role}".encode())
            connection.execute("create database warehouse")
        psql = reachable_binaries(Account()).folder / "psql"
        passwords = {"EARLY_WARNING_PASSWORD": "o'1", "EARLY_WARNING_READER_PASSWORD": "r", "AIRFLOW_PASSWORD": "a"}
        passwords |= {"DEMO_CRM_PASSWORD": "c", "DEMO_CRM_READER_PASSWORD": "d"}
        mounted = [
            volume.split(":")
            for volume in yaml.safe_load(FILE.read_text())["services"]["postgres"]["volumes"]
            if volume.startswith("./")
        ]
        for script, _, _ in sorted(mounted, key=lambda volume: volume[1]):
            subprocess.run(
                [psql, "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--quiet", "--file", PROJECT / script],
                env=os.environ | passwords | variables(Warehouse(admin, admin)) | {"PGDATABASE": "warehouse"},
                check=True,
            )
        reader_dsn = make_conninfo(warehouse.reader_dsn, password="r")
        ours = Warehouse(make_conninfo(warehouse.dsn, password="o'1"), reader_dsn)
        migrate(ours)
        migrate(ours)
        with psycopg.connect(reader_dsn) as reader:
            assert reader.execute("select has_schema_privilege('bi', 'usage')").fetchone() == (True,)
        with psycopg.connect(reader_dsn) as reader, pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("select pg_try_advisory_lock(1)")
        metadata = make_conninfo(warehouse.dsn, user="airflow", password="a", dbname="airflow")
        with psycopg.connect(metadata) as airflow:
            airflow.execute("create table public.anything ()")
        crm = make_conninfo(warehouse.dsn, user="demo_crm", password="c", dbname="demo_crm")
        with psycopg.connect(crm) as owner:
            owner.execute("create table orders ()")
        with psycopg.connect(make_conninfo(crm, user="demo_crm_reader", password="d")) as reader:
            reader.execute("select from orders")
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(make_conninfo(reader_dsn, dbname="airflow"))
    finally:
        home.remove()
