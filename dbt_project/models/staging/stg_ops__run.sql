{{ config(materialized='view') }}

-- The run being built, one row: its moment, its policy and the settings every model needs.
with run as (select * from {{ source('ops', 'run') }}),

settings as (
    select
        policy_hash,
        max(value) filter (where parameter = 'cooldown_days')::integer as cooldown_days,
        max(value) filter (where parameter = 'inactive_days')::integer as inactive_days,
        max(value) filter (where parameter = 'inactive_gap_multiple') as inactive_gap_multiple,
        max(value) filter (where parameter = 'min_segment_customers')::integer as min_segment_customers
    from {{ source('policy', 'hysteresis_and_budget') }}
    group by policy_hash
)

select
    run.run_id,
    run.as_of_date,
    run.as_of_at,
    run.company_time_zone as time_zone,
    run.policy_hash,
    run.previous_run_id,
    run.through_batch_id,
    date_trunc('month', run.as_of_at at time zone run.company_time_zone)::date as open_month,
    settings.cooldown_days,
    settings.inactive_days,
    settings.inactive_gap_multiple,
    settings.min_segment_customers
from run
inner join settings on run.policy_hash = settings.policy_hash
where run.run_id = {{ run_id() }}
