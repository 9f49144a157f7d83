{{ config(meta={
    'parameters': {'share': 'less', 'months': 'same', 'min_orders': 'same'},
    'measures': ['late_orders'],
    'evidence': ['late deliveries'],
}) }}

-- 交付准时率: the share of the orders promised for the last months that we delivered by the promised day.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('int_customers') }} where state = 'active'),

parameters as ({{ indicator_parameters() }}),

windows as (
    select
        {{ month_start('parameters.months') }} as window_start,
        (run.as_of_at at time zone run.time_zone)::date as promised_before
    from run
    cross join parameters
),

orders as (
    select orders.*
    from windows
    cross join lateral (
        select *
        from {{ ref('stg_sales__orders') }}
        where promised_on >= windows.window_start and promised_on < windows.promised_before and not is_cancelled
        {{ one_by_one() }}
    ) as orders
),

counted as (
    select
        customer_id,
        count(*) as due,
        count(*) filter (where coalesce(fulfilled_on > promised_on, true)) as late
    from orders
    group by customer_id
),

compared as (
    select
        customers.customer_id,
        coalesce(counted.late, 0) as late,
        case
            when counted.due >= greatest(parameters.min_orders, 1)
                then round(1 - counted.late::numeric / counted.due, 6)
        end as share,
        {{ is_missing(['sales.orders']) }} as is_missing
    from customers
    cross join parameters
    left join counted on customers.customer_id = counted.customer_id
),

decided as (
    select
        compared.*,
        case
            when compared.is_missing or compared.share is null then 'unknown'
            when compared.share < parameters.share then 'serious'
            when compared.share < parameters.watch_share then 'watch'
            else 'clear'
        end as state
    from compared
    cross join parameters
)

select
    decided.customer_id,
    decided.state,
    case when decided.is_missing then 'no_data' when decided.share is null then 'no_base' end as unknown_reason,
    decided.share as value,
    null::numeric as baseline,
    case when decided.state = 'watch' then parameters.watch_share else parameters.share end as threshold,
    null::text as trend,
    {{ month_start('parameters.months') }} as window_start,
    run.as_of_date as window_end,
    jsonb_build_object('late_orders', case when not decided.is_missing then decided.late end) as measures
from decided
cross join parameters
cross join run
