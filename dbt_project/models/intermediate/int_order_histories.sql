{{ config(
    materialized='incremental',
    meta={'key': ['customer_id']},
    pre_hook="{{ delete_changed('int_customers_changed', ['customer_id']) }}"
) }}

-- Grain: customer with an order. First and last order day, and how many there were.
with cells as ({{ of_changed(ref('int_customer_cells'), 'int_customers_changed', ['customer_id']) }})

select
    customer_id,
    min(first_ordered_on) as first_ordered_on,
    max(last_ordered_on) as last_ordered_on,
    sum(order_days)::integer as order_days
from cells
where order_count > 0
group by customer_id
