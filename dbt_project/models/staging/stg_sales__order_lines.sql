-- Lines of orders. A line has no time of its own: it is there as soon as its order is.
with lines as (select * from {{ ref('base_sales__order_lines') }} where not _is_deleted)

select
    lines.customer_id,
    lines.order_id,
    lines.line_no,
    lines.product_id
from lines
