{{ config(meta={'key': ['month']}) }}

-- Grain: calendar month whose days products have to be counted anew in: where an order, a return or a ticket came, went
-- or passed, or one stands whose lines did.
with cells as (select * from {{ ref('int_cells_changed') }}),

happened as (
    {{ days_of_relined('base_sales__orders', 'ordered_on') }}
    union all
    {{ days_of_relined('base_sales__returns', 'returned_on', 'product_id is null') }}
    union all
    {{ days_of_relined('base_service__tickets', 'opened_on', 'product_id is null') }}
)

select month
from cells
union
select date_trunc('month', happened_on)::date as month
from happened
