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
        'clears': 'one of the last {months} closed months comes to at least {baseline_share} of the usual amount',
    },
    pre_hook="{{ delete_changed('int_closed_months_changed', ['customer_id']) }}"
) }}

-- 交易金额: amount a month, gross of returns, against the customer's own baseline.
{{ monthly_decline('order_amount') }}
