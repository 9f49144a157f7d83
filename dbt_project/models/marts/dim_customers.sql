{{ config(pre_hook="{{ delete_rows_of_this_run() }}", contract={'enforced': true}) }}

-- Grain: run × customer. Who the customer was, and in which state, when this run looked.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('int_customers') }})

select
    customers.customer_id,
    run.run_id,
    run.as_of_date,
    customers.customer_name,
    customers.segment,
    customers.industry,
    customers.region,
    customers.size,
    customers.customer_since,
    customers.owner_name,
    customers.owner_email,
    customers.merged_into_id,
    customers.state,
    customers.is_judged,
    customers.first_ordered_on,
    customers.last_ordered_on,
    customers.order_days,
    round(customers.usual_gap_days, 6) as usual_gap_days,
    customers.revenue_12m_amount,
    customers.open_balance_amount
from customers
cross join run
