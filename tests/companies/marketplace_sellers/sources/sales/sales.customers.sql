select
    customer_id,
    name,
    segment,
    region,
    owner as owner_name,
    _file,
    _row,
from customers
