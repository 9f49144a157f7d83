-- Every judged customer has one level row, and an active one has every indicator of the policy that has a model.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('int_customers') }} where is_judged),

levels as (
    select levels.*
    from {{ ref('fct_customer_levels') }} as levels
    inner join run on levels.run_id = run.run_id
),

indicator_counts as (
    select
        customers.customer_id,
        cardinality(array_remove(customers.states, null)) as indicators
    from {{ ref('fct_customer_indicators') }} as customers
    inner join run on customers.run_id = run.run_id
),

expected as (
    select
        count(*) as of_active,
        count(*) filter (where indicators.family in ('arrears', 'credit')) as of_others
    from {{ source('policy', 'indicators') }} as indicators
    inner join run on indicators.policy_hash = run.policy_hash
    where indicators.indicator_code = any({{ all_codes() }})
)

select customers.customer_id
from customers
cross join expected
left join levels on customers.customer_id = levels.customer_id
left join indicator_counts on customers.customer_id = indicator_counts.customer_id
where
    levels.customer_id is null
    or coalesce(indicator_counts.indicators, 0)
    <> case when customers.state = 'active' then expected.of_active else expected.of_others end
