{{ config(
    materialized='incremental',
    meta={
        'key': ['customer_id'],
        'parameters': {
            'baseline_share': 'less',
            'months': 'more',
            'least_baseline': 'same',
            'baseline_months': 'same',
            'min_baseline_months': 'same',
        },
        'needs': ['sales.interactions'],
        'evidence': ['contacts'],
        'clears': 'one of the last {months} closed months has at least {baseline_share} of the usual contacts',
    },
    pre_hook="{{ delete_changed('int_closed_months_changed', ['customer_id']) }}"
) }}

-- 互动频率: calls, mails, visits, social contacts and inquiries a month against the customer's own baseline.
{{ monthly_decline('interaction_count', has_least_baseline=true) }}
