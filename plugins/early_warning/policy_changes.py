"""The record of policy changes: who let which other policy judge, when, what differs, and what was expected of it."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from psycopg.types.json import Jsonb

from early_warning import policy
from early_warning.policy import Policy
from early_warning.warehouse import Warehouse


def keep_trial(
    warehouse: Warehouse,
    policy_hash: str,
    compared_with: str,
    days: Sequence[date],
    horizon_days: int,
    effect: Mapping[str, Any],
) -> None:
    """Keep what a policy did in place of another one on past days: the basis, then figures as of backtest.effect."""
    warehouse.execute(
        "insert into ops.trial (policy_hash, compared_with, first_date, last_date, horizon_days, effect)"
        " values (%s, %s, %s, %s, %s, %s)",
        policy_hash,
        compared_with,
        min(days),
        max(days),
        horizon_days,
        Jsonb(effect),
    )


def note(warehouse: Warehouse, run_id: int) -> None:
    """Record, once, that a run judges by another policy than the run published last before it was opened.

    Who: $EARLY_WARNING_CHANGED_BY, else the login name of this process. A run that is gone on with under yet another
    policy is recorded as it then is. Expected is what the newest walk-forward trial says, else the newest trial.
    """
    found = warehouse.rows(
        "select run.policy_hash, previous.policy_hash as previous_hash, previous.run_id as previous_run_id"
        " from ops.run join lateral (select run_id, policy_hash from ops.run as other"
        " where other.published_at is not null and other.run_id <> run.run_id"
        " order by other.published_at desc, other.run_id desc limit 1) as previous on true"
        " where run.run_id = %s and run.policy_hash <> previous.policy_hash and run.state <> 'published'",
        run_id,
    )
    for run in found:
        then, now = (policy.stored(warehouse, run[name]) for name in ("previous_hash", "policy_hash"))
        warehouse.execute(
            "insert into ops.policy_change (run_id, as_of_date, policy_hash, previous_hash, previous_run_id,"
            " changed_by, differences, expected) select run_id, as_of_date, policy_hash, %s, %s, %s, %s,"
            " (select effect from ops.trial where trial.policy_hash = run.policy_hash and compared_with = %s"
            " order by effect ->> 'basis' is distinct from 'walk-forward', trial_id desc limit 1)"
            " from ops.run where run_id = %s"
            " on conflict (run_id) do update set policy_hash = excluded.policy_hash,"
            " previous_hash = excluded.previous_hash, previous_run_id = excluded.previous_run_id,"
            " changed_at = now(), changed_by = excluded.changed_by, differences = excluded.differences,"
            " expected = excluded.expected where policy_change.policy_hash <> excluded.policy_hash",
            run["previous_hash"],
            run["previous_run_id"],
            changed_by(),
            Jsonb(differences(then, now), dumps=_dumps),
            run["previous_hash"],
            run_id,
        )
    if not found:
        warehouse.execute(  # gone on with under the old policy after all
            "delete from ops.policy_change where run_id = %s and exists (select from ops.run"
            " where run.run_id = policy_change.run_id and run.policy_hash = policy_change.previous_hash)",
            run_id,
        )


def changed_by() -> str:
    """Who answers for what this process does."""
    named = os.environ.get("EARLY_WARNING_CHANGED_BY", "").strip()
    if named:
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"user {os.getuid()}"


def differences(before: Policy, after: Policy) -> list[dict[str, Any]]:
    """What differs between two policies, cell by cell: file, key, column, before, after; descriptions last.

    A line that came or went is one difference, without a column: the whole line stands on one side.
    """
    found = (difference for table in policy.KEYS for difference in _of_table(table, before, after))
    return sorted(found, key=lambda difference: difference["column"] == "description")


def _of_table(table: str, before: Policy, after: Policy) -> Iterator[dict[str, Any]]:
    then, now = ({_key(table, row): row for row in one.tables[table]} for one in (before, after))
    for key in sorted({*then, *now}):
        old, new = then.get(key), now.get(key)
        place = {"file": f"{table}.csv", "key": [part for part in key if part]}
        if old is None or new is None:
            yield {**place, "column": None, "before": old, "after": new}
        else:
            yield from (
                {**place, "column": name, "before": old[name], "after": new[name]}
                for name in new
                if old[name] != new[name]
            )


def _key(table: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    """What tells a line apart, as text; empty for what is not limited."""
    values = (row[name] for name in policy.KEYS[table])
    return tuple("" if value in (date.min, date.max) else str(value) for value in values)


def in_words(difference: Mapping[str, Any]) -> str:
    """One difference as a line: days_since_last_order.days serious 90 → 80."""
    key, column = ".".join(difference["key"]), difference["column"]
    if column is None:
        return f"{difference['file']}: {key} {'added' if difference['before'] is None else 'left out'}"
    if column == "description":
        return f"{key} described anew"
    before, after = ("–" if difference[name] is None else difference[name] for name in ("before", "after"))
    return f"{key} {column} {before} → {after}"


def _dumps(value: object) -> str:
    return json.dumps(value, default=_plain, ensure_ascii=False)


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value)
