{{ config(materialized='view') }}

-- Grain: customer with a complaint of late. Complaints counted in days.
with run as (select * from {{ ref('stg_ops__run') }}),

parameters as ({{ indicator_parameters('complaint_rate', ['count_days']) }}),

tickets as (
    select
        tickets.customer_id,
        run.as_of_date - tickets.opened_on as age_days,
        parameters.count_days
    from run
    cross join parameters
    cross join lateral ({{ tickets_of_last_days('greatest(parameters.count_days, 90)') }}) as tickets
    where tickets.kind = 'complaint'
)

select
    customer_id,
    count(*) filter (where age_days < count_days) as counted,
    count(*) filter (where age_days < 90) as complaints_90d
from tickets
group by customer_id
