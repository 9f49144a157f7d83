{{ config(meta={'key': ['customer_id']}) }}

-- Grain: customer whose survey answers have to be looked at anew: one came, went or passed.
with surveys as ({{ changed_rows('base_service__surveys', ['customer_id']) }}),

cells_left as (select * from {{ source('ops', 'cell_left') }}),

customers as (
    select customer_id
    from surveys
    union
    select customer_id
    from cells_left
    where data_set = 'service.surveys'
)

select customer_id
from customers
