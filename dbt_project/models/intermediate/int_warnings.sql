{{ config(meta={'key': ['customer_id']}) }}

-- Grain: customer that holds a level in this run. By when to react, whom it concerns, and who is not to be told: muted
-- by a person, or beyond what one owner is to be given at once.
with run as (select * from {{ ref('stg_ops__run') }}),

levels as (
    select levels.*
    from {{ ref('fct_customer_levels') }} as levels
    inner join run on levels.run_id = run.run_id
    where levels.warning_level is not null
),

customers as (select * from {{ ref('int_customers') }}),

indicators as (
    select indicators.*
    from {{ source('policy', 'indicators') }} as indicators
    inner join run on indicators.policy_hash = run.policy_hash
),

muted as (
    select distinct mutes.customer_id
    from {{ source('ops', 'mute') }} as mutes
    inner join run on mutes.run_id = run.run_id
),

concerned as (
    select
        levels.customer_id,
        array_agg(distinct indicators.department order by indicators.department) as departments,
        bool_or(indicators.family = 'demand') and bool_or(indicators.family = 'arrears') as is_joint
    from levels
    cross join lateral unnest(levels.indicator_codes) as rested (indicator_code)
    inner join indicators on rested.indicator_code = indicators.indicator_code
    group by levels.customer_id
),

ranked as (
    select
        levels.*,
        muted.customer_id is not null as is_muted,
        row_number() over (
            partition by levels.owner_email, muted.customer_id is not null
            order by
                levels.warning_level <> 1 asc,
                levels.money_at_risk_amount desc,
                levels.warning_level asc,
                levels.customer_id asc
        ) as place
    from levels
    left join muted on levels.customer_id = muted.customer_id
)

select
    ranked.customer_id,
    ranked.warning_level,
    ranked.indicator_codes,
    ranked.money_at_risk_amount,
    coalesce(concerned.departments, '{}'::text[]) as departments,
    coalesce(concerned.is_joint, false) as is_joint,
    customers.state = 'lapsed' as is_lapsed,
    ranked.is_muted,
    not ranked.is_muted and ranked.warning_level > 1 and coalesce(ranked.place > nullif(run.owner_budget, 0), false)
        as is_held_back,
    run.as_of_at + make_interval(hours => case ranked.warning_level
        when 1 then run.level_1_deadline_hours
        when 2 then run.level_2_deadline_hours
        else run.level_3_deadline_hours
    end) as deadline_at
from ranked
left join concerned on ranked.customer_id = concerned.customer_id
inner join customers on ranked.customer_id = customers.customer_id
cross join run
