"""
# customer_warning_daily

Once a day, at 06:00 in the company's time zone, judges every customer as of the midnight before: extracts what is new at
each source, gates it, builds indicators and warning levels, gates those, publishes them, and mails the digests.

**Back-fill** a day by triggering with `{"as_of": "2026-06-30"}`, several by `airflow backfill create --max-active-runs 1`
(each run goes on from the one before; Airflow's own default is ten at once). A day before the latest published one is
published and mails nobody.

## Triage
Every failure mails the operators. Nothing is ever half published: until `publish` has run, readers see the last good day.

| task | when it fails | what to do |
|---|---|---|
| `open_run` | company folder or policy can't be used; the log lists every entry | mend the files, clear the task |
| `extract_*` | the source can't be reached, or the warehouse | clear the task; it lands again from the start (until `gate_landing` has accepted it) |
| `gate_*` of a source, `gate_landing` | a delivery is not fit: the message names source, file, row, column, remedy; rows in `ops.quarantine` | have it delivered again (or raise the limit in source.yml), then trigger a new run of the day |
| `transform` | dbt: the message names the model | clear the task |
| `gate_marts` | what would be published breaks a rule | read `bi.gates`; mend the cause, trigger a new run of the day |
| `publish`, `send_digests` | the warehouse went away | clear the task; no mail is sent twice |

A mail server that is down fails nothing: mails wait in the outbox (`early-warning outbox list`) and leave with the next run.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import chain, dag

from early_warning import orchestrate
from early_warning.settings import company_calendar, company_folder, source_names

COMPANY = company_folder()
CALENDAR = company_calendar(COMPANY)


@dag(
    dag_id="customer_warning_daily",
    schedule=CALENDAR.schedule,
    start_date=datetime(2000, 1, 1, tzinfo=CALENDAR.time_zone),  # any day that data may be back-filled for
    catchup=False,
    max_active_runs=1,  # each run goes on from the levels of the one before
    dagrun_timeout=timedelta(hours=4),
    default_args={
        "owner": "data-engineering",
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "execution_timeout": timedelta(hours=1),
        "on_failure_callback": orchestrate.tell_operators,
    },
    tags=["customer-warning", "daily"],
    doc_md=__doc__,
)
def customer_warning_daily() -> None:
    """Wire the tasks; what each does stands in early_warning.tasks."""
    run = orchestrate.open_run()
    sources = source_names(COMPANY)
    extracted = [orchestrate.extract.override(task_id=f"extract_{name}")(run, name) for name in sources]
    gated = [
        orchestrate.gate_source.override(task_id=f"gate_{name}")(landed, name)
        for name, landed in zip(sources, extracted, strict=True)
    ]
    landing = orchestrate.gate_landing(run)
    transformed = orchestrate.transform(landing)
    judged = orchestrate.gate_marts(transformed)
    published = orchestrate.publish(judged)
    orchestrate.send_digests(published)
    chain(gated, landing)


daily = customer_warning_daily()
