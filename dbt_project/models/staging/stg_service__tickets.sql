-- Tickets opened before the cut-off, as known then.
with run as (select * from {{ ref('stg_ops__run') }}),

tickets as (select * from {{ ref('base_service__tickets') }} where not _is_deleted)

select
    tickets.customer_id,
    tickets.ticket_id,
    tickets.kind,
    tickets.priority,
    tickets.order_id,
    tickets.product_id,
    coalesce(tickets.kind = 'feedback' and tickets.sentiment = 'negative', false) as is_negative_feedback,
    tickets.opened_at,
    tickets.opened_on,
    case when tickets.first_responded_at < run.as_of_at then tickets.first_responded_at end as first_responded_at
from tickets
inner join run on tickets.opened_at < run.as_of_at
