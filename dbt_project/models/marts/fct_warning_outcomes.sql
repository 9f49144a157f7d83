{{ config(pre_hook="{{ delete_rows_of_this_run() }}", contract={'enforced': true}) }}

-- Grain: run × warning whose horizon had ended for it and for no run before: what became of it, settled once
-- (0002, 58).
with run as (select * from {{ ref('stg_ops__run') }}),

chain as (select * from {{ ref('int_runs_in_chain') }}),

followed as (select * from {{ ref('int_customers_followed') }}),

opened as (
    select distinct on (cases.customer_id, cases.case_id) cases.*
    from {{ ref('fct_warning_cases') }} as cases
    inner join chain on cases.run_id = chain.run_id and chain.is_due
    where cases.event = 'opened'
    order by cases.customer_id, cases.case_id, chain.as_of_at
),

-- The last that is told of each: by this run, or by the one that closed it. Rows of an earlier version of the platform
-- don't say what was done first.
told as (
    select distinct on (opened.customer_id, opened.case_id)
        cases.*,
        coalesce(cases.first_handled_at, cases.handled_at) as handled_first_at,
        coalesce(cases.was_handled_in_time, cases.handled_at <= cases.deadline_at) as is_in_time
    from opened
    cross join run
    inner join {{ ref('fct_warning_cases') }} as cases
        on opened.customer_id = cases.customer_id
        and opened.case_id = cases.case_id
    inner join chain on cases.run_id = chain.run_id
    where cases.run_id = run.run_id or cases.closed_on = cases.as_of_date
    order by opened.customer_id asc, opened.case_id asc, chain.as_of_at desc
),

latest as (
    select
        told.*,
        case
            when (told.handled_first_at at time zone run.time_zone)::date <= told.opened_on + run.horizon_days
                then told.handled_first_at
        end as handled_at_horizon
    from told
    cross join run
)

select
    opened.customer_id,
    run.run_id,
    run.as_of_date,
    opened.case_id,
    opened.run_id as opened_run_id,
    opened.opened_on,
    opened.opened_on + run.horizon_days as horizon_on,
    customers.customer_name,
    customers.segment,
    customers.owner_name,
    customers.owner_email,
    said.policy_hash,
    opened.warning_level,
    latest.peak_level,
    {{ is_service_fluctuation('levels') }} as is_service_fluctuation,
    opened.indicator_codes,
    opened.departments,
    opened.money_at_risk_amount,
    customers.state = 'active' as was_active,
    followed.baseline_amount,
    followed.collapsed_amount,
    followed.ordered_amount,
    followed.is_churned,
    case when followed.is_churned then followed.lead_days end as lead_days,
    latest.handled_at_horizon as handled_at,
    coalesce(latest.handled_at_horizon is not null and latest.is_in_time, false) as is_handled_in_time,
    (latest.handled_at_horizon at time zone run.time_zone)::date + run.recovery_days as recovery_on,
    case
        when followed.is_churned then 'churned'
        when latest.closed_on is null then 'open'
        when latest.handled_at_horizon is not null then 'recovered'
        else 'cleared'
    end as outcome
from opened
cross join run
inner join {{ source('ops', 'run') }} as said on opened.run_id = said.run_id
inner join latest on opened.customer_id = latest.customer_id and opened.case_id = latest.case_id
inner join {{ ref('dim_customers') }} as customers
    on opened.customer_id = customers.customer_id
    and opened.run_id = customers.run_id
inner join {{ ref('fct_customer_levels') }} as levels
    on opened.customer_id = levels.customer_id
    and opened.run_id = levels.run_id
left join followed on opened.customer_id = followed.customer_id and opened.run_id = followed.run_id
