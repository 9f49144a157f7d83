{{ config(
    materialized='incremental',
    meta={'key': ['customer_id', 'month']},
    pre_hook="{{ delete_changed('int_cells_changed', ['customer_id', 'month']) }}"
) }}

-- Grain: customer × calendar month in which something happened that is counted. Counted anew where something changed.
with orders as ({{ of_changed_months(ref('stg_sales__orders'), 'ordered_on') }}),

interactions as ({{ of_changed_months(ref('stg_sales__interactions'), 'occurred_on') }}),

returned as ({{ of_changed_months(ref('stg_sales__returns'), 'returned_on') }}),

tickets as ({{ of_changed_months(ref('stg_service__tickets'), 'opened_on') }}),

events as (
    select
        customer_id,
        ordered_on as happened_on,
        case when is_cancelled then 'cancelled' else 'order' end as kind,
        amount
    from orders
    where not is_cancelled or is_cancelled_by_customer
    union all
    select
        customer_id,
        occurred_on as happened_on,
        case channel when 'web' then 'web_visit' else 'interaction' end as kind,
        null as amount
    from interactions
    where channel <> 'other'
    union all
    select
        customer_id,
        returned_on as happened_on,
        'return' as kind,
        null as amount
    from returned
    union all
    select
        customer_id,
        opened_on as happened_on,
        case kind when 'inquiry' then 'interaction' when 'feedback' then 'negative_feedback' else kind end as kind,
        null as amount
    from tickets
    where kind in ('complaint', 'inquiry') or is_negative_feedback
)

select
    customer_id,
    date_trunc('month', happened_on)::date as month,
    {{ month_number("date_trunc('month', happened_on)::date") }} as month_number,
    count(*) filter (where kind = 'order') as order_count,
    coalesce(sum(amount) filter (where kind = 'order'), 0) as order_amount,
    count(distinct happened_on) filter (where kind = 'order') as order_days,
    min(happened_on) filter (where kind = 'order') as first_ordered_on,
    max(happened_on) filter (where kind = 'order') as last_ordered_on,
    count(*) filter (where kind = 'cancelled') as cancelled_count,
    count(*) filter (where kind = 'interaction') as interaction_count,
    count(*) filter (where kind = 'web_visit') as web_visit_count,
    count(*) filter (where kind = 'return') as return_count,
    count(*) filter (where kind = 'complaint') as complaint_count,
    count(*) filter (where kind = 'negative_feedback') as negative_feedback_count
from events
group by customer_id, date_trunc('month', happened_on)::date
order by customer_id, month
