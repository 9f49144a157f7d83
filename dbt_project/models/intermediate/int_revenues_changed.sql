{{ config(meta={'key': ['customer_id']}) }}

-- Grain: customer whose revenue of the last 365 days has changed: something came, went or passed, or an order has grown
-- too old.
with run as (select * from {{ ref('stg_ops__run') }}),

changed as (select * from {{ ref('int_cells_changed') }}),

orders as (select * from {{ ref('base_sales__orders') }})

select customer_id
from changed
union
select orders.customer_id
from orders
inner join run
    on orders.ordered_on > run.staged_from_date - 365
    and orders.ordered_on <= run.staged_to_date - 365
