{{ config(materialized='view') }}

-- Grain: judged customer. Its raw level once no level holds more than its share of the active customers: the excess
-- drops one, who is silent for least first. A cap of 1 is none, and a few customers have no shares: no cap holds among
-- them. Who drops out of level 3 rests on nothing.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('int_customers') }}),

rated as (select * from {{ ref('int_customers_rated') }}),

caps as (
    select
        floor(nullif(run.level_1_cap, 1) * count(customers.customer_id)) as most_1,
        floor(nullif(run.level_2_cap, 1) * count(customers.customer_id)) as most_2,
        floor(nullif(run.level_3_cap, 1) * count(customers.customer_id)) as most_3
    from run
    left join customers on customers.state = 'active'
    group by run.level_1_cap, run.level_2_cap, run.level_3_cap, run.cap_min_customers
    having count(customers.customer_id) >= coalesce(run.cap_min_customers, 0) -- policies of before name none
),

dropped_from_0 as (
    select
        rated.customer_id,
        rated.uncapped_level as level,
        rated.money_at_risk_amount,
        customers.silence_days + round(customers.usual_gap_days, 6) as quiet_days
    from rated
    inner join customers on rated.customer_id = customers.customer_id
    where rated.uncapped_level is not null
)

{%- for level in [1, 2, 3] %},

ranked_{{ level }} as (
    select
        dropped.*,
        row_number() over (
            partition by dropped.level
            order by dropped.quiet_days desc nulls last, dropped.money_at_risk_amount desc, dropped.customer_id desc
        ) as place
    from dropped_from_{{ level - 1 }} as dropped
),

dropped_from_{{ level }} as (
    select
        ranked.customer_id,
        case
            when ranked.level = {{ level }} and ranked.place > caps.most_{{ level }} then ranked.level + 1
            else ranked.level
        end as level,
        ranked.money_at_risk_amount,
        ranked.quiet_days
    from ranked_{{ level }} as ranked
    left join caps on true
)
{%- endfor %}

select
    rated.customer_id,
    rated.uncapped_level,
    nullif(dropped.level, 4) as raw_level,
    rated.rule_codes,
    rated.money_at_risk_amount,
    case when dropped.level < 4 then rated.source_codes else '{}'::text[] end as source_codes,
    case when dropped.level < 4 then rated.indicator_codes else '{}'::text[] end as indicator_codes
from rated
left join dropped_from_3 as dropped on rated.customer_id = dropped.customer_id
