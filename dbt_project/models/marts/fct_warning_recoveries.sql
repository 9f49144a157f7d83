{{ config(pre_hook="{{ delete_rows_of_this_run() }}", contract={'enforced': true}) }}

-- Grain: run × handled warning whose recovery days were over for it and for no run before: whether the customer was won
-- back (0002, 58).
with run as (select * from {{ ref('stg_ops__run') }}),

chain as (select * from {{ ref('int_runs_in_chain') }}),

reached as (
    select
        max(settles_to) filter (where is_current) as day_now,
        coalesce(max(settles_to) filter (where not is_current), '-infinity') as day_before
    from {{ ref('int_runs_in_chain') }}
),

handled as (
    select
        outcomes.*,
        (outcomes.handled_at at time zone run.time_zone)::date as handled_on
    from {{ ref('fct_warning_outcomes') }} as outcomes
    inner join chain on outcomes.run_id = chain.run_id
    cross join run
    cross join reached
    where
        outcomes.recovery_on <= reached.day_now
        and (chain.is_current or outcomes.recovery_on > reached.day_before)
        and outcomes.baseline_amount is not null
),

-- The days are those of the run that settled the warning; recovery_days may have changed since.
due as (
    select
        handled.*,
        {{ usual_amount(
            'run.recovered_share', 'handled.baseline_amount', '(handled.recovery_on - handled.handled_on)'
        ) }} as recovered_amount
    from handled
    cross join run
)

select
    due.customer_id,
    run.run_id,
    run.as_of_date,
    due.case_id,
    due.handled_on,
    due.recovery_on,
    due.recovered_amount,
    coalesce(ahead.ordered_amount, 0) as ordered_amount,
    coalesce(round(ahead.ordered_amount, 6), 0) >= due.recovered_amount as is_won_back
from due
cross join run
cross join lateral (
    {{ ordered_between('due', 'due.handled_on', 'due.recovery_on') }}
) as ahead
