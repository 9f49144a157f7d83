-- 交易金额: amount a month, gross of returns, against the customer's own baseline.
{{ monthly_decline('order_amount', 'order_amount') }}
