{{ config(meta={
    'key': ['customer_id', 'ordered_on', 'order_id'],
    'record': ['order_id'],
    'columns': ['amount', 'ordered_at', 'promised_at', 'fulfilled_at', 'cancelled_at', 'cancelled_by'],
    'dates': {'ordered_on': 'ordered_at', 'promised_on': 'promised_at'},
    'cell': "date_trunc('month', ordered_on)::date",
    'found_by': ['ordered_at', 'cancelled_at'],
}) }}

-- Grain: order.
{{ newest_versions() }}
