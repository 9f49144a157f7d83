-- Published day × judged customer × indicator, all states.
with published as (select * from {{ source('ops', 'publication') }}),

indicator_values as (select * from {{ ref('fct_indicator_values') }})

select
    indicator_values.customer_id,
    published.as_of_date,
    indicator_values.run_id,
    indicator_values.indicator_code,
    indicator_values.family,
    indicator_values.department,
    indicator_values.state,
    indicator_values.unknown_reason,
    indicator_values.value,
    indicator_values.baseline,
    indicator_values.threshold,
    indicator_values.unit,
    indicator_values.trend,
    indicator_values.window_start,
    indicator_values.window_end,
    indicator_values.measures
from indicator_values
inner join published on indicator_values.run_id = published.run_id
