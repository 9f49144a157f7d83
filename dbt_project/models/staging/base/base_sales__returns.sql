{{ config(post_hook="{{ add_index('(order_id) where product_id is null') }}", meta={
    'key': ['customer_id', 'returned_on', 'return_id'],
    'record': ['return_id'],
    'columns': ['order_id', 'product_id', 'returned_at', 'amount'],
    'dates': {'returned_on': 'returned_at'},
    'cell': "date_trunc('month', returned_on)::date",
    'found_by': ['returned_at'],
}) }}

-- Grain: return.
{{ newest_versions() }}
