{{ config(meta={
    'key': ['customer_id', 'occurred_on', 'interaction_id'],
    'record': ['interaction_id'],
    'columns': ['channel', 'occurred_at'],
    'dates': {'occurred_on': 'occurred_at'},
    'cell': "date_trunc('month', occurred_on)::date",
    'found_by': ['occurred_at'],
}) }}

-- Grain: interaction.
{{ newest_versions() }}
