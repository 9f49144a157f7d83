{{ config(meta={'key': ['customer_id']}) }}

-- Grain: judged customer. The level that the rules of this run give: the gravest that fired, all rules kept.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('int_customers') }} where is_judged),

fired as (select * from {{ ref('int_rules_fired') }}),

breached as (select * from {{ ref('int_indicators_breached') }}),

baselines as (
    select
        indicators.customer_id,
        indicators.baselines[array_position({{ all_codes() }}, 'order_amount')] as baseline_monthly_amount
    from {{ ref('fct_customer_indicators') }} as indicators
    inner join run on indicators.run_id = run.run_id
),

rules as (
    select
        customer_id,
        min(warning_level) as uncapped_level,
        array_agg(rule_code order by warning_level, rule_code) as rule_codes
    from fired
    group by customer_id
),

rested as (
    select
        fired.customer_id,
        source.code,
        fired.warning_level = rules.uncapped_level as is_gravest,
        fired.warning_level = rules.uncapped_level or breached.customer_id is not null as is_shown
    from fired
    inner join rules on fired.customer_id = rules.customer_id
    cross join lateral unnest(fired.source_codes) as source (code)
    left join breached on fired.customer_id = breached.customer_id and source.code = breached.indicator_code
),

sources as (
    select
        customer_id,
        array_agg(distinct code order by code) filter (where is_gravest) as source_codes,
        array_agg(distinct code order by code) filter (where is_shown) as indicator_codes
    from rested
    group by customer_id
)

select
    customers.customer_id,
    rules.uncapped_level,
    coalesce(rules.rule_codes, '{}'::text[]) as rule_codes,
    coalesce(sources.source_codes, '{}'::text[]) as source_codes,
    coalesce(sources.indicator_codes, '{}'::text[]) as indicator_codes,
    round(
        3 * coalesce(baselines.baseline_monthly_amount, 0) + coalesce(customers.open_balance_amount, 0), 2
    ) as money_at_risk_amount
from customers
left join rules on customers.customer_id = rules.customer_id
left join sources on customers.customer_id = sources.customer_id
left join baselines on customers.customer_id = baselines.customer_id
