{{ config(meta={
    'parameters': {'count': 'more', 'window_days': 'same'},
    'measures': ['signals', 'interested_signals'],
    'needs': ['sales.competitor_signals'],
    'evidence': ['competitor signals'],
    'clears': 'the signals of the last {window_days} days are fewer than {count}',
}) }}

-- 竞争对手动态: signs of a competitor at the customer; serious with the customer's interest, watch without.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('int_customers') }} where state = 'active'),

parameters as ({{ indicator_parameters() }}),

counted as (
    select
        signals.customer_id,
        count(*) as seen,
        count(*) filter (where signals.has_customer_interest) as interested
    from run
    cross join customers
    inner join parameters on customers.scope = parameters.scope
    inner join {{ ref('stg_sales__competitor_signals') }} as signals
        on customers.customer_id = signals.customer_id
        and signals.observed_on > run.as_of_date - parameters.window_days::integer
    group by signals.customer_id
),

compared as (
    select
        customers.customer_id,
        coalesce(counted.seen, 0) as seen,
        coalesce(counted.interested, 0) as interested,
        parameters.count as serious_threshold,
        parameters.watch_count as watch_threshold,
        parameters.window_days
    from customers
    inner join parameters on customers.scope = parameters.scope
    left join counted on customers.customer_id = counted.customer_id
),

decided as (
    select
        compared.*,
        case
            when interested >= serious_threshold then 'serious'
            when seen >= watch_threshold then 'watch'
            else 'clear'
        end as state
    from compared
)

select
    decided.customer_id,
    decided.state,
    null::text as unknown_reason,
    case when decided.state = 'serious' then decided.interested else decided.seen end::numeric as value,
    null::numeric as baseline,
    case when decided.state = 'watch' then decided.watch_threshold else decided.serious_threshold end as threshold,
    null::text as trend,
    run.as_of_date - decided.window_days::integer + 1 as window_start,
    run.as_of_date as window_end,
    jsonb_build_object('signals', decided.seen, 'interested_signals', decided.interested) as measures
from decided
cross join run
