{{ config(pre_hook="{{ delete_rows_of_this_run() }}", contract={'enforced': true}) }}

-- Grain: run × judged customer × indicator, every ind_ model there is: active customers on all, others on what they
-- owe. What can't be judged shows no figures; otherwise its own value is a measure too.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('int_customers') }} where is_judged),

indicators as (select * from {{ source('policy', 'indicators') }}),

unioned as (
    {% for code in indicator_codes() -%}
    select
        customer_id,
        '{{ code }}' as indicator_code,
        state,
        unknown_reason,
        value,
        baseline,
        threshold,
        trend,
        window_start,
        window_end,
        measures
    from {{ ref('ind_' ~ code) }}
    {{ "union all" if not loop.last }}
    {% endfor %}
)

select
    unioned.customer_id,
    run.run_id,
    run.as_of_date,
    unioned.indicator_code,
    indicators.family,
    indicators.department,
    unioned.state,
    unioned.unknown_reason,
    case when unioned.state <> 'unknown' then unioned.value end as value,
    case when unioned.state <> 'unknown' then unioned.baseline end as baseline,
    case when unioned.state <> 'unknown' then unioned.threshold end as threshold,
    indicators.unit,
    case when unioned.state <> 'unknown' then unioned.trend end as trend,
    case when unioned.state <> 'unknown' then unioned.window_start end as window_start,
    case when unioned.state <> 'unknown' then unioned.window_end end as window_end,
    unioned.measures || case
        when unioned.state <> 'unknown' then jsonb_build_object(unioned.indicator_code, unioned.value)
        else '{}'::jsonb
    end as measures
from unioned
cross join run
inner join indicators
    on unioned.indicator_code = indicators.indicator_code
    and run.policy_hash = indicators.policy_hash
inner join customers
    on unioned.customer_id = customers.customer_id
    and (customers.state = 'active' or indicators.family in ('arrears', 'credit'))
