{{ config(materialized='view') }}

-- Grain: customer × indicator in state serious or watch in this run, with what count rules ask about it.
with run as (select * from {{ ref('stg_ops__run') }}),

indicator_values as (select * from {{ ref('fct_indicator_values') }}),

indicators as (select * from {{ source('policy', 'indicators') }})

select
    indicator_values.customer_id,
    indicator_values.indicator_code,
    indicator_values.family,
    indicator_values.state,
    indicators.is_key
from indicator_values
inner join run on indicator_values.run_id = run.run_id
inner join indicators
    on indicator_values.indicator_code = indicators.indicator_code
    and run.policy_hash = indicators.policy_hash
where indicator_values.state in ('serious', 'watch')
