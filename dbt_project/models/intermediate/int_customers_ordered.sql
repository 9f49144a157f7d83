-- Grain: customer with an order. What its order days say, and its own usual gap between them.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('stg_sales__customers') }}),

months as (select * from {{ ref('int_customer_months') }} where order_count > 0),

days as (
    select
        months.customer_id,
        min(months.first_ordered_on) as first_ordered_on,
        max(months.last_ordered_on) as last_ordered_on,
        max(months.months_ago) as first_order_months_ago,
        sum(months.order_days)::integer as order_days
    from months
    group by months.customer_id
),

exposed as (
    select
        days.*,
        customers.segment,
        run.as_of_date - days.last_ordered_on as silence_days,
        run.as_of_date + 1 - days.first_ordered_on as exposure_days,
        run.min_segment_customers,
        run.inactive_days,
        run.inactive_gap_multiple
    from days
    inner join customers on days.customer_id = customers.customer_id
    cross join run
),

-- 2 ÷ m with m = Σ order days ÷ Σ exposure, of the segment or, where it is small, of the company.
shrunk as (
    select
        exposed.*,
        case
            when count(*) over (partition by segment) >= min_segment_customers
                then 2.0 * sum(exposure_days) over (partition by segment) / sum(order_days) over (partition by segment)
            else 2.0 * sum(exposure_days) over () / sum(order_days) over ()
        end as pseudo_days
    from exposed
),

rhythms as (
    select
        shrunk.*,
        (last_ordered_on - first_ordered_on + pseudo_days) / (order_days + 1) as usual_gap_days
    from shrunk
)

select
    customer_id,
    first_ordered_on,
    last_ordered_on,
    first_order_months_ago,
    order_days,
    silence_days,
    usual_gap_days,
    greatest(inactive_days, round(inactive_gap_multiple * usual_gap_days, 6)) as inactivity_limit_days
from rhythms
