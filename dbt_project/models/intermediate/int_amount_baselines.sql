{{ config(
    materialized='incremental',
    meta={'key': ['customer_id']},
    pre_hook="{{ delete_changed('int_closed_months_changed', ['customer_id']) }}"
) }}

-- Grain: customer with an order. What a usual month's orders come to, for what is overdue to be held against.
with {{ closed_months('overdue_ratio', ['baseline_months', 'min_baseline_months']) }},

summed as (
    select
        customers.customer_id,
        customers.scope,
        customers.first_order_months_ago,
        coalesce(sum(months.order_amount), 0) as amount
    from customers
    inner join parameters on customers.scope = parameters.scope
    left join months
        on customers.customer_id = months.customer_id
        and months.months_ago <= coalesce(nullif(parameters.baseline_months, 0), months.months_ago)
    group by customers.customer_id, customers.scope, customers.first_order_months_ago
)

select
    summed.customer_id,
    {{ baseline('summed.amount', 'summed.first_order_months_ago') }} as baseline
from summed
inner join parameters on summed.scope = parameters.scope
