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
        'needs': ['sales.orders'],
        'evidence': ['orders'],
        'clears': 'the mean order of the last {months} closed months comes to at least {baseline_share} of the usual order',
    },
    pre_hook="{{ delete_changed('int_closed_months_changed', ['customer_id']) }}"
) }}

-- 单次交易金额: amount an order over the last closed months against the customer's own baseline.
with {{ closed_months() }},

summed as ({{ summed_ratio('order_amount', 'order_count') }}),

compared as (
    select
        summed.customer_id,
        summed.scope,
        summed.slope,
        round(summed.numerator / nullif(summed.denominator, 0), 6) as value,
        summed.usual_numerator / nullif(summed.usual_denominator, 0) as baseline,
        case
            when not {{ has_baseline(months_before_window('summed')) }} then 'short_history'
            when summed.denominator < greatest(parameters.min_orders, 1) or summed.usual_numerator = 0 then 'no_base'
        end as unknown_reason
    from summed
    inner join parameters on summed.scope = parameters.scope
),

judged as (
    select
        compared.*,
        round(parameters.baseline_share * compared.baseline, 6) as serious_threshold,
        round(parameters.watch_baseline_share * compared.baseline, 6) as watch_threshold
    from compared
    inner join parameters on compared.scope = parameters.scope
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
inner join parameters on decided.scope = parameters.scope
cross join run
