{{ config(meta={'key': ['customer_id'], 'all_if': 'is_all_changed'}) }}

-- Grain: customer whose closed months have to be looked at anew. What changed today is nearly always the open month,
-- which matters only to who had no order before it: a first order has come, or gone. All when the month or the policy
-- has changed, since every window then ends elsewhere.
with run as (select * from {{ ref('stg_ops__run') }}),

changed as (select * from {{ ref('int_customers_changed') }}),

cells as (select * from {{ ref('int_cells_changed') }}),

histories as (select * from {{ ref('int_order_histories') }}),

moved as ({{ customers_moved() }})

select changed.customer_id
from changed
cross join run
left join histories on changed.customer_id = histories.customer_id
where
    coalesce(histories.first_ordered_on >= run.open_month, true)
    or exists (select from cells where cells.customer_id = changed.customer_id and cells.month < run.open_month)
union
select histories.customer_id
from histories
where (select run.is_all_changed from run)
union
select customer_id
from moved
