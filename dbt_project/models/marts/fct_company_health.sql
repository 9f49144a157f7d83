{{ config(pre_hook="{{ delete_rows_of_this_run() }}", contract={'enforced': true}) }}

-- Grain: run × segment of customers ('' for none), and the company. How many customers there are and leave, what they
-- are worth and owe, and how content they are (0002, 61).
with run as (select * from {{ ref('stg_ops__run') }}),

segments as (select * from {{ ref('int_health_counted') }}),

compared as (select as_of_date from {{ ref('int_runs_in_chain') }} where is_compared),

counted as (
    select
        'segment' as dimension,
        segments.*
    from segments
    union all
    select
        'all' as dimension,
        '' as segment,
        coalesce(sum(active_count), 0) as active_count,
        coalesce(sum(prospect_count), 0) as prospect_count,
        coalesce(sum(lapsed_count), 0) as lapsed_count,
        coalesce(sum(active_before_count), 0) as active_before_count,
        coalesce(sum(newly_lapsed_count), 0) as newly_lapsed_count,
        coalesce(sum(lapsed_12m_count), 0) as lapsed_12m_count,
        sum(revenue_12m_amount) as revenue_12m_amount,
        sum(active_revenue_amount) as active_revenue_amount,
        sum(open_balance_amount) as open_balance_amount,
        sum(csat_sum) as csat_sum,
        coalesce(sum(csat_count), 0) as csat_count,
        coalesce(sum(nps_count), 0) as nps_count,
        coalesce(sum(promoter_count), 0) as promoter_count,
        coalesce(sum(detractor_count), 0) as detractor_count,
        sum(invoiced_amount) as invoiced_amount,
        sum(overdue_to_30_amount) as overdue_to_30_amount,
        sum(overdue_to_60_amount) as overdue_to_60_amount,
        sum(overdue_to_90_amount) as overdue_to_90_amount,
        sum(overdue_over_90_amount) as overdue_over_90_amount
    from segments
),

delivered as (
    select
        data_sets @> array['finance.invoices', 'finance.payments'] as has_invoices,
        data_sets @> array['service.surveys'] as has_surveys
    from run
)

select
    counted.dimension,
    counted.segment,
    run.run_id,
    run.as_of_date,
    counted.active_count::bigint as active_count,
    counted.prospect_count::bigint as prospect_count,
    counted.lapsed_count::bigint as lapsed_count,
    compared.as_of_date as compared_on,
    case when compared.as_of_date is not null then counted.newly_lapsed_count end::bigint as newly_lapsed_count,
    round(counted.newly_lapsed_count::numeric / nullif(counted.active_before_count, 0), 6) as churn_ratio,
    counted.lapsed_12m_count::bigint as lapsed_12m_count,
    counted.revenue_12m_amount,
    round(
        counted.active_revenue_amount * (counted.active_count + counted.lapsed_12m_count)
        / nullif(counted.active_count * counted.lapsed_12m_count, 0), 2
    ) as customer_value_amount,
    round(counted.csat_sum / nullif(counted.csat_count, 0), 6) as csat_mean,
    case when delivered.has_surveys then counted.csat_count end::bigint as csat_count,
    round(100.0 * (counted.promoter_count - counted.detractor_count) / nullif(counted.nps_count, 0), 6) as nps,
    case when delivered.has_surveys then counted.nps_count end::bigint as nps_count,
    counted.open_balance_amount,
    case when delivered.has_invoices then counted.invoiced_amount end as invoiced_amount,
    round(counted.open_balance_amount * run.health_window_days / nullif(counted.invoiced_amount, 0), 6) as dso_days,
    case when delivered.has_invoices then counted.overdue_to_30_amount end as overdue_to_30_amount,
    case when delivered.has_invoices then counted.overdue_to_60_amount end as overdue_to_60_amount,
    case when delivered.has_invoices then counted.overdue_to_90_amount end as overdue_to_90_amount,
    case when delivered.has_invoices then counted.overdue_over_90_amount end as overdue_over_90_amount
from counted
cross join run
cross join delivered
left join compared on true
