{{ config(meta={'key': ['customer_id']}) }}

-- Grain: customer on file only since a day after this run's. Few; a table, so that their orders are looked up singly.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('stg_sales__customers') }})

select customers.customer_id
from customers
inner join run on customers.customer_since > run.as_of_date
