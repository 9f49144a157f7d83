{{ config(pre_hook="{{ delete_rows_of_this_run() }}", contract={'enforced': true}) }}

-- Grain: run × judged customer, with every ind_ model there is side by side: active customers on all, others on what
-- they owe. A row an indicator is three times the bytes and many times the index; readers get those from
-- fct_indicator_values, to which ops.run tells whose place is whose. What can't be judged shows no figures.
with run as (select * from {{ ref('stg_ops__run') }}),

indicators as (
    select
        array_agg(indicators.indicator_code) as every_code,
        array_agg(indicators.indicator_code) filter (where indicators.family in ('arrears', 'credit')) as owing_codes
    from {{ source('policy', 'indicators') }} as indicators
    inner join run on indicators.policy_hash = run.policy_hash
),

customers as (
    select
        customers.customer_id,
        case when customers.state = 'active' then indicators.every_code else indicators.owing_codes end as codes
    from {{ ref('int_customers') }} as customers
    cross join indicators
    where customers.is_judged
)

select
    customers.customer_id,
    run.run_id,
    run.as_of_date,
    {{ side_by_side('state') }} as states,
    {{ side_by_side('unknown_reason') }} as unknown_reasons,
    {{ side_by_side('value', if_known=true) }} as measured_values,
    {{ side_by_side('baseline', if_known=true) }} as baselines,
    {{ side_by_side('threshold', if_known=true) }} as thresholds,
    {{ side_by_side('trend', if_known=true) }} as trends,
    {{ side_by_side('window_start', if_known=true) }} as window_starts,
    {{ side_by_side('window_end', if_known=true) }} as window_ends,
    {{ side_by_side('measures') }} as measures
from customers
cross join run
{%- for code in indicator_codes() %}
left join {{ ref('ind_' ~ code) }} as {{ code }}
    on customers.customer_id = {{ code }}.customer_id
    and '{{ code }}' = any(customers.codes)
{%- endfor %}
