-- Published day × product or category of products.
with published as (select * from {{ source('ops', 'publication') }}),

quality as (select * from {{ ref('fct_product_quality') }})

select
    published.as_of_date,
    quality.run_id,
    quality.item_kind,
    quality.item_id,
    quality.item_name,
    quality.category,
    quality.window_start,
    quality.baseline_start,
    quality.line_count,
    quality.complaint_count,
    quality.return_count,
    quality.rate,
    quality.baseline_line_count,
    quality.baseline_problem_count,
    quality.baseline_rate,
    quality.threshold_rate,
    quality.ratio,
    quality.is_conspicuous
from quality
inner join published on quality.run_id = published.run_id
