-- Last published day of each month × segment, and the company.
with published as (select * from {{ source('ops', 'publication') }}),

health as (select * from {{ ref('fct_company_health') }})

select
    date_trunc('month', published.as_of_date)::date as month,
    published.as_of_date,
    health.run_id,
    health.dimension,
    case when health.dimension = 'segment' then nullif(health.segment, '') end as segment,
    health.active_count,
    health.prospect_count,
    health.lapsed_count,
    health.compared_on,
    health.newly_lapsed_count,
    health.churn_ratio,
    health.lapsed_12m_count,
    health.revenue_12m_amount,
    health.customer_value_amount,
    health.csat_mean,
    health.csat_count,
    health.nps,
    health.nps_count,
    health.open_balance_amount,
    health.invoiced_amount,
    health.dso_days,
    health.overdue_to_30_amount,
    health.overdue_to_60_amount,
    health.overdue_to_90_amount,
    health.overdue_over_90_amount
from health
inner join published on health.run_id = published.run_id
left join {{ source('ops', 'publication') }} as later
    on published.as_of_date < later.as_of_date
    and date_trunc('month', published.as_of_date) = date_trunc('month', later.as_of_date)
where later.as_of_date is null
