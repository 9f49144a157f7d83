{{ config(meta={
    'key': ['customer_id', 'order_id', 'line_no'],
    'record': ['order_id', 'line_no'],
    'columns': ['product_id'],
    'cell': 'order_id',
    'found_by': [],
}) }}

-- Grain: order line.
{{ newest_versions() }}
