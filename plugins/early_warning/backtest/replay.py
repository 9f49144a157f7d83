"""Days of the past judged once more by a policy, beside what is published.

A replay sees what the run of its day saw: the same batches. A day that has no such run sees those of the first run
after it, cut off by their business dates. Replays are kept, so a second look at the same days costs nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from early_warning import transform
from early_warning.runs import Moment
from early_warning.warehouse import Warehouse


@dataclass(frozen=True)
class Replay:
    """A day as a policy judges it. `is_as_published`: by the batches that the day's own run read at the time."""

    run_id: int
    as_of_date: date
    is_as_published: bool


def replay(
    warehouse: Warehouse, policies: Sequence[str], moments: Sequence[Moment], tell: Callable[[str], None]
) -> dict[str, list[Replay]]:
    """Judge past moments by stored policies, all by the same data. Days that no run has reached yet are left out.

    Returns the days by policy, oldest first. `tell` hears what is being judged. Another back-test waits.

    Raises:
        TransformFailed: when a day can't be built; those before it are kept.
    """
    project = hashlib.sha256(f"{transform.fingerprint()}{_KEEP}{_KEEP_FACTS}".encode()).hexdigest()
    replays: dict[str, list[Replay]] = {policy_hash: [] for policy_hash in policies}
    with transform.alone(warehouse, "replay"):
        _forget(warehouse, project)
        days = [day for moment in moments for day in _known(warehouse, moment)]
        with transform.apart(warehouse, "replay", runs="replay") as beside:
            for day in days:
                for policy_hash in policies:  # side by side: from one to the other no cell changes
                    run_id = _kept(warehouse, policy_hash, project, day)
                    if run_id is None:
                        tell(f"  judging {day['as_of_date']} by {policy_hash[:19]}…")
                        run_id = _open(warehouse, policy_hash, project, day)
                        beside.build(run_id, "int_levels_capped")
                        warehouse.execute(_KEEP.format(**beside.schemas), run_id)
                        warehouse.execute(_KEEP_FACTS.format(**beside.schemas), run_id)
                        warehouse.execute("update ops.replay set judged_at = now() where run_id = %s", run_id)
                    replays[policy_hash].append(Replay(run_id, day["as_of_date"], day["is_as_published"]))
    return replays


def _known(warehouse: Warehouse, moment: Moment) -> list[dict[str, Any]]:
    """What was known at a moment, one row; none if no run has come so far.

    A back-fill of a day knows later corrections, so it is not what was known then. Runs of which upkeep has dropped
    replaced versions can't be repeated; the next one that can stands for them.
    """
    return warehouse.rows(
        "with whole as (select * from ops.run where state = 'published' and through_batch_id >= (select"
        " coalesce(max(batch_id), 0) from ops.batch where state = 'accepted' and upkept_at is not null))"
        " select %(day)s::date as as_of_date, %(at)s::timestamptz as as_of_at, through_batch_id, company_time_zone,"
        " (select count(*) from ops.batch where state = 'accepted' and batch_id <= through_batch_id) as batches,"
        " as_of_at = %(at)s and not is_backfill as is_as_published,"
        " case when as_of_at = %(at)s and not is_backfill then stale_data_sets else '{}' end as stale_data_sets"
        " from whole where as_of_at >= %(at)s order by whole.as_of_at, is_backfill, run_id desc limit 1",
        day=moment.as_of_date,
        at=moment.cut_off,
    )


_NAMES = ("as_of_date", "as_of_at", "company_time_zone", "through_batch_id", "batches", "stale_data_sets")


def _kept(warehouse: Warehouse, policy_hash: str, project: str, day: Mapping[str, Any]) -> int | None:
    same = " and ".join(f"{name} = %s" for name in (*_NAMES, "policy_hash", "project"))
    found = warehouse.rows(
        f"select run_id from ops.replay where judged_at is not null and {same}",  # noqa: S608 - names from here
        *(day[name] for name in _NAMES),
        policy_hash,
        project,
    )
    return found[0]["run_id"] if found else None


def _open(warehouse: Warehouse, policy_hash: str, project: str, day: Mapping[str, Any]) -> int:
    with warehouse.connect() as connection:
        row = connection.execute(
            "insert into ops.replay (as_of_date, as_of_at, company_time_zone, through_batch_id, batches,"
            " stale_data_sets, policy_hash, project) values (%s, %s, %s, %s, %s, %s, %s, %s) returning run_id",
            (*(day[name] for name in _NAMES), policy_hash, project),
        ).fetchone()
        assert row is not None
        transform.note_what_is_blind(connection, row[0], "replay")
    return int(row[0])


def _forget(warehouse: Warehouse, project: str) -> None:
    """Drop what another edition of the project judged, and what was killed."""
    gone = "judged_at is null or project <> %s"
    for table in ("replayed_customer", "replayed_fact"):
        warehouse.execute(
            f"delete from ops.{table} where run_id in (select run_id from ops.replay where {gone})",  # noqa: S608
            project,
        )
    warehouse.execute(f"delete from ops.replay where {gone}", project)  # noqa: S608


_KEEP = """
insert into ops.replayed_customer (
    customer_id, run_id, raw_level, level, rule_codes, indicator_codes, silence_days, usual_gap_days, order_days,
    last_ordered_on, inactivity_limit_days, revenue_12m_amount, baseline_amount, money_at_risk_amount,
    customer_name, segment, owner_name
)
select
    customers.customer_id,
    replay.run_id,
    levels.raw_level,
    case when levels.rule_codes = '{{service_fluctuation}}' then 4 else coalesce(levels.raw_level, 4) end,
    levels.rule_codes,
    array(
        select judged.code
        from unnest(replay.indicator_codes, indicators.states) as judged (code, state)
        where judged.state = 'serious'
        order by judged.code
    ),
    customers.silence_days,
    round(customers.usual_gap_days, 6),
    customers.order_days,
    customers.last_ordered_on,
    rhythms.inactivity_limit_days,
    coalesce(customers.revenue_12m_amount, 0),
    indicators.baselines[array_position(replay.indicator_codes, 'order_amount')],
    levels.money_at_risk_amount,
    customers.customer_name,
    customers.segment,
    customers.owner_name
from ops.replay
join {marts}.fct_customer_indicators as indicators on replay.run_id = indicators.run_id
join {intermediate}.int_customers as customers on indicators.customer_id = customers.customer_id
join {intermediate}.int_customer_rhythms as rhythms on customers.customer_id = rhythms.customer_id
join {intermediate}.int_levels_capped as levels on customers.customer_id = levels.customer_id
where replay.run_id = %s and customers.state = 'active'
"""

_KEEP_FACTS = """
insert into ops.replayed_fact (
    customer_id, run_id, is_active, quiet_days, money_at_risk_amount, states, measured_values, measures
)
select
    customers.customer_id,
    replay.run_id,
    customers.state = 'active',
    customers.silence_days + round(customers.usual_gap_days, 6),
    levels.money_at_risk_amount,
    indicators.states,
    indicators.measured_values,
    indicators.measures
from ops.replay
join {marts}.fct_customer_indicators as indicators on replay.run_id = indicators.run_id
join {intermediate}.int_customers as customers on indicators.customer_id = customers.customer_id
join {intermediate}.int_levels_capped as levels on customers.customer_id = levels.customer_id
where replay.run_id = %s
"""
