{{ config(meta={'key': ['customer_id', 'month']}) }}

-- Grain: customer × calendar month with an order or a complaint. months_ago: 1 = the last closed month, 0 = open.
with run as (select * from {{ ref('stg_ops__run') }}),

orders as (select * from {{ ref('stg_sales__orders') }} where not is_cancelled),

tickets as (select * from {{ ref('stg_service__tickets') }} where kind = 'complaint'),

events as (
    select
        customer_id,
        ordered_on as happened_on,
        amount as order_amount,
        1 as order_count,
        0 as complaint_count
    from orders
    union all
    select
        customer_id,
        opened_on as happened_on,
        0 as order_amount,
        0 as order_count,
        1 as complaint_count
    from tickets
),

months as (
    select
        customer_id,
        date_trunc('month', happened_on)::date as month,
        sum(order_count) as order_count,
        sum(order_amount) as order_amount,
        sum(complaint_count) as complaint_count,
        count(distinct happened_on) filter (where order_count = 1) as order_days,
        min(happened_on) filter (where order_count = 1) as first_ordered_on,
        max(happened_on) filter (where order_count = 1) as last_ordered_on
    from events
    group by customer_id, date_trunc('month', happened_on)
)

select
    months.*,
    (
        extract(year from run.open_month) * 12 + extract(month from run.open_month)
        - extract(year from months.month) * 12 - extract(month from months.month)
    )::integer as months_ago
from months
cross join run
