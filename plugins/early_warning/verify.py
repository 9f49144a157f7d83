"""Recompute a run from what it names, its batches and its policy, and say where its rows differ.

A run's raw levels and indicators depend on nothing else (levels held, cases and mutes also on the run before it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from early_warning import transform
from early_warning.indicators import declared
from early_warning.problems import ConfigurationError
from early_warning.settings import typed
from early_warning.warehouse import Warehouse

_MOST_SHOWN = 20


@dataclass(frozen=True)
class Verdict:
    """What recomputing a run has shown. `differing`: customers with a figure that is another one now, in order."""

    run_id: int
    customers: int
    differing: Sequence[dict[str, Any]]
    is_history_thinned: bool

    @property
    def is_confirmed(self) -> bool:
        """Whether every judged customer has the same indicators and the same raw level."""
        return not self.differing

    def __str__(self) -> str:
        if self.is_confirmed:
            return (
                f"run {self.run_id} is confirmed: {self.customers:,} customers, every indicator and raw level the same"
            )
        lines = [f"run {self.run_id} is not confirmed: {len(self.differing):,} of {self.customers:,} customers differ"]
        lines += [f"  {one['customer_id']}: {one['what']}" for one in self.differing[:_MOST_SHOWN]]
        if len(self.differing) > _MOST_SHOWN:
            lines.append(f"  and {len(self.differing) - _MOST_SHOWN:,} more")
        if self.is_history_thinned:
            lines.append(
                "  Upkeep has dropped superseded versions of batches that it read; a run older than detail_days may"
                " differ for no other reason."
            )
        return "\n".join(lines)


def verify(warehouse: Warehouse, run_id: int) -> Verdict:
    """Build a run's indicators and raw levels once more, in schemas of their own, and compare them with what it wrote.

    Nothing that anybody reads is touched; a daily run waits until this is done.

    Raises:
        ConfigurationError: when there is no such run, or its rows are not there.
        TransformFailed: when a node fails.
    """
    known = warehouse.rows(
        "select state, dropped_at, blind_reasons is not null and indicator_codes = %(codes)s as is_comparable"
        " from ops.run where run_id = %(run_id)s",
        codes=[*declared()],
        run_id=run_id,
    )
    if not known:
        raise ConfigurationError.about(f"there is no run {run_id}", f"see bi.runs and: {typed('status')}")
    if known[0]["dropped_at"] or known[0]["state"] != "published":
        state = "its rows were dropped by the upkeep" if known[0]["dropped_at"] else f"it is {known[0]['state']}"
        raise ConfigurationError.about(f"run {run_id} can't be verified: {state}", "name a published run of bi.runs")
    if not known[0]["is_comparable"]:
        raise ConfigurationError.about(
            f"run {run_id} can't be verified: an earlier edition of the project wrote it, with other indicators",
            "check the project out as it was then, or name a newer run",
        )
    with transform.alone(warehouse), transform.apart(warehouse, "verify") as beside:
        beside.build(run_id, "int_levels_capped")
        differing = warehouse.rows(_DIFFERING.format(**beside.schemas), run_id=run_id)
    [counted] = warehouse.rows(
        "select count(*) as customers, exists (select from ops.batch join ops.run on batch_id <= through_batch_id"
        " where run.run_id = %(run_id)s and upkept_at is not null) as is_thinned"
        " from marts.fct_customer_levels where run_id = %(run_id)s",
        run_id=run_id,
    )
    return Verdict(run_id, counted["customers"], differing, counted["is_thinned"])


# Arrays are compared as they are: their places are the same indicators.
_DIFFERING = """
with written as (
    select
        customer_id, raw_level, uncapped_level, money_at_risk_amount, rule_codes, states, unknown_reasons,
        measured_values, baselines, thresholds, trends, window_starts, window_ends, measures
    from marts.fct_customer_levels
    join marts.fct_customer_indicators using (customer_id, run_id)
    where run_id = %(run_id)s
),
computed as (
    select
        customer_id, raw_level, uncapped_level, money_at_risk_amount, rule_codes, states,
        unknown_reasons, measured_values, baselines, thresholds, trends, window_starts, window_ends, measures
    from {intermediate}.int_levels_capped
    join {marts}.fct_customer_indicators using (customer_id)
    where run_id = %(run_id)s
)
select
    customer_id,
    case
        when written.customer_id is null then 'judged now, not by the run'
        when computed.customer_id is null then 'judged by the run, not now'
        when written.raw_level is distinct from computed.raw_level
            then format('raw level %%s, now %%s', coalesce(written.raw_level::text, 'none'),
                coalesce(computed.raw_level::text, 'none'))
        else 'the same raw level by other figures'
    end as what
from written
full join computed using (customer_id)
where written is distinct from computed
order by customer_id
"""
