{{ config(pre_hook="{{ delete_rows_of_this_run() }}", contract={'enforced': true}) }}

-- Grain: run × judged customer, with every ind_ model there is side by side: active customers on all, others on what
-- they owe. A row an indicator is three times the bytes and many times the index; readers get those from
-- fct_indicator_values, to which ops.run tells whose place is whose. What can't be judged shows no figures; where the
-- data set is missing or too old that is counted from, nobody is judged, whatever its model found.
with run as (select * from {{ ref('stg_ops__run') }}),

places as (
    select
        indicators.indicator_code,
        indicators.family in ('arrears', 'credit') as is_of_debtors,
        place.blind_reason,
        place.number
    from run
    cross join
        lateral unnest({{ all_codes() }}, run.blind_reasons) with ordinality as place (code, blind_reason, number)
    left join {{ source('policy', 'indicators') }} as indicators
        on run.policy_hash = indicators.policy_hash
        and place.code = indicators.indicator_code
),

indicators as (
    select
        array_agg(indicator_code) filter (where blind_reason is null) as every_code,
        array_agg(indicator_code) filter (where blind_reason is null and is_of_debtors) as owing_codes,
        array_agg(case when indicator_code is not null then blind_reason end order by number) as every_reason,
        array_agg(case when is_of_debtors then blind_reason end order by number) as owing_reasons
    from places
),

customers as (
    select
        customers.customer_id,
        case when customers.state = 'active' then indicators.every_code else indicators.owing_codes end as codes,
        case when customers.state = 'active' then indicators.every_reason else indicators.owing_reasons end
            as blind_reasons
    from {{ ref('int_customers') }} as customers
    cross join indicators
    where customers.is_judged
)

select
    customers.customer_id,
    run.run_id,
    run.as_of_date,
    {{ side_by_side_or_blind('state', "case when blind_reason is not null then 'unknown' end") }} as states,
    {{ side_by_side_or_blind('unknown_reason', 'blind_reason') }} as unknown_reasons,
    {{ side_by_side('value') }} as measured_values,
    {{ side_by_side('baseline') }} as baselines,
    {{ side_by_side('threshold') }} as thresholds,
    {{ side_by_side('trend') }} as trends,
    {{ side_by_side('window_start') }} as window_starts,
    {{ side_by_side('window_end') }} as window_ends,
    {{ side_by_side_or_blind('measures', "case when blind_reason is not null then '{}'::jsonb end") }} as measures
from customers
cross join run
{%- for code in indicator_codes() %}
left join {{ ref('ind_' ~ code) }} as {{ code }}
    on customers.customer_id = {{ code }}.customer_id
    and '{{ code }}' = any(customers.codes)
{%- endfor %}
