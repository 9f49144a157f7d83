{{ config(meta={'key': ['customer_id']}) }}

-- Grain: customer with an order. What its order days say.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('stg_sales__customers') }}),

months as (select * from {{ ref('int_customer_months') }} where order_count > 0),

days as (
    select
        customer_id,
        min(first_ordered_on) as first_ordered_on,
        max(last_ordered_on) as last_ordered_on,
        max(months_ago) as first_order_months_ago,
        sum(order_days)::integer as order_days
    from months
    group by customer_id
)

select
    days.*,
    customers.segment,
    run.as_of_date - days.last_ordered_on as silence_days,
    run.as_of_date + 1 - days.first_ordered_on as exposure_days
from days
inner join customers on days.customer_id = customers.customer_id
cross join run
