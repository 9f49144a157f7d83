{{ config(meta={'key': ['customer_id']}) }}

-- Grain: customer whose revenue of the last 365 days has changed: something came, went or passed, or an order has grown
-- too old.
with changed as (select * from {{ ref('int_cells_changed') }}),

aged as (select * from {{ ref('base_sales__orders') }} where {{ passed('ordered_on', staged_range(days_ago=365)) }})

select customer_id
from changed
union
select customer_id
from aged
