{{ config(
    materialized='incremental',
    meta={'key': ['customer_id']},
    pre_hook="{{ delete_changed('int_months_changed', ['customer_id']) }}"
) }}

-- Grain: customer with an order in the months that order_fulfilment looks at: how many it placed and cancelled.
with parameters as ({{ indicator_parameters('order_fulfilment', ['months']) }}),

scopes as (select * from {{ ref('int_customer_scopes') }}),

months as ({{ of_changed(ref('int_customer_months'), 'int_months_changed', ['customer_id']) }})

select
    months.customer_id,
    sum(months.order_count + months.cancelled_count) as placed,
    sum(months.cancelled_count) as cancelled
from months
inner join scopes on months.customer_id = scopes.customer_id
inner join parameters
    on scopes.scope = parameters.scope
    and months.months_ago between 0 and parameters.months
where months.order_count + months.cancelled_count > 0
group by months.customer_id
