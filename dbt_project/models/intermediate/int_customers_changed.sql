{{ config(meta={'key': ['customer_id']}) }}

-- Grain: customer with a changed cell.
with changed as (select * from {{ ref('int_cells_changed') }})

select distinct customer_id
from changed
