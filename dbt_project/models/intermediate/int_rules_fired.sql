{{ config(meta={'key': ['customer_id', 'rule_code']}) }}

-- Grain: customer × level rule that fires in this run, with the indicators it rests on.
with run as (select * from {{ ref('stg_ops__run') }}),

rules as (
    select rules.*
    from {{ source('policy', 'level_rules') }} as rules
    inner join run on rules.policy_hash = run.policy_hash
),

conditions as (
    select
        conditions.*,
        array_position({{ all_codes() }}, conditions.indicator_code) as place,
        case when conditions.operator = '>=' and conditions.value = 'watch' then 'serious' end as graver_value,
        count(*) over (partition by conditions.rule_code) as condition_count
    from {{ source('policy', 'level_conditions') }} as conditions
    inner join run on conditions.policy_hash = run.policy_hash
),

customers as (
    select customers.*
    from {{ ref('fct_customer_indicators') }} as customers
    inner join run on customers.run_id = run.run_id
),

breached as (select * from {{ ref('int_indicators_breached') }}),

met as (
    select
        customers.customer_id,
        conditions.rule_code,
        conditions.indicator_code,
        conditions.condition_count
    from customers
    cross join conditions
    where
        case conditions.measure
            when 'state'
                then customers.states[conditions.place] in (conditions.value, conditions.graver_value)
            when conditions.indicator_code
                then {{ compares(
                    'customers.measured_values[conditions.place]', 'conditions.operator', 'conditions.value'
                ) }}
            else {{ compares(
                '(customers.measures[conditions.place] ->> conditions.measure)::numeric',
                'conditions.operator',
                'conditions.value'
            ) }}
        end
),

all_of as (
    select
        customer_id,
        rule_code,
        array_agg(distinct indicator_code order by indicator_code) as source_codes
    from met
    group by customer_id, rule_code, condition_count
    having count(*) = condition_count
),

counted as (
    select
        breached.customer_id,
        rules.rule_code,
        array_agg(breached.indicator_code order by breached.indicator_code) as source_codes
    from breached
    inner join rules
        on rules.kind = 'count_of'
        and (breached.state = 'serious' or rules.least_state = 'watch')
        and (breached.family = any(rules.among_families) or cardinality(rules.among_families) = 0)
        and (breached.is_key or not rules.only_key_indicators)
    group by
        breached.customer_id, rules.rule_code, rules.how_many, rules.families, rules.must_include_families
    having
        count(*) >= rules.how_many
        and count(distinct breached.family) >= rules.families
        and (
            cardinality(rules.must_include_families) = 0
            or bool_or(breached.family = any(rules.must_include_families))
        )
),

fired as (
    select * from all_of
    union all
    select * from counted
)

select
    fired.customer_id,
    fired.rule_code,
    rules.warning_level,
    fired.source_codes
from fired
inner join rules on fired.rule_code = rules.rule_code
