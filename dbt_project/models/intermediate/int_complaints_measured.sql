{{ config(meta={'key': ['customer_id']}) }}

-- Grain: active customer. Complaints an order by month and over the baseline, and complaints counted in days.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('int_customers') }} where state = 'active'),

months as (
    select
        months.*,
        months.complaint_count::numeric / nullif(months.order_count, 0) as complaint_ratio
    from {{ ref('int_customer_months') }} as months
),

tickets as (select * from {{ ref('stg_service__tickets') }} where kind = 'complaint'),

parameters as (
    {{ indicator_parameters('complaint_rate', ['months', 'baseline_months', 'min_baseline_months', 'count_days']) }}
),

counted as (
    select
        tickets.customer_id,
        count(*) filter (where tickets.opened_on > run.as_of_date - parameters.count_days::integer) as counted,
        count(*) filter (where tickets.opened_on > run.as_of_date - 90) as complaints_90d
    from tickets
    cross join run
    cross join parameters
    group by tickets.customer_id
),

-- A window month without orders has no rate, so the window has none: then fewer months than asked have one.
rated as (
    select
        customers.customer_id,
        customers.first_order_months_ago,
        min(months.complaint_ratio) filter (where months.months_ago <= parameters.months) as serious_rate,
        count(*) filter (where months.months_ago <= parameters.months and months.order_count > 0) as serious_months,
        min(months.complaint_ratio) filter (where months.months_ago <= parameters.watch_months) as watch_rate,
        sum(months.complaint_count) filter (where months.months_ago > parameters.months) as baseline_complaints,
        sum(months.order_count) filter (where months.months_ago > parameters.months) as baseline_orders,
        count(*) filter (where months.months_ago <= 6 and months.order_count > 0) as slope_months,
        {{ six_month_slope('months.complaint_ratio') }} as slope
    from customers
    cross join parameters
    left join months
        on customers.customer_id = months.customer_id
        and months.months_ago between 1 and customers.first_order_months_ago
        and (parameters.baseline_months = 0 or months.months_ago <= parameters.months + parameters.baseline_months)
    group by customers.customer_id, customers.first_order_months_ago
)

select
    rated.customer_id,
    case
        when rated.first_order_months_ago - parameters.months >= parameters.min_baseline_months
            then rated.first_order_months_ago - parameters.months
    end as baseline_month_count,
    rated.baseline_complaints / nullif(rated.baseline_orders, 0) as baseline_rate,
    case when rated.serious_months = parameters.months then round(rated.serious_rate, 6) end as serious_rate,
    round(rated.watch_rate, 6) as watch_rate,
    case when rated.slope_months = 6 then rated.slope end as slope,
    coalesce(counted.counted, 0) as counted,
    coalesce(counted.complaints_90d, 0) as complaints_90d
from rated
cross join parameters
left join counted on rated.customer_id = counted.customer_id
