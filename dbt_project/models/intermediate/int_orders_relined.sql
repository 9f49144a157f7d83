{{ config(meta={'key': ['customer_id', 'order_id']}) }}

-- Grain: order of which a line came, changed or went.
with lines as ({{ changed_rows('base_sales__order_lines', ['customer_id', 'order_id']) }}),

cells_left as (select * from {{ source('ops', 'cell_left') }})

select
    customer_id,
    order_id
from lines
union
select
    customer_id,
    cell as order_id
from cells_left
where data_set = 'sales.order_lines'
