-- The scored customers by the level that another policy gave them, and by that of the one on trial.
create temporary table compared on commit drop as
select
    scored.customer_id,
    scored.as_of_date,
    coalesce(before.level, 4) as level_before,
    scored.level,
    scored.is_lost,
    scored.revenue
from scored
left join (
    select
        replay.as_of_date,
        customers.*
    from ops.replayed_customer as customers
    inner join ops.replay as replay on customers.run_id = replay.run_id
    where replay.run_id = any(%(before)s)
) as before
    on scored.customer_id = before.customer_id and scored.as_of_date = before.as_of_date
