{{ config(
    materialized='incremental',
    meta={'key': ['customer_id']},
    pre_hook="{{ delete_changed('int_closed_months_changed', ['customer_id']) }}"
) }}

-- 交易频率: orders a month against the customer's own baseline.
{{ monthly_decline('order_frequency', 'order_count') }}
