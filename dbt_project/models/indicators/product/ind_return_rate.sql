{{ config(
    materialized='incremental',
    meta={
        'key': ['customer_id'],
        'parameters': {
            'baseline_factor': 'more',
            'months': 'same',
            'min_returns': 'more',
            'baseline_months': 'same',
            'min_baseline_months': 'same',
        },
        'measures': ['return_count'],
        'needs': ['sales.orders', 'sales.returns'],
        'evidence': ['returns'],
        'clears': 'there are fewer than {min_returns} in {months} closed months, or at most {baseline_factor} × the usual share',
    },
    pre_hook="{{ delete_changed('int_closed_months_changed', ['customer_id']) }}"
) }}

-- 退货率: returns an order over the last closed months above the customer's own baseline, once they are a few.
with {{ closed_months() }},

summed as ({{ summed_ratio('return_count', 'order_count') }}),

compared as (
    select
        summed.customer_id,
        summed.scope,
        summed.slope,
        summed.numerator as returned,
        round(summed.numerator / nullif(summed.denominator, 0), 6) as value,
        summed.usual_numerator / nullif(summed.usual_denominator, 0) as baseline,
        case
            when not {{ has_baseline(months_before_window('summed')) }} then 'short_history'
            when summed.denominator = 0 or summed.usual_denominator = 0 then 'no_base'
            when summed.usual_numerator = 0 and summed.numerator >= parameters.min_returns then 'no_base'
        end as unknown_reason
    from summed
    inner join parameters on summed.scope = parameters.scope
),

judged as (
    select
        compared.*,
        round(parameters.baseline_factor * compared.baseline, 6) as serious_threshold,
        round(parameters.watch_baseline_factor * compared.baseline, 6) as watch_threshold
    from compared
    inner join parameters on compared.scope = parameters.scope
),

decided as (
    select
        judged.*,
        case
            when judged.unknown_reason is not null then 'unknown'
            when judged.baseline = 0 then 'clear'
            when judged.value > judged.serious_threshold and judged.returned >= parameters.min_returns then 'serious'
            when judged.value > judged.watch_threshold and judged.returned >= parameters.watch_min_returns then 'watch'
            else 'clear'
        end as state
    from judged
    inner join parameters on judged.scope = parameters.scope
)

select
    decided.customer_id,
    decided.state,
    decided.unknown_reason,
    decided.value,
    round(decided.baseline, 6) as baseline,
    case when decided.state = 'watch' then decided.watch_threshold else decided.serious_threshold end as threshold,
    {{ trend('decided.slope', 'decided.baseline', 'high') }} as trend,
    {{ month_start('parameters.months') }} as window_start,
    run.open_month - 1 as window_end,
    jsonb_build_object('return_count', decided.returned) as measures
from decided
inner join parameters on decided.scope = parameters.scope
cross join run
