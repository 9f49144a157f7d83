"""What every DAG has to be, by closed lists; and that reading the DAG file costs the scheduler nothing heavy."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from early_warning.settings import PROJECT
from homes import environment, made_once

DAGS = PROJECT / "dags"
OWNERS = {"data-engineering"}
RHYTHMS = {
    "customer_warning_daily": ("daily", "0 6 * * *"),
    "policy_review_quarterly": ("quarterly", "0 7 5 1,4,7,10 *"),
    "warehouse_upkeep_weekly": ("weekly", "0 3 * * 0"),
}
MOST_LINES = 120
SOURCES = ("finance", "market", "sales", "service")
HEAVY = ("duckdb", "great_expectations", "dbt", "pandas", "pyarrow", "numpy", "fastexcel", "sqlfluff")

# A fresh interpreter reads the DAG folder as Airflow's DAG processor does, loads the plugins folder as every Airflow
# process does, and says what it found.
_DESCRIBE = """
import json, sys
from pathlib import Path
from airflow.dag_processing.dagbag import DagBag
from airflow.plugins_manager import ensure_plugins_loaded

before = set(sys.modules)
bag = DagBag(dag_folder=sys.argv[1], bundle_path=Path(sys.argv[1]), bundle_name="dags")
loaded = set(sys.modules)
ensure_plugins_loaded()

def callbacks(value):
    found = value if isinstance(value, list) else [value] if value else []
    return [one.__module__ + "." + one.__name__ for one in found]

def describe(dag):
    return {
        "file": dag.fileloc,
        "tags": sorted(dag.tags),
        "doc_md": dag.doc_md,
        "schedule": str(dag.schedule),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "dagrun_timeout": dag.dagrun_timeout and dag.dagrun_timeout.total_seconds(),
        "time_zone": str(dag.timezone),
        "tasks": {
            task.task_id: {
                "owner": task.owner,
                "retries": task.retries,
                "retry_delay": task.retry_delay.total_seconds(),
                "execution_timeout": task.execution_timeout and task.execution_timeout.total_seconds(),
                "on_failure": callbacks(task.on_failure_callback),
                "trigger_rule": task.trigger_rule.value,
                "downstream": sorted(task.downstream_task_ids),
            }
            for task in dag.tasks
        },
    }

print("DESCRIPTION", json.dumps({
    "errors": {str(file): str(error) for file, error in bag.import_errors.items()},
    "dags": {name: describe(dag) for name, dag in bag.dags.items()},
    "loaded": sorted(loaded),
    "loaded_by_plugins": sorted(set(sys.modules) - loaded),
}))
"""


def describe(folder: Path, company: Path) -> dict[str, Any]:
    """What Airflow finds in dags/ and plugins/ for a company."""
    airflow = {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "EARLY_WARNING_COMPANY": str(company),
    }
    answer = subprocess.run(
        [sys.executable, "-c", _DESCRIBE, DAGS], env=environment(**airflow), capture_output=True, text=True, cwd=folder
    )
    assert answer.returncode == 0, answer.stderr
    [line] = [line for line in answer.stdout.splitlines() if line.startswith("DESCRIPTION ")]
    return dict(json.loads(line.removeprefix("DESCRIPTION ")))


@pytest.fixture(scope="session")
def found() -> dict[str, Any]:
    """The description for the shipped company."""

    def make(folder: Path) -> None:
        (folder / "found.json").write_text(json.dumps(describe(folder, PROJECT / "company")))

    return dict(json.loads((made_once("dag", make) / "found.json").read_text()))


@pytest.fixture(scope="session")
def dag(found: dict[str, Any]) -> dict[str, Any]:
    return dict(found["dags"]["customer_warning_daily"])


def test_dag_folder_has_these_dags_and_no_import_error(found: dict[str, Any]) -> None:
    assert found["errors"] == {}
    assert set(found["dags"]) == set(RHYTHMS)
    assert {path.stem for path in DAGS.glob("*.py")} == set(found["dags"]), "dag_id = file stem"


@pytest.fixture(params=sorted(RHYTHMS))
def any_dag(found: dict[str, Any], request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(found["dags"][request.param], name=request.param)


def test_dag_file_is_a_table_of_contents(any_dag: dict[str, Any]) -> None:
    assert len(Path(any_dag["file"]).read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_dag_runs_at_its_hour_alone_and_never_for_ever(any_dag: dict[str, Any]) -> None:
    rhythm, schedule = RHYTHMS[any_dag["name"]]
    assert set(any_dag["tags"]) == {"customer-warning", rhythm}
    assert any_dag["schedule"] == schedule
    assert any_dag["time_zone"] == "Asia/Shanghai"
    assert (any_dag["catchup"], any_dag["max_active_runs"]) == (False, 1)
    assert 0 < any_dag["dagrun_timeout"] <= 6 * 3600


def test_every_task_has_owner_retries_time_out_and_tells_operators(any_dag: dict[str, Any]) -> None:
    for name, task in any_dag["tasks"].items():
        assert task["owner"] in OWNERS, name
        assert 1 <= task["retries"] <= 3, name
        assert 0 < task["retry_delay"] <= 300, name
        assert 0 < task["execution_timeout"] < any_dag["dagrun_timeout"], name
        assert task["on_failure"] == ["early_warning.orchestrate.tell_operators"], name
        assert task["trigger_rule"] == "all_success", name
        assert re.fullmatch(r"[a-z]+_[a-z_]+|transform|publish", name), f"{name} is no verb_object"


def test_doc_says_for_every_task_when_it_fails_and_what_to_do(any_dag: dict[str, Any]) -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in any_dag["doc_md"].splitlines()
        if line.startswith("| `")
    ]
    assert all(len(row) == 3 and all(row) for row in rows)
    named = [name for row in rows for name in re.findall(r"`([a-z_*]+)`", row[0])]
    for task in any_dag["tasks"]:
        assert any(re.fullmatch(name.replace("*", r"\w+"), task) for name in named), f"no triage for {task}"
    for word in ("Triage", "mail"):
        assert word in any_dag["doc_md"]


def test_doc_of_the_daily_dag_says_how_to_back_fill(dag: dict[str, Any]) -> None:
    assert "Back-fill" in dag["doc_md"]


def _edges(dag: dict[str, Any]) -> set[tuple[str, str]]:
    """Edges that no longer way implies."""
    tasks = dag["tasks"]

    def reached(name: str) -> set[str]:
        return {name}.union(*(reached(after) for after in tasks[name]["downstream"]))

    return {
        (name, after)
        for name in tasks
        for after in tasks[name]["downstream"]
        if not any(after in reached(other) for other in tasks[name]["downstream"] if other != after)
    }


def _expected_edges(sources: tuple[str, ...]) -> set[tuple[str, str]]:
    backbone = ("gate_landing", "transform", "gate_marts", "publish", "send_digests")
    return {
        *(("open_run", f"extract_{source}") for source in sources),
        *((f"extract_{source}", f"gate_{source}") for source in sources),
        *((f"gate_{source}", "gate_landing") for source in sources),
        *pairwise(backbone),
    }


def test_sources_are_extracted_and_gated_side_by_side_then_all_is_one_line(dag: dict[str, Any]) -> None:
    assert _edges(dag) == _expected_edges(SOURCES)


def test_every_source_folder_has_one_extract_and_one_gate(tmp_path: Path) -> None:
    company = tmp_path / "company"
    shutil.copytree(PROJECT / "company", company)
    shutil.copytree(company / "sources" / "sales", company / "sources" / "web_shop")
    shutil.rmtree(company / "sources" / "finance")
    changed = describe(tmp_path, company)["dags"]["customer_warning_daily"]
    sources = ("market", "sales", "service", "web_shop")
    assert _edges(changed) == _expected_edges(sources)
    assert sorted(changed["tasks"]) == sorted({name for edge in _expected_edges(sources) for name in edge})


def test_reading_the_dag_file_imports_nothing_heavy(found: dict[str, Any]) -> None:
    loaded = {name.split(".")[0] for name in found["loaded"]}
    assert loaded & set(HEAVY) == set()
    assert "early_warning.orchestrate" in found["loaded"]


def test_airflow_leaves_the_package_below_plugins_alone(found: dict[str, Any]) -> None:
    """Airflow 3.3 executes every .py below plugins/ under its bare name unless .airflowignore says otherwise."""
    lines = (PROJECT / "plugins" / ".airflowignore").read_text(encoding="utf-8").split()
    assert "early_warning/" in lines
    package = {path.stem for path in (PROJECT / "plugins" / "early_warning").rglob("*.py")} - {"__init__", "__main__"}
    assert package & set(found["loaded_by_plugins"]) == set()


def test_only_dags_and_orchestrate_import_airflow() -> None:
    files = [*(PROJECT / "plugins").rglob("*.py"), *DAGS.rglob("*.py")]
    importing = {
        os.fspath(path.relative_to(PROJECT))
        for path in files
        if re.search(r"^\s*(from|import) airflow\b", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    dags = {f"dags/{name}.py" for name in RHYTHMS}
    assert importing == {*dags, "plugins/early_warning/orchestrate.py"}
