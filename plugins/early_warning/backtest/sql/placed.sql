-- The same rows once for each group of levels: whether the customer is in it, and whether it is among as many customers
-- put first by silence, or among the warned by money at risk.
create temporary table placed on commit drop as
with groups (name, gravest, mildest) as (
    values ('1', 1, 1), ('2', 2, 2), ('3', 3, 3), ('none', 4, 4), ('1-2', 1, 2), ('1-3', 1, 3)
),

sizes as (
    select
        scored.as_of_date,
        groups.name,
        groups.gravest,
        groups.mildest,
        count(*) filter (where scored.level between groups.gravest and groups.mildest) as warned
    from scored
    cross join groups
    group by scored.as_of_date, groups.name, groups.gravest, groups.mildest
)

select
    sizes.name,
    sizes.as_of_date,
    scored.customer_id,
    scored.is_lost,
    scored.revenue,
    scored.lead_days,
    scored.level between sizes.gravest and sizes.mildest as is_warned,
    scored.recency_place <= sizes.warned as is_recent,
    scored.money_place <= sizes.warned as is_dear
from sizes
inner join scored on sizes.as_of_date = scored.as_of_date
