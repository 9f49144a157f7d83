{{ config(meta={
    'parameters': {'share': 'less', 'months': 'same', 'min_orders': 'same'},
    'measures': ['late_orders'],
    'needs': ['sales.orders'],
    'evidence': ['late deliveries'],
    'clears': 'at least {share} of the orders promised in the last {months} months came in time',
}) }}

-- 交付准时率: the share of the orders promised for the last months that we delivered by the promised day. Orders are
-- looked up for the longest window of any scope.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('int_customers') }} where state = 'active'),

parameters as ({{ indicator_parameters() }}),

windows as (
    select
        {{ month_start('max(parameters.months)') }} as window_start,
        (run.as_of_at at time zone run.time_zone)::date as promised_before
    from run
    cross join parameters
    group by run.open_month, run.as_of_at, run.time_zone
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
        orders.customer_id,
        count(*) as due,
        count(*) filter (where coalesce(orders.fulfilled_on > orders.promised_on, true)) as late
    from orders
    inner join customers on orders.customer_id = customers.customer_id
    inner join parameters on customers.scope = parameters.scope
    cross join run
    where orders.promised_on >= {{ month_start('parameters.months') }}
    group by orders.customer_id
),

compared as (
    select
        customers.customer_id,
        customers.scope,
        coalesce(counted.late, 0) as late,
        case
            when counted.due >= greatest(parameters.min_orders, 1)
                then round(1 - counted.late::numeric / counted.due, 6)
        end as share
    from customers
    inner join parameters on customers.scope = parameters.scope
    left join counted on customers.customer_id = counted.customer_id
),

{{ judged_share(
    'late', 'late_orders',
    serious='compared.share < parameters.share',
    watch='compared.share < parameters.watch_share'
) }}
