{{ config(meta={'key': ['run_id']}) }}

-- Grain: run of the chain of previous runs, this one included. How far each settles (null: orders stand still, or an
-- earlier version of the platform ran it), what falls due now and did for no run before, what health is compared with.
with recursive run as (select * from {{ ref('stg_ops__run') }}),

horizons as (
    select
        policy_hash,
        max(value) filter (where parameter = 'horizon_days')::integer as horizon_days
    from {{ source('policy', 'outcomes') }}
    group by policy_hash
),

chain as (
    select runs.*
    from {{ source('ops', 'run') }} as runs
    inner join run on runs.run_id = run.run_id
    union all
    select runs.*
    from {{ source('ops', 'run') }} as runs
    inner join chain on runs.run_id = chain.previous_run_id
),

known as (
    select
        chain.run_id,
        chain.as_of_date,
        chain.as_of_at,
        chain.run_id = run.run_id as is_current,
        (date_trunc('month', chain.as_of_date) + interval '1 month')::date - 1 as month_end,
        date_trunc('month', chain.as_of_date) < date_trunc('month', run.as_of_date) as is_of_earlier_month,
        row_number() over (partition by date_trunc('month', chain.as_of_date) order by chain.as_of_at desc) = 1
            as is_month_end,
        case
            when not 'sales.orders' = any(chain.stale_data_sets) and horizons.horizon_days is not null
                then {{ day_over('chain') }}
        end as settles_to,
        horizons.horizon_days
    from chain
    cross join run
    left join horizons on chain.policy_hash = horizons.policy_hash
),

-- Days that are over, and days whose horizon is: for the runs before, and for this one.
reached as (
    select
        coalesce(max(settles_to) filter (where not is_current), '-infinity') as day_before,
        coalesce(max(settles_to - horizon_days) filter (where not is_current), '-infinity') as horizon_before,
        max(settles_to) filter (where is_current) as day_now,
        max(settles_to - horizon_days) filter (where is_current) as horizon_now
    from known
)

select
    known.run_id,
    known.as_of_date,
    known.as_of_at,
    known.is_current,
    known.settles_to,
    coalesce(known.as_of_date > reached.horizon_before and known.as_of_date <= reached.horizon_now, false) as is_due,
    coalesce(
        known.is_month_end
        and known.as_of_date <= reached.horizon_now
        and known.month_end <= reached.day_now
        and not (known.as_of_date <= reached.horizon_before and known.month_end <= reached.day_before),
        false
    ) as is_month_due,
    coalesce(
        known.is_of_earlier_month
        and known.as_of_at = max(known.as_of_at) filter (where known.is_of_earlier_month) over (),
        false
    ) as is_compared
from known
cross join reached
