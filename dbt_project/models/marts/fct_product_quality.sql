{{ config(pre_hook="{{ delete_rows_of_this_run() }}", contract={'enforced': true}) }}

-- Grain: run × product, and run × category of products. What was complained about or came back lately, for every order
-- line, beside the days before; conspicuous is what does so clearly more often (某类产品频繁被投诉).
with run as (select * from {{ ref('stg_ops__run') }}),

products as (select * from {{ ref('int_products_counted') }}),

items as (
    select
        'product' as item_kind,
        product_id as item_id,
        product_name as item_name,
        products.*
    from products
    union all
    select
        'category' as item_kind,
        category as item_id,
        category as item_name,
        products.*
    from products
    where category is not null
),

summed as (
    select
        item_kind,
        item_id,
        item_name,
        category,
        sum(line_count) as line_count,
        sum(complaint_count) as complaint_count,
        sum(return_count) as return_count,
        sum(complaint_count + return_count) as problem_count,
        sum(baseline_line_count) as baseline_line_count,
        sum(baseline_complaint_count + baseline_return_count) as baseline_problem_count
    from items
    group by item_kind, item_id, item_name, category
),

rated as (
    select
        summed.*,
        round(problem_count / nullif(line_count, 0), 6) as rate,
        round(baseline_problem_count / nullif(baseline_line_count, 0), 6) as baseline_rate,
        round(problem_count * baseline_line_count / nullif(line_count * baseline_problem_count, 0), 6) as ratio
    from summed
),

compared as (
    select
        rated.*,
        round(run.product_factor * rated.baseline_problem_count / nullif(rated.baseline_line_count, 0), 6)
            as threshold_rate,
        least(rated.line_count, rated.baseline_line_count) >= run.product_min_lines as is_comparable,
        rated.problem_count >= run.product_min_problems as is_frequent
    from rated
    cross join run
)

select
    compared.item_kind,
    compared.item_id,
    run.run_id,
    run.as_of_date,
    compared.item_name,
    compared.category,
    run.product_window_start as window_start,
    run.product_baseline_start as baseline_start,
    case when run.data_sets @> array['sales.orders', 'sales.order_lines'] then compared.line_count end::bigint
        as line_count,
    case when run.data_sets @> array['service.tickets'] then compared.complaint_count end::bigint as complaint_count,
    case when run.data_sets @> array['sales.returns'] then compared.return_count end::bigint as return_count,
    compared.rate,
    compared.baseline_line_count::bigint as baseline_line_count,
    compared.baseline_problem_count::bigint as baseline_problem_count,
    compared.baseline_rate,
    compared.threshold_rate,
    compared.ratio,
    case when compared.is_comparable then compared.is_frequent and compared.rate > compared.threshold_rate end
        as is_conspicuous
from compared
cross join run
