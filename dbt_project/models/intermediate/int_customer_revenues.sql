{{ config(
    materialized='incremental',
    meta={'key': ['customer_id']},
    pre_hook="{{ delete_changed('int_revenues_changed', ['customer_id']) }}"
) }}

-- Grain: customer with an order in the last 365 days. Their amount: whole months from the cells, the days of the month
-- in which the year begins from the orders.
with cells as (
    {{ of_changed(
        ref('int_customer_cells'), 'int_revenues_changed', ['customer_id'],
        within='kept.month > run.as_of_date - 365'
    ) }}
),

orders as (
    {{ of_changed(
        ref('stg_sales__orders'), 'int_revenues_changed', ['customer_id'],
        within='kept.ordered_on > run.as_of_date - 365 and kept.ordered_on < ' ~ month_after('run.as_of_date - 365')
    ) }}
),

parts as (
    select
        customer_id,
        order_amount as amount
    from cells
    where order_count > 0
    union all
    select
        customer_id,
        amount
    from orders
    where not is_cancelled
)

select
    customer_id,
    sum(amount) as revenue_12m_amount
from parts
group by customer_id
