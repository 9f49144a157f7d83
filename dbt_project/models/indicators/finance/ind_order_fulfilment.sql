{{ config(meta={
    'parameters': {'share': 'more', 'months': 'same', 'min_cancelled': 'more'},
    'measures': ['cancelled_orders'],
    'evidence': ['cancelled orders'],
}) }}

-- 订单履约率: the share of its orders of the last months that the customer itself cancelled.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('int_customers') }} where is_judged),

orders as (select * from {{ ref('int_orders_cancelled') }}),

parameters as ({{ indicator_parameters() }}),

compared as (
    select
        customers.customer_id,
        coalesce(orders.cancelled, 0) as cancelled,
        round(orders.cancelled / orders.placed, 6) as share,
        {{ is_missing(['sales.orders']) }} as is_missing
    from customers
    left join orders on customers.customer_id = orders.customer_id
),

decided as (
    select
        compared.*,
        case
            when compared.is_missing or compared.share is null then 'unknown'
            when compared.share > parameters.share and compared.cancelled >= parameters.min_cancelled then 'serious'
            when compared.share > parameters.watch_share and compared.cancelled >= parameters.watch_min_cancelled
                then 'watch'
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
    jsonb_build_object('cancelled_orders', case when not decided.is_missing then decided.cancelled end) as measures
from decided
cross join parameters
cross join run
