"""Airflow: the tasks the DAG is made of, and the real DAG run in this very process. Nothing else imports Airflow.

Importing it imports Airflow, so `airflow_environment` has to be in the process's environment before.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from airflow.sdk import DAG, Context, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from early_warning import tasks
from early_warning.problems import ConfigurationError, GateStopped
from early_warning.runs import Moment
from early_warning.settings import PROJECT

DAG_FILE = PROJECT / "dags" / "customer_warning_daily.py"
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def _final(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Bad data and bad configuration don't get better by trying again: such a task fails at once."""

    @wraps(function)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return function(*args, **kwargs)
        except (GateStopped, ConfigurationError) as error:
            raise AirflowFailException(str(error)) from error

    return call


@task
@_final
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


extract = task(_final(tasks.extract))
gate_source = task(_final(tasks.gate_source))
gate_landing = task(_final(tasks.gate_landing))
transform = task(_final(tasks.transform))
gate_marts = task(_final(tasks.gate_marts))
publish = task(_final(tasks.publish))
send_digests = task(_final(tasks.send_digests))
tidy_warehouse = task(tasks.tidy_warehouse)  # what is in its way is gone in a while: worth trying again


def tell_operators(context: Context) -> None:
    """Failure callback of every task: one mail to the operators that says what, where and what to do."""
    instance = context["task_instance"]
    run_id = instance.xcom_pull(task_ids="open_run")
    tasks.tell_operators(run_id, instance.task_id, str(context.get("exception")))


def run_dag(moment: Moment) -> bool:
    """Run the real DAG for a moment in this process; whether every task succeeded."""
    from airflow.utils.db import initdb

    logging.getLogger("airflow").setLevel(logging.ERROR)
    initdb()
    run = _dag().test(logical_date=moment.cut_off, run_conf={"as_of": moment.asked})
    return str(run.state) == "success"


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
