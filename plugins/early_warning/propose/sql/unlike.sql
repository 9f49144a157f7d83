-- Grain: day × active customer to whom the rules in force, judged anew as the one variant at work, give another level than
-- its replay. There are none, or the two don't judge alike.
select
    scored.customer_id,
    scored.as_of_date,
    scored.level,
    levelled.level as level_anew
from scored
left join levelled on scored.customer_id = levelled.customer_id and scored.as_of_date = levelled.as_of_date
where scored.level <> case when levelled.is_fluctuation_alone then 4 else coalesce(levelled.level, 4) end
