{{ config(meta={
    'key': ['customer_id', 'survey_id'],
    'record': ['survey_id'],
    'columns': ['kind', 'answered_at', 'score', 'scale_min', 'scale_max'],
    'dates': {'answered_on': 'answered_at'},
    'cell': "''",
    'found_by': ['answered_at'],
}) }}

-- Grain: answered survey.
{{ newest_versions() }}
