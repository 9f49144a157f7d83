{{ config(
    materialized='incremental',
    meta={'key': ['customer_id']},
    pre_hook="{{ delete_changed('int_revenues_changed', ['customer_id']) }}"
) }}

-- Grain: customer with an order in the last 365 days. Their amount: whole months from the cells, the days of the month
-- in which the year begins from the orders.
with run as (select * from {{ ref('stg_ops__run') }}),

cells as ({{ of_changed(ref('int_customer_cells'), 'int_revenues_changed', ['customer_id']) }}),

orders as ({{ of_changed(ref('stg_sales__orders'), 'int_revenues_changed', ['customer_id']) }}),

parts as (
    select
        cells.customer_id,
        cells.order_amount as amount
    from cells
    inner join run on cells.month > run.as_of_date - 365
    where cells.order_count > 0
    union all
    select
        orders.customer_id,
        orders.amount
    from orders
    inner join run
        on orders.ordered_on > run.as_of_date - 365
        and orders.ordered_on < {{ month_after('run.as_of_date - 365') }}
    where not orders.is_cancelled
)

select
    customer_id,
    sum(amount) as revenue_12m_amount
from parts
group by customer_id
