-- Returns before the cut-off.
with run as (select * from {{ ref('stg_ops__run') }}),

returned as (select * from {{ ref('base_sales__returns') }} where not _is_deleted)

select
    returned.customer_id,
    returned.return_id,
    returned.order_id,
    returned.product_id,
    returned.returned_on
from returned
inner join run on returned.returned_at < run.as_of_at
