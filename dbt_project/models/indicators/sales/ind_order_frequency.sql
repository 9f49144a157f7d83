{{ config(
    materialized='incremental',
    meta={
        'key': ['customer_id'],
        'parameters': {
            'baseline_share': 'less',
            'months': 'more',
            'baseline_months': 'same',
            'min_baseline_months': 'same',
        },
        'needs': ['sales.orders'],
        'evidence': ['orders'],
        'clears': 'one of the last {months} closed months has at least {baseline_share} of the usual orders',
    },
    pre_hook="{{ delete_changed('int_closed_months_changed', ['customer_id']) }}"
) }}

-- 交易频率: orders a month against the customer's own baseline.
{{ monthly_decline('order_count') }}
