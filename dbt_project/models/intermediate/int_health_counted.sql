{{ config(meta={'key': ['segment']}) }}

-- Grain: segment of customers ('' for none). All that a company's health is counted from, each a sum (0002, 61).
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('int_customers') }}),

before as (
    select customers.customer_id
    from {{ ref('dim_customers') }} as customers
    inner join {{ ref('int_runs_in_chain') }} as chain on customers.run_id = chain.run_id and chain.is_compared
    where customers.state = 'active'
),

figures as (
    select
        customers.customer_id,
        coalesce(customers.segment, '') as segment,
        customers.state,
        before.customer_id is not null as was_active,
        customers.revenue_12m_amount,
        customers.open_balance_amount,
        customers.state = 'lapsed'
        and customers.last_ordered_on + floor(rhythms.inactivity_limit_days)::integer + 1 > run.as_of_date - 365
            as is_lapsed_12m
    from customers
    cross join run
    left join before on customers.customer_id = before.customer_id
    left join {{ ref('int_customer_rhythms') }} as rhythms on customers.customer_id = rhythms.customer_id
),

surveys as (
    select
        surveys.customer_id,
        sum(surveys.score) filter (where surveys.kind = 'csat') as csat_sum,
        count(*) filter (where surveys.kind = 'csat') as csat_count,
        count(*) filter (where surveys.kind = 'nps') as nps_count,
        count(*) filter (where surveys.kind = 'nps' and surveys.score >= 9) as promoter_count,
        count(*) filter (where surveys.kind = 'nps' and surveys.score <= 6) as detractor_count
    from {{ ref('stg_service__surveys') }} as surveys
    cross join run
    where surveys.answered_on >= run.health_window_start and surveys.answered_on <= run.as_of_date
    group by surveys.customer_id
),

invoiced as (
    select
        invoices.customer_id,
        sum(invoices.amount) as amount
    from {{ ref('stg_finance__invoices') }} as invoices
    cross join run
    where invoices.issued_on >= run.health_window_start and not invoices.is_voided
    group by invoices.customer_id
),

overdue as (
    select
        invoices.customer_id,
        sum(invoices.unpaid_amount) filter (where run.as_of_date - invoices.due_on <= 30) as to_30,
        sum(invoices.unpaid_amount) filter (where run.as_of_date - invoices.due_on between 31 and 60) as to_60,
        sum(invoices.unpaid_amount) filter (where run.as_of_date - invoices.due_on between 61 and 90) as to_90,
        sum(invoices.unpaid_amount) filter (where run.as_of_date - invoices.due_on > 90) as over_90
    from {{ ref('int_invoices_settled') }} as invoices
    cross join run
    where invoices.is_collectable and invoices.due_on < run.as_of_date
    group by invoices.customer_id
)

select
    figures.segment,
    count(*) filter (where figures.state = 'active') as active_count,
    count(*) filter (where figures.state = 'prospect') as prospect_count,
    count(*) filter (where figures.state = 'lapsed') as lapsed_count,
    count(*) filter (where figures.was_active) as active_before_count,
    count(*) filter (where figures.was_active and figures.state = 'lapsed') as newly_lapsed_count,
    count(*) filter (where figures.is_lapsed_12m) as lapsed_12m_count,
    sum(figures.revenue_12m_amount) as revenue_12m_amount,
    sum(figures.revenue_12m_amount) filter (where figures.state = 'active') as active_revenue_amount,
    sum(figures.open_balance_amount) as open_balance_amount,
    coalesce(sum(surveys.csat_sum), 0) as csat_sum,
    coalesce(sum(surveys.csat_count), 0)::bigint as csat_count,
    coalesce(sum(surveys.nps_count), 0)::bigint as nps_count,
    coalesce(sum(surveys.promoter_count), 0)::bigint as promoter_count,
    coalesce(sum(surveys.detractor_count), 0)::bigint as detractor_count,
    coalesce(sum(invoiced.amount), 0) as invoiced_amount,
    coalesce(sum(overdue.to_30), 0) as overdue_to_30_amount,
    coalesce(sum(overdue.to_60), 0) as overdue_to_60_amount,
    coalesce(sum(overdue.to_90), 0) as overdue_to_90_amount,
    coalesce(sum(overdue.over_90), 0) as overdue_over_90_amount
from figures
left join surveys on figures.customer_id = surveys.customer_id
left join invoiced on figures.customer_id = invoiced.customer_id
left join overdue on figures.customer_id = overdue.customer_id
group by figures.segment
