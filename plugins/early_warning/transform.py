"""Transform: the only caller of dbt. One build a run, in this process."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from psycopg import sql

from early_warning.indicators import declared
from early_warning.settings import PROJECT, home
from early_warning.warehouse import Connection, Warehouse

DBT_PROJECT = PROJECT / "dbt_project"


# Views and the words they contain are as the project says since it was built from scratch, so an ordinary day need not
# look at them (a third of dbt's time).
_AS_THE_PROJECT_SAYS = ("--exclude", "config.materialized:view", "path:seeds")


class TransformFailed(Exception):
    """dbt could not build; the message names the nodes that failed and what the database said."""


def build(warehouse: Warehouse, run_id: int, *, from_scratch: bool = False) -> int:
    """Build staging, indicators and marts of a run; returns the number of nodes built.

    Staging and what is counted from it are kept from build to build and brought up to date by what changed. They are
    derived anew from all that has landed when there is nothing to go on from: before the first build, after a change of
    the dbt project or of the company's time zone, for a run that reads fewer batches, or one accepted after later ones,
    or when `from_scratch` asks so.

    Raises:
        TransformFailed: when a node fails; what was built so far is invisible and is built again by the next try.
    """
    with warehouse.connect() as connection:
        note_what_is_blind(connection, run_id)
    with brought(warehouse, run_id, from_scratch=from_scratch) as is_anew:
        # a test of a view and a table stays: `cautious`
        what = ("--full-refresh",) if is_anew else (*_AS_THE_PROJECT_SAYS, "--indirect-selection", "cautious")
        return _dbt(environment(warehouse, run_id), home() / "dbt", "build", *what)


@dataclass(frozen=True)
class Apart:
    """Schemas beside those that are published, with a ledger of their own, in which runs can be built once more."""

    warehouse: Warehouse
    name: str

    @property
    def schemas(self) -> dict[str, str]:
        """The schema for each folder of models, and the ledger's."""
        folders = ("staging", "intermediate", "indicators", "marts", "ops")
        return {folder: f"{self.name}_{folder}" for folder in folders}

    def build(self, run_id: int, model: str) -> None:
        """Build a model and all it needs, the first time from scratch, then as `build` goes on from day to day.

        Raises:
            TransformFailed: when a node fails.
        """
        variables = environment(self.warehouse, run_id) | {"EARLY_WARNING_SCHEMA_PREFIX": f"{self.name}_"}
        with brought(self.warehouse, run_id, self.schemas["ops"]) as is_anew:
            what = ("--full-refresh",) if is_anew else _AS_THE_PROJECT_SAYS
            _dbt(variables, home() / "dbt" / self.name, "run", "--select", f"+{model}", *what)


@contextmanager
def apart(warehouse: Warehouse, name: str, runs: str = "run") -> Iterator[Apart]:
    """Give schemas of their own to build runs of ops.<runs> in; gone in the end, as is what a killed one left there.

    They see the batches that there are now, and `<name>_ops` tells which of them they have taken in.
    """
    beside = Apart(warehouse, name)
    _drop(warehouse, beside.schemas.values())
    try:
        for statement in _LEDGER:
            warehouse.execute(statement.format(ops=beside.schemas["ops"], runs=runs))
        yield beside
    finally:
        _drop(warehouse, beside.schemas.values())


_LEDGER = (
    "create schema {ops}",
    "create view {ops}.run as table ops.{runs}",
    "create table {ops}.batch (like ops.batch including all)",
    "insert into {ops}.batch overriding system value table ops.batch",
    "create table {ops}.staging (like ops.staging including all)",
    "create table {ops}.cell_left (like ops.cell_left including all)",
)


def _drop(warehouse: Warehouse, schemas: Iterable[str]) -> None:
    for schema in schemas:
        warehouse.execute(f"drop schema if exists {schema} cascade")


@contextmanager
def alone(warehouse: Warehouse, what: str = "staging") -> Iterator[None]:
    """Staging and intermediate tables hold one run at a time, whoever else builds (a back-fill beside the day's).

    `what` is built: the tables that are published, or those beside them that replays share.
    """
    with warehouse.connect(autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(hashtext(%s))", (f"early_warning.{what}",))
        yield


def _dbt(variables: dict[str, str], folder: Path, *what: str) -> int:
    """Invoke dbt in this process; returns the number of nodes."""
    from dbt.cli.main import dbtRunner  # takes a second to import

    command, *rest = what
    with _entered(variables):
        result = dbtRunner().invoke(
            [
                "--quiet",
                "--no-send-anonymous-usage-stats",
                "--no-version-check",
                command,
                *("--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)),
                *("--target-path", str(folder / "target"), "--log-path", str(folder / "logs")),
                *rest,
            ]
        )
    nodes = list(getattr(result.result, "results", []))
    if not result.success:
        failed = [f"{node.node.name}: {node.message}" for node in nodes if node.status in ("error", "fail")]
        reason = "; ".join(failed) or str(result.exception)
        raise TransformFailed(f"dbt: {reason} (log: {_log_of(folder)})")
    return len(nodes)


@contextmanager
def brought(warehouse: Warehouse, run_id: int, ledger: str = "ops", *, from_scratch: bool = False) -> Iterator[bool]:
    """Bring the kept tables of a ledger to a run in this block; yields whether they are to be derived from scratch."""
    project = fingerprint()
    with warehouse.connect() as connection:
        from_scratch = from_scratch or not _can_go_on(connection, ledger, run_id, project)
        _leave_staging(connection, ledger, run_id, from_scratch)
        moment = connection.execute(  # as it is built: a run that is opened again meanwhile may have another policy
            sql.SQL(
                "select company_time_zone, as_of_at, through_batch_id, policy_hash from {}.run where run_id = %s"
            ).format(sql.Identifier(ledger)),
            (run_id,),
        ).fetchone()
        assert moment is not None
    yield from_scratch
    with warehouse.connect() as connection:
        _arrive_at(connection, ledger, project, *moment)


def _can_go_on(connection: Connection, ledger: str, run_id: int, project: str) -> bool:
    """Whether the kept tables can be brought up to date for a run: same project and zone, no batch to be taken out.

    Nor one to be put below others: of a record that a later batch repeats, staging keeps the version it had.
    """
    found = connection.execute(
        sql.SQL(
            "select staging.through_batch_id <= run.through_batch_id and not exists ("
            "  select from {ops}.batch as late join {ops}.batch as later on late.data_set = later.data_set"
            "  where late.state = 'accepted' and late.mode = 'append' and not late.is_staged"
            "  and later.is_staged and late.batch_id < later.batch_id)"
            " from {ops}.staging join {ops}.run on run.company_time_zone = staging.time_zone"
            " where run_id = %s and staging.project = %s"
        ).format(ops=sql.Identifier(ledger)),
        (run_id, project),
    ).fetchone()
    return bool(found and found[0])


def _leave_staging(connection: Connection, ledger: str, run_id: int, from_scratch: bool) -> None:
    """Say, before the first table changes, between which moments and through which batch the kept tables may stand now.

    A build that dies leaves that behind, and the next one, of whatever moment, counts anew all that lies between.
    """
    ops = sql.Identifier(ledger)
    if from_scratch:
        connection.execute(sql.SQL("delete from {}.staging").format(ops))
        connection.execute(sql.SQL("delete from {}.cell_left").format(ops))
        connection.execute(sql.SQL("update {}.batch set is_staged = false where is_staged").format(ops))
    else:
        connection.execute(
            sql.SQL(
                "update {ops}.staging set earliest_at = least(earliest_at, run.as_of_at),"
                " latest_at = greatest(latest_at, run.as_of_at),"
                " through_batch_id = greatest(staging.through_batch_id, run.through_batch_id),"
                " policy_hash = case when staging.policy_hash = run.policy_hash then run.policy_hash end"
                " from {ops}.run where run_id = %s"
            ).format(ops=ops),
            (run_id,),
        )


def _arrive_at(
    connection: Connection, ledger: str, project: str, time_zone: str, at: datetime, batch_id: int, policy_hash: str
) -> None:
    """Say that the kept tables stand for a run's moment, policy and batches."""
    ops = sql.Identifier(ledger)
    connection.execute(sql.SQL("delete from {}.staging").format(ops))
    connection.execute(
        sql.SQL(
            "insert into {}.staging (time_zone, project, earliest_at, latest_at, through_batch_id, policy_hash)"
            " values (%s, %s, %s, %s, %s, %s)"
        ).format(ops),
        (time_zone, project, at, at, batch_id, policy_hash),
    )
    connection.execute(sql.SQL("delete from {}.cell_left").format(ops))
    connection.execute(
        sql.SQL(
            "update {}.batch set is_staged = true where not is_staged and state = 'accepted' and batch_id <= %s"
        ).format(ops),
        (batch_id,),
    )


def note_what_is_blind(connection: Connection, run_id: int, runs: str = "run") -> None:
    """Fix which indicators there are, and of each why nobody can be judged by it in this run of ops.<runs>, if so.

    It is so where the company does not deliver a data set that the indicator needs, or the newest of one is too old.
    """
    table = sql.Identifier("ops", runs)
    row = connection.execute(
        sql.SQL(
            "select array(select distinct data_set from ops.batch"
            " where state = 'accepted' and batch_id <= through_batch_id), stale_data_sets from {} where run_id = %s"
        ).format(table),
        (run_id,),
    ).fetchone()
    assert row is not None
    delivered, stale = map(set, row)
    reasons = [
        "no_data" if indicator.needs - delivered else "stale" if indicator.needs & stale else None
        for indicator in declared().values()
    ]
    connection.execute(
        sql.SQL("update {} set indicator_codes = %s, blind_reasons = %s where run_id = %s").format(table),
        ([*declared()], reasons, run_id),
    )


def fingerprint() -> str:
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
        "EARLY_WARNING_INDICATORS": ",".join(declared()),
        "PGOPTIONS": f"-c ew.run_id={run_id}",
        "DO_NOT_TRACK": "1",
    }


def _log_of(folder: Path) -> Path:
    return folder / "logs" / "dbt.log"
