{{ config(materialized='view') }}

-- Grain: customer with a complaint of late. Complaints counted in days.
with run as (select * from {{ ref('stg_ops__run') }}),

parameters as ({{ indicator_parameters('complaint_rate', ['count_days']) }}),

tickets as ({{ opened_of_late('greatest(parameters.count_days, 90)') }})

select
    tickets.customer_id,
    count(*) filter (where tickets.opened_on > run.as_of_date - parameters.count_days::integer) as counted,
    count(*) filter (where tickets.opened_on > run.as_of_date - 90) as complaints_90d
from tickets
cross join parameters
cross join run
where tickets.kind = 'complaint'
group by tickets.customer_id
