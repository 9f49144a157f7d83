-- One row a variant, over some days: the share lost of each level that holds anybody, gravest first, what levels 1 and 2
-- catch, and by how much more that is than the variant `now` catches and chance would add: a warning more counts for
-- what its customer's loss exceeds the share lost of everybody, so that warning more is no gain by itself. The standard
-- error of that gain takes customers as the pieces of evidence.
with days as (select * from scored where as_of_date = any(%(days)s)),

everybody as (
    select
        avg(is_lost::integer)::float8 as share_lost,
        count(distinct customer_id)::float8 as customers
    from days
),

asked as (select unnest(%(variants)s::integer[]) as variant),

touched as (
    select moved.customer_id, moved.as_of_date, moved.variant
    from moved
    inner join asked on moved.variant = asked.variant
    union
    select moved.customer_id, moved.as_of_date, asked.variant
    from moved
    cross join asked
    where moved.variant = %(now)s
),

compared as (
    select
        days.customer_id,
        touched.variant,
        days.is_lost,
        days.revenue,
        days.level as level_in_force,
        coalesce(tried.level, days.level) as level,
        coalesce(now.level, days.level) as level_now
    from touched
    inner join days on touched.customer_id = days.customer_id and touched.as_of_date = days.as_of_date
    left join moved as tried
        on (touched.customer_id, touched.as_of_date, touched.variant) = (tried.customer_id, tried.as_of_date, tried.variant)
    left join moved as now
        on (touched.customer_id, touched.as_of_date, %(now)s) = (now.customer_id, now.as_of_date, now.variant)
),

held as (
    select
        level,
        count(*) as warned,
        count(*) filter (where is_lost) as lost,
        coalesce(sum(revenue) filter (where is_lost), 0) as revenue
    from days
    group by level
),

counted as (
    select asked.variant, held.* from asked cross join held
    union all
    select
        compared.variant,
        side.level,
        sum(side.sign) as warned,
        coalesce(sum(side.sign) filter (where compared.is_lost), 0) as lost,
        coalesce(sum(side.sign * compared.revenue) filter (where compared.is_lost), 0) as revenue
    from compared
    cross join lateral unnest(array[compared.level, compared.level_in_force], array[1, -1]) as side (level, sign)
    group by compared.variant, side.level
),

summed as (
    select
        variant,
        level,
        sum(warned) as warned,
        sum(lost) as lost,
        sum(revenue) as revenue
    from counted
    group by variant, level
),

levels as (
    select
        variant,
        array_agg(level order by level) filter (where warned > 0) as levels_held,
        array_agg(lost / warned order by level) filter (where warned > 0) as shares_lost,
        coalesce(sum(warned) filter (where level <= 2), 0) as warned,
        coalesce(sum(lost) filter (where level <= 2), 0) as lost,
        coalesce(sum(revenue) filter (where level <= 2), 0) as revenue
    from summed
    group by variant
),

gains as (
    select
        compared.variant,
        compared.customer_id,
        sum(
            ((compared.level <= 2)::integer - (compared.level_now <= 2)::integer)
            * (compared.is_lost::integer - everybody.share_lost)
        ) as gain
    from compared
    cross join everybody
    group by compared.variant, compared.customer_id
),

errors as (
    select
        gains.variant,
        sum(gains.gain) as gain,
        sqrt(greatest(sum(gains.gain ^ 2) - sum(gains.gain) ^ 2 / everybody.customers, 0)
        * everybody.customers / nullif(everybody.customers - 1, 0)) as gain_error
    from gains
    cross join everybody
    group by gains.variant, everybody.customers
)

select
    levels.*,
    coalesce(errors.gain, 0) as gain,
    coalesce(errors.gain_error, 0) as gain_error
from levels
left join errors on levels.variant = errors.variant
