-- The catalogue as it is known today.
with newest as ({{ newest_of_few('sales_products', 'product_id') }})

select
    product_id,
    name as product_name,
    category
from newest
where not _is_deleted
