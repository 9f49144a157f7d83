-- The cells that changed hold every order that counts, once: number and amount recounted from staging.
with orders as ({{ of_changed_months(ref('stg_sales__orders'), 'ordered_on') }}),

cells as ({{ of_changed(ref('int_customer_cells'), 'int_cells_changed', ['customer_id', 'month']) }}),

staged as (
    select
        customer_id,
        date_trunc('month', ordered_on)::date as month,
        count(*) as order_count,
        sum(amount) as order_amount
    from orders
    where not is_cancelled
    group by customer_id, date_trunc('month', ordered_on)
),

celled as (select * from cells where order_count > 0)

select
    customer_id,
    month,
    staged.order_count,
    celled.order_count as celled_count
from staged
full join celled using (customer_id, month)
where
    staged.order_count is distinct from celled.order_count
    or staged.order_amount is distinct from celled.order_amount
