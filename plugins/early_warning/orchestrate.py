"""Airflow: the tasks the DAG is made of, and the real DAG run in this very process. Nothing else imports Airflow.

Importing it imports Airflow, so `embedded.stack.environment` has to be in the process's environment before.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import ParamSpec, TypeVar

from airflow.sdk import DAG, Connection, Context, get_current_context, task
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowNotFoundException,
    AirflowRescheduleException,
    AirflowRuntimeError,
)
from psycopg import ProgrammingError
from psycopg.conninfo import make_conninfo

from early_warning import runs, tasks
from early_warning.embedded import stack
from early_warning.problems import ConfigurationError, GateStopped
from early_warning.runs import Moment
from early_warning.settings import PROJECT, home

DAG_FILE = PROJECT / "dags" / "customer_warning_daily.py"
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
_TURN = timedelta(seconds=15)
# A pool without a slot: the scheduler takes no task from it, and a command asks for none.
_COMMANDS = "early_warning_commands"
_is_command = False  # whether `run_dag` is at work in this process, whose command sees to it that nobody else is


def _task(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """A task as Airflow runs it: when it is its run's turn, and final where trying again would not help.

    Airflow's max_active_runs holds back a DAG's runs, but not those of a back-fill beside the day's, nor a command.
    Bad data and bad configuration don't get better by trying again: such a task fails at once.
    """

    @wraps(function)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        if not _is_command:
            _take_turn()
        try:
            return function(*args, **kwargs)
        except (GateStopped, ConfigurationError) as error:
            raise AirflowFailException(str(error)) from error

    return call


def _take_turn() -> None:
    context = get_current_context()
    run, instance = context["dag_run"], context["task_instance"]

    def is_at_work(other: str) -> bool:
        return instance.get_dr_count(run.dag_id, run_ids=[other], states=["running"]) > 0

    if not runs.take_turn(tasks.warehouse(), run.run_id, is_at_work):
        # Waiting would hold a slot that the others may need to end.
        raise AirflowRescheduleException(datetime.now(UTC) + _TURN)  # type: ignore[no-untyped-call]


@task
@_task
def open_run() -> int:
    """Open the run of the day before the logical date, or of the moment that whoever triggered it asked for (as_of)."""
    context = get_current_context()
    run, day = context["dag_run"], context.get("logical_date")
    zone = tasks.company().time_zone
    asked = (run.conf or {}).get("as_of")
    if asked:
        return tasks.open_run(asked)
    if day is None:
        raise ConfigurationError.about("the DAG run has no logical date", 'trigger it with {"as_of": "2026-06-30"}')
    return tasks.open_run(Moment.day_before(day, zone).isoformat())


@task
@_task
def extract(run: int, source: str) -> int:
    """Read what is new at a source and land it; returns the run id."""
    return tasks.extract(run, source, _dsn)


gate_source = task(_task(tasks.gate_source))
gate_landing = task(_task(tasks.gate_landing))
transform = task(_task(tasks.transform))
gate_marts = task(_task(tasks.gate_marts))
publish = task(_task(tasks.publish))


@task
@_task
def send_digests(run: int) -> int:
    """Compose the digests once and send what is owed, by mail and to chats."""
    return tasks.send_digests(run, _chat_address)


@task
def review_policy() -> str:
    """Search the last year for a better policy, and mail the review of the quarter before the DAG run's day."""
    moment = get_current_context().get("logical_date") or datetime.now(UTC)
    try:
        return tasks.review_policy(moment.astimezone(tasks.company().time_zone).date())
    except ConfigurationError as error:
        raise AirflowFailException(str(error)) from error


tidy_warehouse = task(tasks.tidy_warehouse)  # what is in its way is gone in a while: worth trying again


def _dsn(connection_id: str) -> str:
    """Libpq connection string of an Airflow connection; what its extra holds are libpq's own parameters.

    Raises:
        ConfigurationError: there is none, or libpq can't read it.
    """
    try:
        found = Connection.get(connection_id)
        given = {
            "host": found.host,
            "port": found.port,
            "user": found.login,
            "password": found.password,
            "dbname": found.schema,
        }
        return make_conninfo(**{name: value for name, value in (found.extra_dejson | given).items() if value})
    except (AirflowNotFoundException, AirflowRuntimeError):
        raise ConfigurationError.about(
            f"Airflow has no connection {connection_id}",
            f"add it in Airflow, or set AIRFLOW_CONN_{connection_id.upper()}=postgresql://user:password@host:port/name",
        ) from None
    except ProgrammingError as error:  # names the parameter, no value
        raise ConfigurationError.about(
            f"the extra of connection {connection_id} is not for libpq: {str(error).strip()}",
            "keep only what libpq knows in it, such as sslmode",
        ) from None


def _chat_address(name: str) -> str | None:
    """Secret address of a chat: the password of the Airflow connection of that id, None if there is none."""
    try:
        address: str | None = Connection.get(name).password
    except (AirflowNotFoundException, AirflowRuntimeError):
        return None
    return address


def tell_operators(context: Context) -> None:
    """Failure callback of every task: one mail to the operators that says what, where and what to do."""
    instance = context["task_instance"]
    run_id = instance.xcom_pull(task_ids="open_run")
    error = context.get("exception")
    tasks.tell_operators(run_id, instance.task_id, str(error) or type(error).__name__)


def run_dag(moment: Moment) -> bool:
    """Run the real DAG for a moment in this process; whether every task succeeded."""
    from airflow.models import DagRun
    from airflow.utils.db import initdb
    from airflow.utils.session import create_session
    from sqlalchemy import update

    logging.getLogger("airflow").setLevel(logging.ERROR)
    initdb()
    dag = _dag()
    _refuse_beside_the_scheduler(dag.dag_id)
    _keep_from_the_scheduler(dag)
    started, leave_alone_for = datetime.now(UTC), dag.dagrun_timeout
    assert leave_alone_for is not None
    global _is_command
    _is_command = True
    run = dag.test(  # a scheduler beside it would run its tasks too, were it due already
        logical_date=moment.cut_off, run_after=started + leave_alone_for, run_conf={"as_of": moment.asked}
    )
    with create_session() as session:  # so that the page shows when it ran and how long
        session.execute(update(DagRun).where(DagRun.id == run.id).values(run_after=started, start_date=started))
    return str(run.state) == "success"


def _keep_from_the_scheduler(dag: DAG) -> None:
    """Let no scheduler beside us take tasks of this run: it looks for due ones every second, whenever their run is.

    Without that it sometimes took the first task before we did, and the command ended with no run opened.
    """
    from airflow.models.pool import Pool

    Pool.create_or_update_pool(_COMMANDS, 0, "Tasks that `early-warning run` runs itself", include_deferred=False)
    for each in dag.tasks:
        each.pool = _COMMANDS


def _refuse_beside_the_scheduler(dag_id: str) -> None:
    from airflow.models import DagRun
    from airflow.utils.state import DagRunState

    other = runs.scheduled(tasks.warehouse())
    if other and stack.is_up(home()) and DagRun.find(dag_id, run_id=[other], state=DagRunState.RUNNING):
        raise ConfigurationError.about(
            f"the scheduler's run {other} is at work in this home", "wait until it has ended"
        )


def close() -> None:
    """Let go of the metadata database, which may be about to stop."""
    from airflow.settings import dispose_orm

    dispose_orm()


def _dag() -> DAG:
    spec = importlib.util.spec_from_file_location(DAG_FILE.stem, DAG_FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    dag: DAG = module.daily
    return dag
