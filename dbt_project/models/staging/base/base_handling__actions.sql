{{ config(meta={
    'key': ['customer_id', 'action_id'],
    'record': ['action_id'],
    'columns': ['case_id', 'taken_at', 'department', 'actor', 'outcome', 'follow_up_on', 'corrects_action_id'],
    'dates': {'taken_on': 'taken_at'},
    'cell': "''",
    'found_by': [],
}) }}

-- Grain: action that somebody took about a customer.
{{ newest_versions() }}
