{{ config(meta={
    'key': ['customer_id', 'signal_id'],
    'record': ['signal_id'],
    'columns': ['observed_on', 'competitor', 'has_customer_interest'],
    'cell': "''",
    'found_by': ['observed_on'],
}) }}

-- Grain: sign of a competitor at a customer.
{{ newest_versions() }}
