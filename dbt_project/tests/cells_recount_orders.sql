-- The customer-month cells hold every order that counts, once: number and amount recounted from staging.
with orders as (select * from {{ ref('stg_sales__orders') }} where not is_cancelled),

months as (select * from {{ ref('int_customer_months') }}),

staged as (
    select
        customer_id,
        count(*) as order_count,
        sum(amount) as order_amount
    from orders
    group by customer_id
),

celled as (
    select
        customer_id,
        sum(order_count) as order_count,
        sum(order_amount) as order_amount
    from months
    group by customer_id
    having sum(order_count) > 0
)

select
    customer_id,
    staged.order_count,
    celled.order_count as celled_count
from staged
full join celled using (customer_id)
where
    staged.order_count is distinct from celled.order_count
    or staged.order_amount is distinct from celled.order_amount
