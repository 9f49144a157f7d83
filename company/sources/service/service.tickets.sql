select
    ticket_no as ticket_id,
    customer_code as customer_id,
    type as kind,
    case priority
        when 'P1' then 'urgent'
        when 'P2' then 'high'
        when 'P3' then 'normal'
        when 'P4' then 'low'
        else priority
    end as priority,
    category,
    sentiment,
    product_code as product_id,
    opened_at,
    first_reply_at as first_responded_at,
    solved_at as resolved_at,
    updated_at,
    _file,
    _row,
from tickets
