-- One row a cohort by how often a customer has ordered, over all days: those in levels 1 and 2, and as many of the same
-- cohort and day that were silent for longest. So a policy that only knows old hands, or only newcomers, shows.
with cohorts (cohort, fewest, most) as (
    values ('1 order day', 1, 1), ('2 order days', 2, 2), ('3 to 9', 3, 9), ('10 or more', 10, 1000000)
),

placed_within as (
    select
        scored.as_of_date,
        cohorts.fewest,
        cohorts.cohort,
        scored.is_lost,
        scored.level <= 2 as is_warned,
        row_number() over (partition by scored.as_of_date, cohorts.cohort order by scored.recency_place) as place,
        count(*) filter (where scored.level <= 2) over (partition by scored.as_of_date, cohorts.cohort) as warned
    from scored
    inner join cohorts on scored.order_days between cohorts.fewest and cohorts.most
)

select
    cohort,
    count(*) as judged,
    count(*) filter (where is_lost) as churned,
    count(*) filter (where is_warned) as warned,
    count(*) filter (where is_warned and is_lost) as lost,
    count(*) filter (where place <= warned and is_lost) as recency_lost
from placed_within
group by cohort, fewest
order by fewest
