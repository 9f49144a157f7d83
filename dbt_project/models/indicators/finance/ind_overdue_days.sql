{{ config(meta={
    'parameters': {'days': 'more', 'least_amount': 'same'},
    'measures': ['overdue_amount'],
    'needs': ['finance.invoices', 'finance.payments'],
    'evidence': ['unpaid invoices'],
    'clears': 'nothing unpaid is more than {days} days past due, or at most {least_amount} is overdue',
}) }}

-- 欠款时间: days since the oldest unpaid part fell due, once more than the least amount is overdue.
with customers as (select * from {{ ref('int_customers') }} where is_judged),

parameters as ({{ indicator_parameters() }}),

measured as (
    select
        customers.customer_id,
        customers.overdue_amount,
        case
            when customers.overdue_amount > parameters.least_amount then customers.oldest_overdue_days
            else 0
        end as overdue_days,
        parameters.days as serious_threshold,
        parameters.watch_days as watch_threshold
    from customers
    inner join parameters on customers.scope = parameters.scope
),

decided as (
    select
        measured.*,
        case
            when overdue_days > serious_threshold then 'serious'
            when overdue_days > watch_threshold then 'watch'
            else 'clear'
        end as state
    from measured
)

select
    customer_id,
    state,
    null::text as unknown_reason,
    overdue_days::numeric as value,
    null::numeric as baseline,
    case when state = 'watch' then watch_threshold else serious_threshold end as threshold,
    null::text as trend,
    null::date as window_start,
    null::date as window_end,
    jsonb_build_object('overdue_days', overdue_days, 'overdue_amount', overdue_amount) as measures
from decided
