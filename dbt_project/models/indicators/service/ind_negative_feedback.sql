{{ config(meta={
    'parameters': {
        'baseline_factor': 'more',
        'count': 'more',
        'window_days': 'same',
        'baseline_months': 'same',
        'min_baseline_months': 'same',
    },
    'measures': ['least_feedback'],
    'needs': ['service.tickets'],
    'evidence': ['negative feedback'],
    'clears': 'there are fewer than {count} in {window_days} days, or at most {baseline_factor} × as many as usual',
}) }}

-- 负面反馈: negative feedback of the last days above the customer's own baseline, once it is a few.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('int_customers') }} where state = 'active'),

baselines as (select * from {{ ref('int_feedback_baselines') }}),

parameters as ({{ indicator_parameters() }}),

windows as (
    select max(window_days) as days
    from parameters
),

tickets as (
    select
        tickets.customer_id,
        run.as_of_date - tickets.opened_on as age_days
    from run
    cross join windows
    cross join lateral ({{ tickets_of_last_days('windows.days') }}) as tickets
    where tickets.is_negative_feedback
),

counted as (
    select
        tickets.customer_id,
        count(*) as feedback
    from tickets
    inner join customers on tickets.customer_id = customers.customer_id
    inner join parameters on customers.scope = parameters.scope
    where tickets.age_days < parameters.window_days
    group by tickets.customer_id
),

compared as (
    select
        customers.customer_id,
        coalesce(counted.feedback, 0) as feedback,
        baselines.baseline,
        baselines.trend,
        round(parameters.baseline_factor * baselines.baseline, 6) as serious_threshold,
        round(parameters.watch_baseline_factor * baselines.baseline, 6) as watch_threshold,
        parameters.count as serious_count,
        parameters.watch_count,
        parameters.window_days
    from customers
    inner join parameters on customers.scope = parameters.scope
    left join baselines on customers.customer_id = baselines.customer_id
    left join counted on customers.customer_id = counted.customer_id
),

judged as (
    select
        compared.*,
        case
            when baseline is null then 'short_history'
            when baseline = 0 and feedback >= watch_count then 'no_base'
        end as unknown_reason
    from compared
),

decided as (
    select
        judged.*,
        case
            when unknown_reason is not null then 'unknown'
            when feedback > serious_threshold and feedback >= serious_count then 'serious'
            when feedback > watch_threshold and feedback >= watch_count then 'watch'
            else 'clear'
        end as state
    from judged
)

select
    decided.customer_id,
    decided.state,
    decided.unknown_reason,
    decided.feedback::numeric as value,
    round(decided.baseline, 6) as baseline,
    case when decided.state = 'watch' then decided.watch_threshold else decided.serious_threshold end as threshold,
    decided.trend,
    run.as_of_date - decided.window_days::integer + 1 as window_start,
    run.as_of_date as window_end,
    jsonb_build_object(
        'least_feedback', case when decided.state = 'watch' then decided.watch_count else decided.serious_count end
    ) as measures
from decided
cross join run
