"""
# warehouse_upkeep_weekly

On Sundays at 03:00 in the company's time zone, drops what `retention:` of company.yml no longer keeps (docs/operations.md
says what goes and what stays), and leaves fresh statistics to the planner. What went stands in `ops.upkeep`.

Readers and daily runs don't notice: it takes back a day's pointer before the rows, and gives way to a transform.

## Triage
Every failure mails the operators.

| task | when it fails | what to do |
|---|---|---|
| `tidy_warehouse` | a run was at work each time it tried, or the warehouse went away | clear the task, or leave it to next week: it goes on where it was |
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import dag

from early_warning import orchestrate
from early_warning.settings import company_calendar, company_folder

CALENDAR = company_calendar(company_folder())


@dag(
    dag_id="warehouse_upkeep_weekly",
    schedule="0 3 * * 0",
    start_date=datetime(2000, 1, 1, tzinfo=CALENDAR.time_zone),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=4),
    default_args={
        "owner": "data-engineering",
        "retries": 3,
        "retry_delay": timedelta(minutes=5),  # by then a transform that was in the way is through
        "execution_timeout": timedelta(hours=3),
        "on_failure_callback": orchestrate.tell_operators,
    },
    tags=["customer-warning", "weekly"],
    doc_md=__doc__,
)
def warehouse_upkeep_weekly() -> None:
    """Wire the one task; what it does stands in early_warning.upkeep."""
    orchestrate.tidy_warehouse()


weekly = warehouse_upkeep_weekly()
