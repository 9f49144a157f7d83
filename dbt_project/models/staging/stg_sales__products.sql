-- The catalogue as it is known today. So small that versions are sorted out when asked for.
with batches as (select * from {{ ref('stg_ops__batches') }}),

versions as (
    select products.*
    from {{ source('landing', 'sales_products') }} as products
    inner join batches on products._batch_id = batches.batch_id
),

newest as (
    select distinct on (product_id) *
    from versions
    order by product_id asc, updated_at desc nulls last, _batch_id desc
)

select
    product_id,
    name as product_name,
    category
from newest
where not _is_deleted
