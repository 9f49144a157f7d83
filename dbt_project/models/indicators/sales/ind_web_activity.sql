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
        'evidence': ['web visits'],
        'clears': 'one of the last {months} closed months has at least {baseline_share} of the usual visits',
    },
    pre_hook="{{ delete_changed('int_closed_months_changed', ['customer_id']) }}"
) }}

-- 浏览行为: visits of our pages a month against the customer's own baseline.
{{ monthly_decline('web_visit_count', has_least_baseline=true) }}
