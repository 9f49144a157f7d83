{{ config(
    materialized='incremental',
    meta={'key': ['customer_id']},
    pre_hook="{{ delete_changed('int_closed_months_changed', ['customer_id']) }}"
) }}

-- Grain: customer with an order. Complaints an order, by month of the window against the baseline, and what that says.
-- Kept from day to day, since closed months seldom change.
with
{{ closed_months('complaint_rate', ['baseline_factor', 'months', 'baseline_months', 'min_baseline_months']) }},

-- A window month without orders has no rate, so the window has none: then fewer months than asked have one.
rated as (
    select
        customers.customer_id,
        customers.scope,
        customers.first_order_months_ago,
        {{ lowest_ratio('complaint_count', 'order_count', 'months') }} as serious_rate,
        {{ lowest_ratio('complaint_count', 'order_count', 'watch_months') }} as watch_rate,
        count(*) filter (where months.months_ago <= parameters.months and months.order_count > 0) as serious_months,
        {{ over_baseline('complaint_count') }} as baseline_complaints,
        {{ over_baseline('order_count') }} as baseline_orders,
        {{ six_month_slope_of_ratio('complaint_count', 'order_count') }} as slope
    from customers
    inner join parameters on customers.scope = parameters.scope
    left join months on customers.customer_id = months.customer_id
    group by customers.customer_id, customers.scope, customers.first_order_months_ago
),

compared as (
    select
        rated.customer_id,
        rated.scope,
        {{ has_baseline(months_before_window('rated')) }} as has_baseline,
        rated.baseline_complaints / nullif(rated.baseline_orders, 0) as baseline_rate,
        case when rated.serious_months = parameters.months then round(rated.serious_rate, 6) end as serious_rate,
        round(rated.watch_rate, 6) as watch_rate,
        rated.slope
    from rated
    inner join parameters on rated.scope = parameters.scope
),

judged as (
    select
        compared.*,
        case
            when not compared.has_baseline then 'short_history'
            when compared.baseline_rate is null or compared.serious_rate is null then 'no_base'
            when compared.baseline_rate = 0 and compared.watch_rate > 0 then 'no_base'
        end as unknown_reason,
        round(parameters.baseline_factor * compared.baseline_rate, 6) as serious_threshold,
        round(parameters.watch_baseline_factor * compared.baseline_rate, 6) as watch_threshold
    from compared
    inner join parameters on compared.scope = parameters.scope
)

select
    customer_id,
    case
        when unknown_reason is not null then 'unknown'
        when serious_rate > serious_threshold then 'serious'
        when watch_rate > watch_threshold then 'watch'
        else 'clear'
    end as rate_state,
    unknown_reason as rate_unknown_reason,
    serious_rate,
    watch_rate,
    round(baseline_rate, 6) as baseline_rate,
    serious_threshold,
    watch_threshold,
    {{ trend('slope', 'baseline_rate', 'high') }} as trend
from judged
