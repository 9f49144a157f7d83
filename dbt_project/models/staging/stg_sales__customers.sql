{{ config(materialized='table', meta={'key': ['customer_id']}) }}

-- One row a customer the sources know, with the newest attributes. Personal columns stop here. Rebuilt every run: it is
-- no larger than the snapshot that comes every day.
with batches as (select * from {{ ref('stg_ops__batches') }}),

customers as (select * from {{ source('landing', 'sales_customers') }}),

versions as (
    select
        customers.*,
        min(customers.customer_since) over (partition by customers.customer_id) as first_customer_since
    from customers
    inner join batches on customers._batch_id = batches.batch_id
),

newest as (
    select distinct on (customer_id) *
    from versions
    order by customer_id asc, updated_at desc nulls last, _batch_id desc
)

select
    customer_id,
    name as customer_name,
    segment,
    industry,
    region,
    size,
    first_customer_since as customer_since,
    owner_name,
    owner_email,
    merged_into_id
from newest
where not _is_deleted
