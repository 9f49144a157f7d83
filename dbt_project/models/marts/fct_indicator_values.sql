{{ config(materialized='view') }}

-- Grain: run × judged customer × indicator it is judged on. fct_customer_indicators, a row each, with what the run's
-- policy says of the indicator; its own value is a measure too.
with runs as (select * from {{ source('ops', 'run') }}),

indicators as (select * from {{ source('policy', 'indicators') }}),

customers as (select * from {{ ref('fct_customer_indicators') }})

select
    customers.customer_id,
    customers.run_id,
    customers.as_of_date,
    judged.indicator_code,
    indicators.family,
    indicators.department,
    indicators.also_departments,
    judged.state,
    judged.unknown_reason,
    judged.value,
    judged.baseline,
    judged.threshold,
    {{ unit('judged', 'indicators.unit') }} as unit,
    judged.trend,
    judged.window_start,
    judged.window_end,
    case
        when judged.state = 'unknown' then judged.measures
        else judged.measures || jsonb_build_object(judged.indicator_code, judged.value)
    end as measures
from customers
inner join runs on customers.run_id = runs.run_id
cross join
    lateral
    unnest(
        runs.indicator_codes,
        customers.states,
        customers.unknown_reasons,
        customers.measured_values,
        customers.baselines,
        customers.thresholds,
        customers.trends,
        customers.window_starts,
        customers.window_ends,
        customers.measures
    )
        as judged (
            indicator_code,
            state,
            unknown_reason,
            value,
            baseline,
            threshold,
            trend,
            window_start,
            window_end,
            measures
        )
inner join indicators
    on runs.policy_hash = indicators.policy_hash
    and judged.indicator_code = indicators.indicator_code
where judged.state is not null
