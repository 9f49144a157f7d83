{{ config(
    materialized='incremental',
    meta={
        'key': ['customer_id'],
        'parameters': {
            'baseline_share': 'less',
            'months': 'same',
            'min_orders': 'same',
            'baseline_months': 'same',
            'min_baseline_months': 'same',
        },
        'evidence': ['orders'],
    },
    pre_hook="{{ delete_changed('int_closed_months_changed', ['customer_id']) }}"
) }}

-- 单次交易金额: amount an order over the last closed months against the customer's own baseline.
with {{ closed_months() }},

summed as (
    select
        customers.customer_id,
        customers.first_order_months_ago,
        {{ over_window('order_count') }} as orders,
        {{ over_window('order_amount') }} as amount,
        {{ over_baseline('order_count') }} as usual_orders,
        {{ over_baseline('order_amount') }} as usual_amount,
        {{ six_month_slope_of_ratio('order_amount', 'order_count') }} as slope
    from customers
    cross join parameters
    left join months on customers.customer_id = months.customer_id
    group by customers.customer_id, customers.first_order_months_ago
),

compared as (
    select
        summed.customer_id,
        summed.slope,
        round(summed.amount / nullif(summed.orders, 0), 6) as value,
        summed.usual_amount / nullif(summed.usual_orders, 0) as baseline,
        case
            when {{ is_missing(['sales.orders']) }} then 'no_data'
            when not {{ has_baseline('summed') }} then 'short_history'
            when summed.orders < greatest(parameters.min_orders, 1) or summed.usual_amount = 0 then 'no_base'
        end as unknown_reason
    from summed
    cross join parameters
),

judged as (
    select
        compared.*,
        round(parameters.baseline_share * compared.baseline, 6) as serious_threshold,
        round(parameters.watch_baseline_share * compared.baseline, 6) as watch_threshold
    from compared
    cross join parameters
),

decided as (
    select
        judged.*,
        case
            when unknown_reason is not null then 'unknown'
            when value < serious_threshold then 'serious'
            when value < watch_threshold then 'watch'
            else 'clear'
        end as state
    from judged
)

select
    decided.customer_id,
    decided.state,
    decided.unknown_reason,
    decided.value,
    round(decided.baseline, 6) as baseline,
    case when decided.state = 'watch' then decided.watch_threshold else decided.serious_threshold end as threshold,
    {{ trend('decided.slope', 'decided.baseline', 'low') }} as trend,
    {{ month_start('parameters.months') }} as window_start,
    run.open_month - 1 as window_end,
    '{}'::jsonb as measures
from decided
cross join parameters
cross join run
