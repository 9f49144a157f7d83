{{ config(materialized='view') }}

-- Grain: customer with an order. What its order days say as of the run.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('stg_sales__customers') }}),

histories as (select * from {{ ref('int_order_histories') }})

select
    histories.customer_id,
    histories.first_ordered_on,
    histories.last_ordered_on,
    histories.order_days,
    {{ months_ago('histories.first_ordered_on') }} as first_order_months_ago,
    customers.segment,
    run.as_of_date - histories.last_ordered_on as silence_days,
    run.as_of_date + 1 - histories.first_ordered_on as exposure_days
from histories
inner join customers on histories.customer_id = customers.customer_id
cross join run
