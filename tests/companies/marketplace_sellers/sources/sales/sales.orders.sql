-- The export says that an order was cancelled and not when. An order that never came about shall not count as demand on
-- any day, so it counts as cancelled from its first moment; the price is that a run for the days in between knows the
-- cancellation earlier than people did. "unavailable" is the marketplace's own word for goods that could not be had.
-- A cancelled order with a delivery date (six of them) was sent back: it stays cancelled.
select
    order_id,
    customer_id,
    ordered_at,
    amount,
    'BRL' as currency,
    promised_at,
    fulfilled_at,
    if(status in ('canceled', 'unavailable'), ordered_at, null) as cancelled_at,
    if(status = 'unavailable', 'us', null) as cancelled_by,
    _file,
    _row,
from orders
