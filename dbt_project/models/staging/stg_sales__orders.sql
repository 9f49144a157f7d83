-- Orders placed before the cut-off, as known then.
with run as (select * from {{ ref('stg_ops__run') }}),

orders as (select * from {{ ref('base_sales__orders') }} where not _is_deleted)

select
    orders.customer_id,
    orders.order_id,
    orders.amount,
    orders.ordered_on,
    orders.promised_on,
    case when orders.fulfilled_at < run.as_of_at then (orders.fulfilled_at at time zone run.time_zone)::date end
        as fulfilled_on,
    coalesce(orders.cancelled_at < run.as_of_at, false) as is_cancelled,
    coalesce(orders.cancelled_at < run.as_of_at and orders.cancelled_by = 'customer', false) as is_cancelled_by_customer
from orders
inner join run on orders.ordered_at < run.as_of_at
