{{ config(
    materialized='incremental',
    meta={'key': ['customer_id']},
    pre_hook="{{ delete_changed('int_closed_months_changed', ['customer_id']) }}"
) }}

-- Grain: customer with an order. Negative feedback of a usual month, and where it tends. The window of days may touch
-- some closed months; the baseline ends before those.
with {{ closed_months('negative_feedback', ['window_days', 'baseline_months', 'min_baseline_months']) }},

windows as (
    select
        parameters.*,
        ceil(parameters.window_days / 28)::integer as months
    from parameters
),

summed as (
    select
        customers.customer_id,
        customers.scope,
        customers.first_order_months_ago,
        {{ over_baseline('negative_feedback_count') }} as amount,
        {{ six_month_slope('months.negative_feedback_count') }} as slope
    from customers
    inner join windows as parameters on customers.scope = parameters.scope
    left join months on customers.customer_id = months.customer_id
    group by customers.customer_id, customers.scope, customers.first_order_months_ago
),

compared as (
    select
        summed.*,
        {{ baseline('summed.amount', months_before_window('summed')) }} as baseline
    from summed
    inner join windows as parameters on summed.scope = parameters.scope
)

select
    customer_id,
    baseline,
    {{ trend('slope', 'baseline', 'high') }} as trend
from compared
