{{ config(meta={
    'parameters': {'ratio': 'more', 'window_days': 'same'},
    'needs': ['service.tickets'],
    'evidence': ['tickets'],
    'clears': 'answers of the last {window_days} days take at most {ratio} of the standard time on average',
}) }}

-- 服务响应时间: age at first response ÷ the standard of the priority, mean over the window's tickets; the unanswered age on.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('int_customers') }} where state = 'active'),

standards as (
    select
        standards.priority,
        standards.hours
    from {{ source('policy', 'response_standards') }} as standards
    inner join run on standards.policy_hash = run.policy_hash
),

parameters as ({{ indicator_parameters() }}),

windows as (
    select max(window_days) as days
    from parameters
),

tickets as (
    select
        tickets.*,
        run.as_of_at,
        run.as_of_date - tickets.opened_on as age_days
    from run
    cross join windows
    cross join lateral ({{ tickets_of_last_days('windows.days') }}) as tickets
),

ages as (
    select
        tickets.customer_id,
        tickets.age_days,
        extract(epoch from coalesce(tickets.first_responded_at, tickets.as_of_at) - tickets.opened_at)
        / 3600 / coalesce(standards.hours, normal.hours) as ratio
    from tickets
    inner join standards as normal on normal.priority = 'normal'
    left join standards on tickets.priority = standards.priority
),

measured as (
    select
        customers.customer_id,
        customers.scope,
        -- twice, so that what lies exactly between two figures survives the division of each age
        round(round(avg(ages.ratio), 12), 6) as ratio
    from customers
    inner join parameters on customers.scope = parameters.scope
    left join ages on customers.customer_id = ages.customer_id and parameters.window_days > ages.age_days
    group by customers.customer_id, customers.scope
),

judged as (
    select
        measured.*,
        parameters.ratio as serious_threshold,
        parameters.watch_ratio as watch_threshold,
        parameters.window_days,
        case when measured.ratio is null then 'no_base' end as unknown_reason
    from measured
    inner join parameters on measured.scope = parameters.scope
),

decided as (
    select
        judged.*,
        case
            when unknown_reason is not null then 'unknown'
            when ratio > serious_threshold then 'serious'
            when ratio > watch_threshold then 'watch'
            else 'clear'
        end as state
    from judged
)

select
    decided.customer_id,
    decided.state,
    decided.unknown_reason,
    decided.ratio as value,
    1::numeric as baseline,
    case when decided.state = 'watch' then decided.watch_threshold else decided.serious_threshold end as threshold,
    null::text as trend,
    run.as_of_date - decided.window_days::integer + 1 as window_start,
    run.as_of_date as window_end,
    '{}'::jsonb as measures
from decided
cross join run
