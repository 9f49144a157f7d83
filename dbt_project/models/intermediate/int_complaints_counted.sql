{{ config(materialized='view') }}

-- Grain: customer with a complaint of late. Complaints counted in days; looked up for the longest window of any scope.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('int_customers') }}),

parameters as ({{ indicator_parameters('complaint_rate', ['count_days']) }}),

windows as (
    select greatest(max(count_days), 90) as days
    from parameters
),

tickets as (
    select
        tickets.customer_id,
        run.as_of_date - tickets.opened_on as age_days
    from run
    cross join windows
    cross join lateral ({{ tickets_of_last_days('windows.days') }}) as tickets
    where tickets.kind = 'complaint'
)

select
    tickets.customer_id,
    count(*) filter (where tickets.age_days < parameters.count_days) as counted,
    count(*) filter (where tickets.age_days < 90) as complaints_90d
from tickets
inner join customers on tickets.customer_id = customers.customer_id
inner join parameters on customers.scope = parameters.scope
group by tickets.customer_id
