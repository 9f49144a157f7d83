-- 交易频率: orders a month against the customer's own baseline.
{{ monthly_decline('order_frequency', 'order_count') }}
