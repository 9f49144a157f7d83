{{ config(
    materialized='incremental',
    meta={'key': ['customer_id']},
    pre_hook="{{ delete_changed('int_customers_changed', ['customer_id']) }}"
) }}

-- Grain: customer with an order. Complaints an order, by month of the window and over the baseline.
with run as (select * from {{ ref('stg_ops__run') }}),

histories as ({{ of_changed(ref('int_order_histories'), 'int_customers_changed', ['customer_id']) }}),

months as (
    select
        months.*,
        months.complaint_count::numeric / nullif(months.order_count, 0) as complaint_ratio
    from ({{ of_changed(ref('int_customer_months'), 'int_customers_changed', ['customer_id']) }}) as months
),

parameters as (
    {{ indicator_parameters('complaint_rate', ['months', 'baseline_months', 'min_baseline_months']) }}
),

customers as (
    select
        histories.customer_id,
        {{ months_ago('histories.first_ordered_on') }} as first_order_months_ago
    from histories
    cross join run
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
    case when rated.slope_months = 6 then rated.slope end as slope
from rated
cross join parameters
