{{ config(pre_hook="{{ delete_rows_of_this_run() }}", contract={'enforced': true}) }}

-- Grain: run × customer that was active on a day that ended a month and churned in its horizon, which had ended for
-- this run and for no run before. Was it warned of, and if not, which indicator came nearest (0002, 59).
with run as (select * from {{ ref('stg_ops__run') }}),

chain as (select * from {{ ref('int_runs_in_chain') }} where is_month_due),

followed as (select * from {{ ref('int_customers_followed') }} where is_churned),

lost as (
    select
        followed.*,
        levels.warning_level,
        levels.indicator_codes,
        levels.money_at_risk_amount,
        {{ is_service_fluctuation('levels') }} as is_service_fluctuation,
        levels.warning_level is not null and not {{ is_service_fluctuation('levels') }} as is_warned,
        array(
            select distinct indicators.department
            from {{ source('policy', 'indicators') }} as indicators
            where
                indicators.policy_hash = said.policy_hash
                and indicators.indicator_code = any(levels.indicator_codes)
            order by indicators.department
        ) as departments,
        said.indicator_codes as places,
        said.policy_hash
    from followed
    inner join chain on followed.run_id = chain.run_id
    inner join {{ source('ops', 'run') }} as said on followed.run_id = said.run_id
    inner join {{ ref('fct_customer_levels') }} as levels
        on followed.customer_id = levels.customer_id
        and followed.run_id = levels.run_id
),

near as (
    select
        lost.customer_id,
        lost.run_id,
        judged.code,
        judged.state,
        judged.value,
        judged.threshold,
        round(
            case indicators.direction
                when 'high' then judged.value / nullif(judged.threshold, 0)
                else judged.threshold / nullif(judged.value, 0)
            end, 6
        ) as nearness
    from lost
    inner join {{ ref('fct_customer_indicators') }} as customers
        on lost.customer_id = customers.customer_id
        and lost.run_id = customers.run_id
    cross join
        lateral unnest(lost.places, customers.states, customers.measured_values, customers.thresholds)
            as judged (code, state, value, threshold)
    inner join {{ source('policy', 'indicators') }} as indicators
        on lost.policy_hash = indicators.policy_hash
        and judged.code = indicators.indicator_code
    where
        not lost.is_warned
        and judged.state in ('watch', 'clear')
        and indicators.family not in ('market', 'model')
),

nearest as (
    select distinct on (customer_id, run_id) near.*
    from near
    where nearness is not null
    order by customer_id asc, run_id asc, state = 'watch' desc, nearness desc, code asc
)

select
    lost.customer_id,
    run.run_id,
    run.as_of_date,
    lost.run_id as seen_run_id,
    customers.as_of_date as active_on,
    lost.horizon_on,
    customers.customer_name,
    customers.segment,
    customers.owner_name,
    customers.owner_email,
    lost.policy_hash,
    lost.warning_level,
    lost.is_service_fluctuation,
    lost.is_warned,
    lost.indicator_codes,
    lost.departments,
    customers.last_ordered_on,
    customers.revenue_12m_amount,
    lost.money_at_risk_amount,
    lost.baseline_amount,
    lost.ordered_amount,
    nearest.code as nearest_indicator_code,
    nearest.value as nearest_value,
    nearest.threshold as nearest_threshold,
    nearest.nearness
from lost
cross join run
inner join {{ ref('dim_customers') }} as customers
    on lost.customer_id = customers.customer_id
    and lost.run_id = customers.run_id
left join nearest on lost.customer_id = nearest.customer_id and lost.run_id = nearest.run_id
