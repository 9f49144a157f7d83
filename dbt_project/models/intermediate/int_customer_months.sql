-- Grain: customer × calendar month with an order or a complaint. months_ago: 1 = the last closed month, 0 = open.
with run as (select * from {{ ref('stg_ops__run') }}),

orders as (select * from {{ ref('stg_sales__orders') }} where not is_cancelled),

tickets as (select * from {{ ref('stg_service__tickets') }} where kind = 'complaint'),

order_months as (
    select
        customer_id,
        date_trunc('month', ordered_on)::date as month,
        count(*) as order_count,
        sum(amount) as order_amount,
        count(distinct ordered_on) as order_days,
        min(ordered_on) as first_ordered_on,
        max(ordered_on) as last_ordered_on
    from orders
    group by customer_id, date_trunc('month', ordered_on)
),

complaint_months as (
    select
        customer_id,
        date_trunc('month', opened_on)::date as month,
        count(*) as complaint_count
    from tickets
    group by customer_id, date_trunc('month', opened_on)
),

joined as (
    select
        customer_id,
        month,
        coalesce(order_months.order_count, 0) as order_count,
        coalesce(order_months.order_amount, 0) as order_amount,
        coalesce(order_months.order_days, 0) as order_days,
        order_months.first_ordered_on,
        order_months.last_ordered_on,
        coalesce(complaint_months.complaint_count, 0) as complaint_count
    from order_months
    full join complaint_months using (customer_id, month)
)

select
    joined.*,
    (
        extract(year from run.open_month) * 12 + extract(month from run.open_month)
        - extract(year from joined.month) * 12 - extract(month from joined.month)
    )::integer as months_ago
from joined
cross join run
