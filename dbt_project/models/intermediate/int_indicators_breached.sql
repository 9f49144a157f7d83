{{ config(materialized='view') }}

-- Grain: customer × indicator in state serious or watch in this run, with what count rules ask about it.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('fct_customer_indicators') }} where states && array['serious', 'watch']),

indicators as (select * from {{ source('policy', 'indicators') }})

select
    customers.customer_id,
    judged.indicator_code,
    indicators.family,
    judged.state,
    indicators.is_key
from customers
inner join run on customers.run_id = run.run_id
cross join lateral unnest({{ all_codes() }}, customers.states) as judged (indicator_code, state)
inner join indicators
    on judged.indicator_code = indicators.indicator_code
    and run.policy_hash = indicators.policy_hash
where judged.state in ('serious', 'watch')
