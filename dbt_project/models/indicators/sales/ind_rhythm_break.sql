{{ config(meta={
    'is_watch_only': true,
    'parameters': {'days': 'more', 'gap_multiple': 'more', 'min_order_days': 'same', 'revenue_share': 'same'},
    'measures': ['is_class_a'],
    'needs': ['sales.orders'],
    'evidence': ['orders'],
    'clears': 'the customer orders again',
}) }}

-- 节奏中断: an early notice of a class A customer's silence, against its own rhythm. No serious state.
with customers as (select * from {{ ref('int_customers') }}),

parameters as ({{ indicator_parameters() }}),

ranked as (
    select
        customer_id,
        sum(revenue_12m_amount) over (order by revenue_12m_amount desc, customer_id asc) - revenue_12m_amount
            as amount_before,
        sum(revenue_12m_amount) over () as amount_of_all
    from customers
    where revenue_12m_amount > 0
),

compared as (
    select
        customers.customer_id,
        customers.silence_days,
        customers.usual_gap_days,
        customers.order_days >= parameters.watch_min_order_days as is_known,
        coalesce(ranked.amount_before < parameters.watch_revenue_share * ranked.amount_of_all, false) as is_class_a,
        parameters.watch_days as least_days,
        round(parameters.watch_gap_multiple * customers.usual_gap_days, 6) as own_limit
    from customers
    inner join parameters on customers.scope = parameters.scope
    left join ranked on customers.customer_id = ranked.customer_id
    where customers.state = 'active'
)

select
    customer_id,
    case
        when not is_known then 'unknown'
        when is_class_a and silence_days >= least_days and silence_days > own_limit then 'watch'
        else 'clear'
    end as state,
    case when not is_known then 'short_history' end as unknown_reason,
    silence_days::numeric as value,
    round(usual_gap_days, 6) as baseline,
    greatest(least_days, own_limit) as threshold,
    null::text as trend,
    null::date as window_start,
    null::date as window_end,
    jsonb_build_object('is_class_a', is_class_a::integer) as measures
from compared
