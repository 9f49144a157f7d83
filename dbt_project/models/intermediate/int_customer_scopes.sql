{{ config(
    materialized='incremental',
    meta={'key': ['customer_id']},
    pre_hook="{{ remember_customers_moved(ref('int_customers_scoped')) }}"
) }}

-- Grain: customer. The scope that the kept tables count it by; kept too, so that one that moves to another is noticed.
with customers as (select * from {{ ref('int_customers_scoped') }})

select
    customers.customer_id,
    customers.scope
from customers
{%- if is_incremental() %}
where not exists (select from {{ this }} as kept where kept.customer_id = customers.customer_id)
{%- endif %}
