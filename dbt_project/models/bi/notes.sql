-- Published day × judged customer × indicator that breaches without being part of a warning: news for its department.
with published as (select * from {{ source('ops', 'publication') }}),

runs as (select * from {{ source('ops', 'run') }}),

levels as (select * from {{ ref('fct_customer_levels') }}),

indicator_values as (select * from {{ ref('fct_indicator_values') }})

select
    indicator_values.customer_id,
    published.as_of_date,
    indicator_values.run_id,
    levels.customer_name,
    levels.owner_name,
    levels.owner_email,
    indicator_values.indicator_code,
    indicator_values.department,
    indicator_values.state,
    not coalesce(before.state in ('serious', 'watch'), false) as is_new,
    indicator_values.value,
    indicator_values.baseline,
    indicator_values.threshold,
    indicator_values.unit,
    levels.money_at_risk_amount
from indicator_values
inner join published on indicator_values.run_id = published.run_id
inner join runs on indicator_values.run_id = runs.run_id
inner join levels
    on indicator_values.customer_id = levels.customer_id
    and indicator_values.run_id = levels.run_id
left join lateral (
    select before.states[array_position(earlier.indicator_codes, indicator_values.indicator_code)] as state
    from {{ ref('fct_customer_indicators') }} as before
    inner join runs as earlier on before.run_id = earlier.run_id
    where before.customer_id = indicator_values.customer_id and before.run_id = runs.previous_run_id
) as before on true
where
    indicator_values.state in ('serious', 'watch')
    and not indicator_values.indicator_code = any(levels.indicator_codes)
