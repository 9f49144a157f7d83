-- Published day × customer that is there.
with published as (select * from {{ source('ops', 'publication') }}),

customers as (select * from {{ ref('dim_customers') }}),

levels as (select * from {{ ref('fct_customer_levels') }})

select
    customers.customer_id,
    published.as_of_date,
    customers.run_id,
    customers.customer_name as name,
    customers.segment,
    customers.industry,
    customers.region,
    customers.size,
    customers.customer_since,
    customers.owner_name,
    customers.owner_email,
    customers.merged_into_id,
    customers.state,
    customers.first_ordered_on,
    customers.last_ordered_on,
    customers.order_days,
    customers.usual_gap_days,
    customers.revenue_12m_amount,
    customers.open_balance_amount,
    levels.warning_level
from customers
inner join published on customers.run_id = published.run_id
left join levels on customers.customer_id = levels.customer_id and customers.run_id = levels.run_id
