{{ config(meta={'key': ['customer_id'], 'joined_by': ['scope']}) }}

-- Grain: customer that is there at the as-of date. Its state, and the figures several indicators share.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('stg_sales__customers') }}),

ordered as (select * from {{ ref('int_customer_rhythms') }}),

arrears as (select * from {{ ref('int_customer_arrears') }}),

scopes as (select * from {{ ref('int_customer_scopes') }}),

revenues as (select * from {{ ref('int_customer_revenues') }}),

early as (
    select
        early.customer_id,
        run.as_of_date
    from {{ ref('int_customers_early') }} as early
    cross join run
),

early_orders as (
    select orders.customer_id
    from early
    cross join lateral (
        select customer_id
        from {{ ref('stg_sales__orders') }} as orders
        where orders.customer_id = early.customer_id and orders.ordered_on <= early.as_of_date
        {{ one_by_one() }}
    ) as orders
),

early_invoices as (
    select invoices.customer_id
    from early
    cross join lateral (
        select customer_id
        from {{ ref('stg_finance__invoices') }} as invoices
        where invoices.customer_id = early.customer_id
        {{ one_by_one() }}
    ) as invoices
),

-- A customer is there once it is on file, or has an order or invoice, be it cancelled or voided.
there_all_the_same as (
    select customer_id from early_orders
    union
    select customer_id from early_invoices
),

joined as (
    select
        customers.customer_id,
        customers.customer_name,
        customers.segment,
        customers.industry,
        customers.region,
        scopes.scope,
        customers.size,
        customers.customer_since,
        customers.owner_name,
        customers.owner_email,
        customers.merged_into_id,
        case
            when ordered.customer_id is null then 'prospect'
            when ordered.silence_days <= ordered.inactivity_limit_days then 'active'
            else 'lapsed'
        end as state,
        ordered.first_ordered_on,
        ordered.last_ordered_on,
        ordered.first_order_months_ago,
        coalesce(ordered.order_days, 0) as order_days,
        ordered.silence_days,
        ordered.usual_gap_days,
        case
            when run.data_sets @> array['sales.orders'] then coalesce(revenues.revenue_12m_amount, 0)
        end as revenue_12m_amount,
        case
            when run.data_sets @> array['finance.invoices', 'finance.payments']
                then coalesce(arrears.open_balance_amount, 0)
        end as open_balance_amount,
        coalesce(arrears.overdue_amount, 0) as overdue_amount,
        coalesce(arrears.oldest_overdue_days, 0) as oldest_overdue_days
    from customers
    inner join scopes on customers.customer_id = scopes.customer_id
    cross join run
    left join ordered on customers.customer_id = ordered.customer_id
    left join arrears on customers.customer_id = arrears.customer_id
    left join revenues on customers.customer_id = revenues.customer_id
    left join early on customers.customer_id = early.customer_id
    left join there_all_the_same on customers.customer_id = there_all_the_same.customer_id
    where early.customer_id is null or there_all_the_same.customer_id is not null
)

select
    joined.*,
    joined.state = 'active' or coalesce(joined.open_balance_amount > 0, false) as is_judged
from joined
