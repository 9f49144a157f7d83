-- Grain: day × judged customer × rule not judged before that fires. It says what int_rules_fired says; a test holds the
-- two together.
insert into fired (customer_id, as_of_date, rule_number)
with rules as (select * from tried_rules where rule_number >= %(first)s),

conditions as (
    select
        conditions.*,
        case when conditions.operator = '>=' and conditions.state = 'watch' then 'serious' end as graver_state,
        count(*) over (partition by conditions.rule_number) as condition_count
    from tried_conditions as conditions
    inner join rules on conditions.rule_number = rules.rule_number
),

met as (
    select
        measured.customer_id,
        measured.as_of_date,
        conditions.rule_number,
        conditions.condition_count
    from conditions
    inner join measured
        on conditions.indicator_code = measured.indicator_code
        and conditions.measure = measured.measure
        and case conditions.operator
            when '>=' then measured.value >= conditions.threshold
            when '>' then measured.value > conditions.threshold
            when '<=' then measured.value <= conditions.threshold
            when '<' then measured.value < conditions.threshold
            when '=' then measured.value = conditions.threshold
        end
    union all
    select
        breached.customer_id,
        breached.as_of_date,
        conditions.rule_number,
        conditions.condition_count
    from conditions
    inner join breached
        on conditions.measure = 'state'
        and conditions.indicator_code = breached.indicator_code
        and breached.state in (conditions.state, conditions.graver_state)
),

all_of as (
    select
        customer_id,
        as_of_date,
        rule_number
    from met
    group by customer_id, as_of_date, rule_number, condition_count
    having count(*) = condition_count
),

indicators as (select * from policy.indicators where policy_hash = %(policy_hash)s),

counted as (
    select
        breached.customer_id,
        breached.as_of_date,
        rules.rule_number
    from breached
    inner join indicators on breached.indicator_code = indicators.indicator_code
    inner join rules
        on rules.kind = 'count_of'
        and (breached.state = 'serious' or rules.least_state = 'watch')
        and (indicators.family = any(rules.among_families) or cardinality(rules.among_families) = 0)
        and (indicators.is_key or not rules.only_key_indicators)
    group by
        breached.customer_id,
        breached.as_of_date,
        rules.rule_number,
        rules.how_many,
        rules.families,
        rules.must_include_families
    having
        count(*) >= rules.how_many
        and count(distinct indicators.family) >= rules.families
        and (
            cardinality(rules.must_include_families) = 0
            or bool_or(indicators.family = any(rules.must_include_families))
        )
)

select * from all_of
union all
select * from counted
