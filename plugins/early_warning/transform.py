"""Transform: the only caller of dbt. One build a run, in this process."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from early_warning.settings import PROJECT, home
from early_warning.warehouse import Warehouse

DBT_PROJECT = PROJECT / "dbt_project"


# Views that readers query and words they contain. dbt replaces a view by renaming and fills a seed behind an exclusive
# lock, so a reader of that moment is turned away or waits: they are built when the project changed, not every day.
_WHAT_READERS_USE = ("path:models/bi", "rpt_indicator_sentences", "path:seeds")


class TransformFailed(Exception):
    """dbt could not build; the message names the nodes that failed and what the database said."""


def indicator_codes() -> tuple[str, ...]:
    """Codes of the indicators that have a model, found by their files, so that nobody lists them."""
    return tuple(sorted(path.stem.removeprefix("ind_") for path in DBT_PROJECT.glob("models/indicators/**/ind_*.sql")))


def build(warehouse: Warehouse, run_id: int, *, from_scratch: bool = False) -> int:
    """Build staging, indicators and marts of a run; returns the number of nodes built.

    `from_scratch` derives everything but the marts' earlier runs anew from what has landed.

    Raises:
        TransformFailed: when a node fails; what was built so far is invisible and is built again by the next try.
    """
    from dbt.cli.main import dbtRunner  # takes a second to import

    folder, project = home() / "dbt", _fingerprint()
    is_known = bool(warehouse.rows("select 1 from ops.built_project where fingerprint = %s", project))
    with _entered(environment(warehouse, run_id)):
        result = dbtRunner().invoke(
            [
                "--quiet",
                "--no-send-anonymous-usage-stats",
                "--no-version-check",
                "build",
                *("--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)),
                *("--target-path", str(folder / "target"), "--log-path", str(folder / "logs")),
                *(("--full-refresh",) if from_scratch else ()),
                *(("--exclude", *_WHAT_READERS_USE) if is_known else ()),
            ]
        )
    nodes = list(getattr(result.result, "results", []))
    if not result.success:
        failed = [f"{node.node.name}: {node.message}" for node in nodes if node.status in ("error", "fail")]
        reason = "; ".join(failed) or str(result.exception)
        raise TransformFailed(f"dbt: {reason} (log: {_log_of(folder)})")
    with warehouse.connect() as connection:
        connection.execute("delete from ops.built_project where fingerprint <> %s", (project,))
        connection.execute("insert into ops.built_project (fingerprint) values (%s) on conflict do nothing", (project,))
    return len(nodes)


def _fingerprint() -> str:
    """What the dbt project says, in one hash over its files."""
    content = hashlib.sha256()
    for path in sorted(DBT_PROJECT.rglob("*")):
        if path.suffix in (".sql", ".yml", ".csv") and "target" not in path.parts:
            content.update(str(path.relative_to(DBT_PROJECT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return content.hexdigest()


@contextmanager
def _entered(variables: dict[str, str]) -> Iterator[None]:
    """Set environment variables for a while."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def environment(warehouse: Warehouse, run_id: int) -> dict[str, str]:
    """What dbt's profile and the models read. The run id travels as a setting: a var would force a full parse."""
    server = warehouse.parameters
    return {
        "EARLY_WARNING_PGHOST": server["host"],
        "EARLY_WARNING_PGPORT": server.get("port", "5432"),
        "EARLY_WARNING_PGUSER": server["user"],
        "EARLY_WARNING_PGPASSWORD": server.get("password", ""),
        "EARLY_WARNING_PGDATABASE": server["dbname"],
        "EARLY_WARNING_INDICATORS": ",".join(indicator_codes()),
        "PGOPTIONS": f"-c ew.run_id={run_id}",
        "DO_NOT_TRACK": "1",
    }


def _log_of(folder: Path) -> Path:
    return folder / "logs" / "dbt.log"
