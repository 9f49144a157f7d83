{{ config(meta={
    'parameters': {'share': 'more', 'months': 'same', 'min_cancelled': 'more'},
    'measures': ['cancelled_orders'],
    'needs': ['sales.orders'],
    'evidence': ['cancelled orders'],
    'clears': 'the customer cancelled at most {share} of the orders of the last {months} months, or fewer than {min_cancelled}',
}) }}

-- 订单履约率: the share of its orders of the last months that the customer itself cancelled.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('int_customers') }} where is_judged),

orders as (select * from {{ ref('int_orders_cancelled') }}),

parameters as ({{ indicator_parameters() }}),

compared as (
    select
        customers.customer_id,
        customers.scope,
        coalesce(orders.cancelled, 0) as cancelled,
        round(orders.cancelled / orders.placed, 6) as share
    from customers
    left join orders on customers.customer_id = orders.customer_id
),

{{ judged_share(
    'cancelled', 'cancelled_orders',
    serious='compared.share > parameters.share and compared.cancelled >= parameters.min_cancelled',
    watch='compared.share > parameters.watch_share and compared.cancelled >= parameters.watch_min_cancelled'
) }}
