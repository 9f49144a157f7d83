{{ config(materialized='table', meta={'key': ['run_id']}) }}

-- The run being built, one row: its moment, its policy, the settings every model needs, and what the tables that are
-- kept from build to build stood for until now: an event between staged_from_at and staged_to_at may be in or out.
with run as (select * from {{ source('ops', 'run') }}),

staging as (select * from {{ source('ops', 'staging') }}),

entries as (select * from {{ source('policy', 'indicator_parameters') }}),

delivered as (
    select coalesce(array_agg(distinct batches.data_set), '{}') as data_sets
    from {{ source('ops', 'batch') }} as batches
    inner join run on batches.batch_id <= run.through_batch_id and run.run_id = {{ run_id() }}
    where batches.state = 'accepted'
),

-- A policy of an earlier version says nothing of outcomes.
entered as (
    select * from {{ source('policy', 'hysteresis_and_budget') }}
    union all
    select * from {{ source('policy', 'outcomes') }}
),

settings as (
    select
        policy_hash,
        max(value) filter (where parameter = 'cooldown_days')::integer as cooldown_days,
        max(value) filter (where parameter = 'inactive_days')::integer as inactive_days,
        max(value) filter (where parameter = 'inactive_gap_multiple') as inactive_gap_multiple,
        max(value) filter (where parameter = 'min_segment_customers')::integer as min_segment_customers,
        max(value) filter (where parameter = 'level_1_cap') as level_1_cap,
        max(value) filter (where parameter = 'level_2_cap') as level_2_cap,
        max(value) filter (where parameter = 'level_3_cap') as level_3_cap,
        max(value) filter (where parameter = 'cap_min_customers')::integer as cap_min_customers,
        max(value) filter (where parameter = 'level_1_deadline_hours')::integer as level_1_deadline_hours,
        max(value) filter (where parameter = 'level_2_deadline_hours')::integer as level_2_deadline_hours,
        max(value) filter (where parameter = 'level_3_deadline_hours')::integer as level_3_deadline_hours,
        max(value) filter (where parameter = 'owner_budget')::integer as owner_budget,
        max(value) filter (where parameter = 'follow_up_days')::integer as follow_up_days,
        max(value) filter (where parameter = 'reopen_days')::integer as reopen_days,
        max(value) filter (where parameter = 'product_window_days')::integer as product_window_days,
        max(value) filter (where parameter = 'product_baseline_days')::integer as product_baseline_days,
        max(value) filter (where parameter = 'product_min_problems')::integer as product_min_problems,
        max(value) filter (where parameter = 'product_min_lines')::integer as product_min_lines,
        max(value) filter (where parameter = 'product_factor') as product_factor,
        max(value) filter (where parameter = 'horizon_days')::integer as horizon_days,
        max(value) filter (where parameter = 'collapsed_share') as collapsed_share,
        max(value) filter (where parameter = 'recovered_share') as recovered_share,
        max(value) filter (where parameter = 'recovery_days')::integer as recovery_days,
        max(value) filter (where parameter = 'health_window_days')::integer as health_window_days
    from entered
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
    delivered.data_sets,
    run.blind_reasons,
    {{ open_month('run.as_of_at') }} as open_month,
    {{ month_number(open_month('run.as_of_at')) }} as open_month_number,
    staging.earliest_at as staged_from_at,
    staging.latest_at as staged_to_at,
    {{ day_before('staging.earliest_at') }} as staged_from_date,
    {{ day_before('staging.latest_at') }} as staged_to_date,
    staging.time_zone is not null and (
        staging.policy_hash is distinct from run.policy_hash
        or {{ open_month('staging.earliest_at') }} <> {{ open_month('staging.latest_at') }}
        or exists (
            select
            from entries
            where
                entries.policy_hash = run.policy_hash
                and (
                    {{ day_before('staging.earliest_at') }} < entries.valid_from
                    and {{ day_before('staging.latest_at') }} >= entries.valid_from
                    or {{ day_before('staging.earliest_at') }} <= entries.valid_until
                    and {{ day_before('staging.latest_at') }} > entries.valid_until
                )
        )
    ) as is_all_changed,
    settings.cooldown_days,
    settings.inactive_days,
    settings.inactive_gap_multiple,
    settings.min_segment_customers,
    settings.level_1_cap,
    settings.level_2_cap,
    settings.level_3_cap,
    settings.cap_min_customers,
    settings.level_1_deadline_hours,
    settings.level_2_deadline_hours,
    settings.level_3_deadline_hours,
    settings.owner_budget,
    settings.follow_up_days,
    settings.reopen_days,
    run.as_of_date - settings.product_window_days + 1 as product_window_start,
    run.as_of_date - settings.product_window_days - settings.product_baseline_days + 1 as product_baseline_start,
    settings.product_min_problems,
    settings.product_min_lines,
    settings.product_factor,
    settings.horizon_days,
    settings.collapsed_share,
    settings.recovered_share,
    settings.recovery_days,
    run.as_of_date - settings.health_window_days + 1 as health_window_start,
    settings.health_window_days,
    {{ day_over('run') }} as day_over
from run
cross join delivered
inner join settings on run.policy_hash = settings.policy_hash
left join staging on run.company_time_zone = staging.time_zone
where run.run_id = {{ run_id() }}
