{{ config(meta={'key': ['segment_key']}) }}

-- Grain: segment, customers without one included. Two pseudo-orders' worth of days, 2 ÷ m, which shrinks a customer's
-- own gap towards the usual one; small segments take the company's. A small reference table.
with run as (select * from {{ ref('stg_ops__run') }}),

ordered as (select * from {{ ref('int_customers_ordered') }}),

segments as (
    select
        segment,
        count(*) as customers,
        sum(order_days) as order_days,
        sum(exposure_days) as exposure_days
    from ordered
    group by segment
),

company as (
    select 2.0 * sum(exposure_days) / sum(order_days) as pseudo_days
    from segments
)

select
    coalesce('segment ' || segments.segment, 'none') as segment_key,
    segments.segment,
    case
        when segments.customers >= run.min_segment_customers
            then 2.0 * segments.exposure_days / segments.order_days
        else company.pseudo_days
    end as pseudo_days
from segments
cross join company
cross join run
