{{ config(materialized='view') }}

-- Grain: customer with an indicator that can't be judged in this run.
with run as (select * from {{ ref('stg_ops__run') }}),

indicator_values as (select * from {{ ref('fct_indicator_values') }})

select
    indicator_values.customer_id,
    array_agg(indicator_values.indicator_code) as codes
from indicator_values
inner join run on indicator_values.run_id = run.run_id
where indicator_values.state = 'unknown'
group by indicator_values.customer_id
