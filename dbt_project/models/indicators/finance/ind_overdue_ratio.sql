{{ config(meta={
    'parameters': {'ratio': 'more', 'baseline_months': 'same', 'min_baseline_months': 'same'},
    'measures': ['overdue_amount'],
    'needs': ['sales.orders', 'finance.invoices', 'finance.payments'],
    'evidence': ['unpaid invoices'],
    'clears': 'at most {ratio} of a usual month is overdue',
}) }}

-- 欠款比例: the overdue amount against a usual month's orders.
with customers as (select * from {{ ref('int_customers') }} where is_judged),

baselines as (select * from {{ ref('int_amount_baselines') }}),

parameters as ({{ indicator_parameters() }}),

compared as (
    select
        customers.customer_id,
        customers.overdue_amount,
        customers.first_order_months_ago,
        parameters.ratio as serious_threshold,
        parameters.watch_ratio as watch_threshold,
        baselines.baseline
    from customers
    inner join parameters on customers.scope = parameters.scope
    left join baselines on customers.customer_id = baselines.customer_id
),

valued as (
    select
        compared.*,
        case
            when first_order_months_ago is null then 'no_base'
            when baseline is null then 'short_history'
            when baseline = 0 and overdue_amount > 0 then 'no_base'
        end as unknown_reason,
        case when overdue_amount = 0 then 0 else round(overdue_amount / nullif(baseline, 0), 6) end as ratio
    from compared
),

decided as (
    select
        valued.*,
        case
            when unknown_reason is not null then 'unknown'
            when ratio > serious_threshold then 'serious'
            when ratio > watch_threshold then 'watch'
            else 'clear'
        end as state
    from valued
)

select
    customer_id,
    state,
    unknown_reason,
    case when unknown_reason is null then ratio end as value,
    round(baseline, 6) as baseline,
    case when state = 'watch' then watch_threshold else serious_threshold end as threshold,
    null::text as trend,
    null::date as window_start,
    null::date as window_end,
    jsonb_build_object('overdue_amount', overdue_amount) as measures
from decided
