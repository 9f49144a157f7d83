{{ config(post_hook="{{ add_index('(order_id) where product_id is null') }}", meta={
    'key': ['customer_id', 'opened_on', 'ticket_id'],
    'record': ['ticket_id'],
    'columns': ['kind', 'priority', 'sentiment', 'order_id', 'product_id', 'opened_at', 'first_responded_at'],
    'dates': {'opened_on': 'opened_at'},
    'cell': "date_trunc('month', opened_on)::date",
    'found_by': ['opened_at'],
}) }}

-- Grain: ticket.
{{ newest_versions() }}
