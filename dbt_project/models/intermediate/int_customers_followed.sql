{{ config(meta={'key': ['customer_id', 'run_id']}) }}

-- Grain: active customer × day whose horizon has ended, on which a warning of it was opened or which ended a month.
-- What it ordered in the horizon, and whether that is too little (0002, 57). Whoever else was active is not looked at.
with run as (select * from {{ ref('stg_ops__run') }}),

chain as (select * from {{ ref('int_runs_in_chain') }} where is_due or is_month_due),

customers as (select * from {{ ref('dim_customers') }} where state = 'active'),

policies as (
    select
        policy_hash,
        max(value) filter (where parameter = 'inactive_days') as inactive_days,
        max(value) filter (where parameter = 'inactive_gap_multiple') as inactive_gap_multiple
    from {{ source('policy', 'hysteresis_and_budget') }}
    group by policy_hash
),

asked as (
    select
        cases.customer_id,
        cases.run_id
    from {{ ref('fct_warning_cases') }} as cases
    inner join chain on cases.run_id = chain.run_id and chain.is_due
    where cases.event = 'opened'
    union
    select
        customers.customer_id,
        customers.run_id
    from customers
    inner join chain on customers.run_id = chain.run_id and chain.is_month_due
),

known as (
    select
        customers.customer_id,
        customers.run_id,
        customers.as_of_date,
        customers.last_ordered_on,
        greatest(policies.inactive_days, round(policies.inactive_gap_multiple * customers.usual_gap_days, 6))
            as inactivity_limit_days,
        indicators.baselines[array_position(said.indicator_codes, 'order_amount')] as baseline_amount
    from asked
    inner join customers on asked.customer_id = customers.customer_id and asked.run_id = customers.run_id
    inner join {{ source('ops', 'run') }} as said on customers.run_id = said.run_id
    inner join policies on said.policy_hash = policies.policy_hash
    left join {{ ref('fct_customer_indicators') }} as indicators
        on customers.customer_id = indicators.customer_id
        and customers.run_id = indicators.run_id
),

followed as (
    select
        known.*,
        known.as_of_date + run.horizon_days as horizon_on,
        {{ usual_amount('run.collapsed_share', 'known.baseline_amount', 'run.horizon_days') }} as collapsed_amount,
        ahead.ordered_amount,
        ahead.last_ordered_on as last_ordered_ahead_on
    from known
    cross join run
    cross join lateral (
        {{ ordered_between('known', 'known.as_of_date', 'known.as_of_date + run.horizon_days') }}
    ) as ahead
)

select
    followed.customer_id,
    followed.run_id,
    followed.horizon_on,
    followed.baseline_amount,
    followed.collapsed_amount,
    coalesce(followed.ordered_amount, 0) as ordered_amount,
    followed.ordered_amount is null or coalesce(round(followed.ordered_amount, 6) < followed.collapsed_amount, false)
        as is_churned,
    coalesce(followed.last_ordered_ahead_on, followed.last_ordered_on)
    + floor(followed.inactivity_limit_days)::integer + 1 - followed.as_of_date as lead_days
from followed
