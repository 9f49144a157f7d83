{{ config(
    materialized='incremental',
    meta={'key': ['day', 'product_id']},
    pre_hook="{{ delete_changed('int_product_months_changed', ['month']) }}"
) }}

-- Grain: product × day on which it was ordered, returned or complained about. Whole months are counted anew where
-- something changed, so that a day costs a month or two of orders and not the year that product quality looks at.
{%- set changed = 'int_product_months_changed' %}
with orders as ({{ looked_up(ref('stg_sales__orders'), changed, in_changed_month('ordered_on')) }}),

returned as ({{ looked_up(ref('stg_sales__returns'), changed, in_changed_month('returned_on')) }}),

tickets as ({{ looked_up(ref('stg_service__tickets'), changed, in_changed_month('opened_on')) }}),

problems as (
    select
        customer_id,
        returned_on as day,
        'return' as kind,
        product_id,
        order_id
    from returned
    union all
    select
        customer_id,
        opened_on as day,
        'complaint' as kind,
        product_id,
        order_id
    from tickets
    where kind = 'complaint'
),

events as (
    select
        lines.product_id,
        orders.ordered_on as day,
        'line' as kind
    from orders
    cross join lateral ({{ lines_of('orders') }}) as lines
    where not orders.is_cancelled
    union all
    select
        coalesce(problems.product_id, of_order.product_id) as product_id,
        problems.day,
        problems.kind
    from problems
    cross join lateral (
        select case when min(product_id) = max(product_id) then min(product_id) end as product_id
        from ({{ lines_of('problems') }}) as lines
        where problems.product_id is null
    ) as of_order
)

select
    product_id,
    day,
    date_trunc('month', day)::date as month,
    count(*) filter (where kind = 'line') as line_count,
    count(*) filter (where kind = 'return') as return_count,
    count(*) filter (where kind = 'complaint') as complaint_count
from events
where product_id is not null
group by product_id, day
