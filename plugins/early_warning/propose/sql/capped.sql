-- A level that holds more than its share of the active customers drops the excess by one, as int_levels_capped does, on
-- days with customers enough for shares.
with facts as (
    select
        replay.as_of_date,
        facts.*
    from ops.replayed_fact as facts
    inner join ops.replay as replay on facts.run_id = replay.run_id
    where replay.run_id = any(%(run_ids)s)
),

caps as (
    select
        as_of_date,
        floor(%(cap)s * count(*) filter (where is_active)) as most
    from facts
    group by as_of_date
    having count(*) filter (where is_active) >= %(least)s
),

ranked as (
    select
        levelled.customer_id,
        levelled.as_of_date,
        levelled.variant,
        row_number() over (
            partition by levelled.variant, levelled.as_of_date
            order by facts.quiet_days desc nulls last, facts.money_at_risk_amount desc, levelled.customer_id desc
        ) as place
    from levelled
    inner join facts on levelled.customer_id = facts.customer_id and levelled.as_of_date = facts.as_of_date
    where levelled.level = %(level)s and levelled.variant >= %(first)s
)

update levelled
set level = levelled.level + 1
from ranked
inner join caps on ranked.as_of_date = caps.as_of_date
where
    ranked.place > caps.most
    and levelled.customer_id = ranked.customer_id
    and levelled.as_of_date = ranked.as_of_date
    and levelled.variant = ranked.variant
