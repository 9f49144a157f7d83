{{ config(materialized='view') }}

-- Grain: product that something happened to in the window or its baseline. Counts of both, and what the catalogue says.
with run as (select * from {{ ref('stg_ops__run') }}),

products as (select * from {{ ref('stg_sales__products') }}),

days as (
    select
        days.*,
        days.day >= run.product_window_start as is_in_window
    from run
    cross join lateral (
        select *
        from {{ ref('int_product_days') }}
        where day >= run.product_baseline_start
        {{ one_by_one() }}
    ) as days
),

counted as (
    select
        product_id,
        coalesce(sum(line_count) filter (where is_in_window), 0) as line_count,
        coalesce(sum(return_count) filter (where is_in_window), 0) as return_count,
        coalesce(sum(complaint_count) filter (where is_in_window), 0) as complaint_count,
        coalesce(sum(line_count) filter (where not is_in_window), 0) as baseline_line_count,
        coalesce(sum(return_count) filter (where not is_in_window), 0) as baseline_return_count,
        coalesce(sum(complaint_count) filter (where not is_in_window), 0) as baseline_complaint_count
    from days
    group by product_id
)

select
    counted.*,
    coalesce(products.product_name, counted.product_id) as product_name,
    products.category
from counted
left join products on counted.product_id = products.product_id
