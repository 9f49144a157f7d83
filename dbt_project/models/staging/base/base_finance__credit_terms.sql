{{ config(meta={
    'key': ['customer_id', 'valid_from'],
    'record': ['customer_id', 'valid_from'],
    'columns': ['credit_limit', 'payment_days', 'guarantee', 'is_restricted'],
    'cell': "''",
    'found_by': [],
}) }}

-- Grain: customer × day from which its terms hold.
{{ newest_versions() }}
