{{ config(
    materialized='incremental',
    meta={'key': ['customer_id', 'month']},
    pre_hook="{{ delete_changed('int_cells_changed', ['customer_id', 'month']) }}"
) }}

-- Grain: customer × calendar month with an order that counts or a complaint. Counted anew where something changed.
with orders as ({{ of_changed_months(ref('stg_sales__orders'), 'ordered_on') }}),

tickets as ({{ of_changed_months(ref('stg_service__tickets'), 'opened_on') }}),

events as (
    select
        customer_id,
        ordered_on as happened_on,
        amount as order_amount,
        1 as order_count,
        0 as complaint_count
    from orders
    where not is_cancelled
    union all
    select
        customer_id,
        opened_on as happened_on,
        0 as order_amount,
        0 as order_count,
        1 as complaint_count
    from tickets
    where kind = 'complaint'
)

select
    customer_id,
    date_trunc('month', happened_on)::date as month,
    {{ month_number("date_trunc('month', happened_on)::date") }} as month_number,
    sum(order_count) as order_count,
    sum(order_amount) as order_amount,
    sum(complaint_count) as complaint_count,
    count(distinct happened_on) filter (where order_count = 1) as order_days,
    min(happened_on) filter (where order_count = 1) as first_ordered_on,
    max(happened_on) filter (where order_count = 1) as last_ordered_on
from events
group by customer_id, date_trunc('month', happened_on)::date
order by customer_id, month
