{{ config(materialized='view') }}

-- Grain: customer with an order. Its usual gap between order days, and how long it may be silent before it has lapsed.
with run as (select * from {{ ref('stg_ops__run') }}),

ordered as (select * from {{ ref('int_customers_ordered') }}),

segments as (select * from {{ ref('int_segment_rhythms') }}),

gaps as (
    select
        ordered.*,
        (ordered.last_ordered_on - ordered.first_ordered_on + segments.pseudo_days)
        / (ordered.order_days + 1) as usual_gap_days
    from ordered
    inner join segments on ordered.segment is not distinct from segments.segment
)

select
    gaps.*,
    greatest(run.inactive_days, round(run.inactive_gap_multiple * gaps.usual_gap_days, 6)) as inactivity_limit_days
from gaps
cross join run
