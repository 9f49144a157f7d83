-- Grain: day × active customer × variant not judged before that gives it another level than the policy in force.
insert into moved (customer_id, as_of_date, variant, level)
with tried as (
    select
        customer_id,
        as_of_date,
        variant,
        case when is_fluctuation_alone then 4 else level end as level
    from levelled
)

select tried.*
from tried
inner join scored on tried.customer_id = scored.customer_id and tried.as_of_date = scored.as_of_date
where tried.level <> scored.level
