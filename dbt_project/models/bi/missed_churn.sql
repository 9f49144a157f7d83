-- Customer that churned although no level was held on the last day of the month judged, and what came nearest to one.
with recursive {{ chain_of_the_newest() }}

select
    lost.customer_id,
    lost.active_on,
    lost.horizon_on,
    lost.customer_name,
    lost.segment,
    lost.owner_name,
    lost.owner_email,
    lost.policy_hash,
    lost.is_service_fluctuation,
    lost.last_ordered_on,
    lost.revenue_12m_amount,
    lost.money_at_risk_amount,
    lost.baseline_amount,
    lost.ordered_amount,
    lost.nearest_indicator_code,
    lost.nearest_value,
    lost.nearest_threshold,
    lost.nearness,
    lost.run_id as settled_run_id
from {{ ref('fct_lost_customers') }} as lost
inner join chain on lost.run_id = chain.run_id
where not lost.is_warned
