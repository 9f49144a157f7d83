-- One row a figure: what it is over all days of `compared` before and after a change, for levels 1 and 2, and the standard
-- error of the difference. A customer on several days is one piece of evidence (linearised variance, ultimate clusters).
with customers as (
    select
        customer_id,
        count(*) filter (where is_lost)::float8 as lost,
        coalesce(sum(revenue) filter (where is_lost), 0)::float8 as revenue,
        count(*) filter (where level_before <= 2)::float8 as warned_before,
        count(*) filter (where level <= 2)::float8 as warned_after,
        count(*) filter (where level_before <= 2 and is_lost)::float8 as caught_before,
        count(*) filter (where level <= 2 and is_lost)::float8 as caught_after,
        coalesce(sum(revenue) filter (where level_before <= 2 and is_lost), 0)::float8 as revenue_before,
        coalesce(sum(revenue) filter (where level <= 2 and is_lost), 0)::float8 as revenue_after
    from compared
    group by customer_id
),

-- Each figure is a ratio of sums; warnings a day have the days, of which every customer is given its part, below.
parts as (
    select 'precision' as name, caught_before as above_before, warned_before as below_before,
        caught_after as above_after, warned_after as below_after
    from customers
    union all
    select 'recall', caught_before, lost, caught_after, lost from customers
    union all
    select 'revenue_caught', revenue_before, revenue, revenue_after, revenue from customers
    union all
    select 'warnings_a_day', warned_before, days.part, warned_after, days.part
    from customers
    cross join (
        select count(distinct as_of_date)::float8 / nullif(count(distinct customer_id), 0) as part from compared
    ) as days
),

ratios as (
    select
        name,
        sum(below_before) as whole_before,
        sum(below_after) as whole_after,
        sum(above_before) / nullif(sum(below_before), 0) as before,
        sum(above_after) / nullif(sum(below_after), 0) as after,
        count(*)::float8 / nullif(count(*) - 1, 0) as spread
    from parts
    group by name
)

select
    ratios.name,
    ratios.before,
    ratios.after,
    ratios.after - ratios.before as difference,
    sqrt(
        ratios.spread * sum(
            power(
                (parts.above_after - ratios.after * parts.below_after) / nullif(ratios.whole_after, 0)
                - (parts.above_before - ratios.before * parts.below_before) / nullif(ratios.whole_before, 0),
                2
            )
        )
    ) as error
from parts
inner join ratios on parts.name = ratios.name
group by ratios.name, ratios.before, ratios.after, ratios.spread, ratios.whole_after, ratios.whole_before
order by ratios.name
