-- Warning case, and what became of it: settled where its horizon has ended, else open. Runs that the newest published
-- one goes on from count, no others.
with recursive {{ chain_of_the_newest() }},

recoveries as (
    select recoveries.*
    from {{ ref('fct_warning_recoveries') }} as recoveries
    inner join chain on recoveries.run_id = chain.run_id
),

settled as (
    select
        outcomes.*,
        recoveries.is_won_back
    from {{ ref('fct_warning_outcomes') }} as outcomes
    inner join chain on outcomes.run_id = chain.run_id
    left join recoveries on outcomes.customer_id = recoveries.customer_id and outcomes.case_id = recoveries.case_id
),

-- An opening is told twice where a day was judged several times and the case ended in between.
opened as (
    select distinct on (cases.customer_id, cases.case_id) cases.*
    from {{ ref('fct_warning_cases') }} as cases
    inner join chain on cases.run_id = chain.run_id
    left join settled on cases.customer_id = settled.customer_id and cases.case_id = settled.case_id
    where cases.event = 'opened' and settled.customer_id is null
    order by cases.customer_id asc, cases.case_id asc, cases.raised_at asc
),

-- What is open is settled by the policy of the run that does it, of which the newest is the best guess.
horizon as (
    select outcomes.value::integer as days
    from {{ source('policy', 'outcomes') }} as outcomes
    inner join runs on outcomes.policy_hash = runs.policy_hash
    inner join chain on runs.run_id = chain.run_id and chain.is_newest
    where outcomes.parameter = 'horizon_days'
)

select
    settled.customer_id,
    settled.case_id,
    settled.opened_on,
    settled.horizon_on,
    settled.customer_name,
    settled.segment,
    settled.owner_name,
    settled.owner_email,
    settled.policy_hash,
    settled.warning_level,
    settled.peak_level,
    settled.is_service_fluctuation,
    settled.indicator_codes,
    settled.departments,
    settled.money_at_risk_amount,
    settled.was_active,
    true as is_matured,
    settled.outcome,
    settled.is_churned,
    settled.lead_days,
    settled.handled_at,
    settled.is_handled_in_time,
    settled.is_won_back,
    settled.baseline_amount,
    settled.collapsed_amount,
    settled.ordered_amount,
    settled.as_of_date as settled_on,
    settled.run_id as settled_run_id
from settled
union all
select
    opened.customer_id,
    opened.case_id,
    opened.opened_on,
    opened.opened_on + horizon.days as horizon_on,
    customers.customer_name,
    customers.segment,
    customers.owner_name,
    customers.owner_email,
    runs.policy_hash,
    opened.warning_level,
    cases.peak_level,
    {{ is_service_fluctuation('levels') }} as is_service_fluctuation,
    opened.indicator_codes,
    opened.departments,
    opened.money_at_risk_amount,
    customers.state = 'active' as was_active,
    false as is_matured,
    'open' as outcome,
    null as is_churned,
    null as lead_days,
    cases.first_handled_at as handled_at,
    coalesce(cases.was_handled_in_time, false) as is_handled_in_time,
    null as is_won_back,
    null as baseline_amount,
    null as collapsed_amount,
    null as ordered_amount,
    null as settled_on,
    null as settled_run_id
from opened
inner join runs on opened.run_id = runs.run_id
inner join {{ ref('dim_customers') }} as customers
    on opened.customer_id = customers.customer_id
    and opened.run_id = customers.run_id
inner join {{ ref('fct_customer_levels') }} as levels
    on opened.customer_id = levels.customer_id
    and opened.run_id = levels.run_id
inner join {{ ref('cases') }} as cases on opened.customer_id = cases.customer_id and opened.case_id = cases.case_id
left join horizon on true
