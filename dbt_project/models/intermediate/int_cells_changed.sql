{{ config(meta={'key': ['customer_id', 'month']}) }}

-- Grain: customer × calendar month that has to be counted anew: where an order or complaint came, went or passed.
with orders as ({{ changed_rows('base_sales__orders', ['customer_id', 'ordered_on']) }}),

tickets as ({{ changed_rows('base_service__tickets', ['customer_id', 'opened_on']) }}),

cells_left as (select * from {{ source('ops', 'cell_left') }}),

cells as (
    select
        customer_id,
        date_trunc('month', ordered_on)::date as month
    from orders
    union
    select
        customer_id,
        date_trunc('month', opened_on)::date as month
    from tickets
    union
    select
        customer_id,
        cell::date as month
    from cells_left
    where data_set in ('sales.orders', 'service.tickets')
)

select
    customer_id,
    month
from cells
