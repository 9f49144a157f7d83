-- What chosen variants make of the days they are judged on, beside the policy in force: a row a day and active customer.
create temporary table compared on commit drop as
select
    scored.customer_id,
    scored.as_of_date,
    scored.level as level_before,
    coalesce(moved.level, scored.level) as level,
    scored.is_lost,
    scored.revenue
from unnest(%(days)s::date[], %(variants)s::integer[]) as chosen (as_of_date, variant)
inner join scored on chosen.as_of_date = scored.as_of_date
left join moved
    on scored.customer_id = moved.customer_id
    and scored.as_of_date = moved.as_of_date
    and chosen.variant = moved.variant
