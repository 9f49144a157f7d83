{{ config(meta={
    'parameters': {'days': 'more', 'gap_multiple': 'more', 'min_order_days': 'same'},
    'measures': ['silence_days', 'usual_gap_days', 'silence_ratio'],
    'needs': ['sales.orders'],
    'evidence': ['orders'],
    'clears': 'the customer orders again',
}) }}

-- 未购天数: silence against a fixed limit and against the customer's own rhythm; both must be exceeded.
with customers as (select * from {{ ref('int_customers') }} where state = 'active'),

parameters as ({{ indicator_parameters() }}),

compared as (
    select
        customers.customer_id,
        customers.order_days >= parameters.min_order_days as is_known,
        customers.silence_days,
        customers.usual_gap_days,
        greatest(parameters.days, round(parameters.gap_multiple * customers.usual_gap_days, 6)) as serious_threshold,
        greatest(parameters.watch_days, round(parameters.watch_gap_multiple * customers.usual_gap_days, 6))
            as watch_threshold
    from customers
    inner join parameters on customers.scope = parameters.scope
),

decided as (
    select
        compared.*,
        case
            when not is_known then 'unknown'
            when silence_days > serious_threshold then 'serious'
            when silence_days > watch_threshold then 'watch'
            else 'clear'
        end as state
    from compared
)

select
    customer_id,
    state,
    case when not is_known then 'short_history' end as unknown_reason,
    silence_days::numeric as value,
    round(usual_gap_days, 6) as baseline,
    case when state = 'watch' then watch_threshold else serious_threshold end as threshold,
    null::text as trend,
    null::date as window_start,
    null::date as window_end,
    jsonb_build_object(
        'silence_days', case when is_known then silence_days end,
        'usual_gap_days', case when is_known then round(usual_gap_days, 6) end,
        'silence_ratio', case when is_known then round(silence_days / usual_gap_days, 6) end
    ) as measures
from decided
