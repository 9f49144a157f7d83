select
    ticket_id,
    customer_id,
    kind,
    opened_at,
    first_response_at as first_responded_at,
    resolved_at,
    _file,
    _row,
from tickets
