{{ config(meta={
    'key': ['customer_id', 'scored_on'],
    'record': ['customer_id', 'scored_on'],
    'columns': ['probability', 'model_version'],
    'cell': "''",
    'found_by': [],
}) }}

-- Grain: customer × day on which a model scored it.
{{ newest_versions() }}
