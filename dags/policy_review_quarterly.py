"""
# policy_review_quarterly

At 07:00 on the 5th of January, April, July and October, in the company's time zone, judges the last twelve month ends of
which it is known what came of them once more by the policy in force, searches for small changes that would have served
better, and mails the review, with a ready diff and the expected effect, to the recipients with the roles `analysis` and
`management` (docs/proposals.md). The policy stays as it is.

A year's days take minutes the first time; days judged once are kept. Daily runs and readers don't notice.

## Triage
Every failure mails the operators. The review of a quarter is composed once: cleared or triggered again, the task sends what
is owed and nothing twice. A mail server that is down fails nothing: the mails leave with the next run.

| task | when it fails | what to do |
|---|---|---|
| `review_policy` | a past day can't be built (dbt: the message names the model), or the warehouse went away | clear the task: it goes on with the day it was at |
| `review_policy` | nothing is published that lies three months back | nothing; the next quarter has it |
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import dag

from early_warning import orchestrate
from early_warning.settings import company_calendar, company_folder

CALENDAR = company_calendar(company_folder())


@dag(
    dag_id="policy_review_quarterly",
    schedule="0 7 5 1,4,7,10 *",
    start_date=datetime(2000, 1, 1, tzinfo=CALENDAR.time_zone),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=6),
    default_args={
        "owner": "data-engineering",
        "retries": 2,
        "retry_delay": timedelta(minutes=5),
        "execution_timeout": timedelta(hours=5),
        "on_failure_callback": orchestrate.tell_operators,
    },
    tags=["customer-warning", "quarterly"],
    doc_md=__doc__,
)
def policy_review_quarterly() -> None:
    """Wire the one task; what it does stands in early_warning.propose."""
    orchestrate.review_policy()


quarterly = policy_review_quarterly()
