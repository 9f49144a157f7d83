{{ config(meta={'key': ['customer_id'], 'all_if': 'is_all_changed'}) }}

-- Grain: customer whose months have to be summed anew, the open one included. All when the month or the policy has
-- changed, since every window then begins elsewhere.
with run as (select * from {{ ref('stg_ops__run') }}),

changed as (select * from {{ ref('int_customers_changed') }}),

cells as (select * from {{ ref('int_customer_cells') }}),

moved as ({{ customers_moved() }})

select customer_id
from changed
union
select cells.customer_id
from cells
where (select run.is_all_changed from run)
union
select customer_id
from moved
