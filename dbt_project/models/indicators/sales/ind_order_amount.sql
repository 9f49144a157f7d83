{{ config(
    materialized='incremental',
    meta={'key': ['customer_id']},
    pre_hook="{{ delete_changed('int_closed_months_changed', ['customer_id']) }}"
) }}

-- 交易金额: amount a month, gross of returns, against the customer's own baseline.
{{ monthly_decline('order_amount', 'order_amount') }}
