-- One row a group of levels over all days: the standard errors of the share lost, and of its difference to that of as
-- many put first by silence. A customer that is warned on several days is one piece of evidence, not several: what is
-- summed and squared are customers (the linearised variance of a ratio, ultimate clusters).
with customers as (
    select
        name,
        customer_id,
        count(*) filter (where is_warned)::float8 as warned,
        count(*) filter (where is_warned and is_lost)::float8 as lost,
        count(*) filter (where is_recent)::float8 as recent,
        count(*) filter (where is_recent and is_lost)::float8 as recent_lost
    from placed
    group by name, customer_id
),

shares as (
    select
        name,
        sum(warned) as warned,
        count(*) filter (where warned > 0) as customers,
        count(*) filter (where warned > 0)::float8 / nullif(count(*) filter (where warned > 0) - 1, 0) as spread,
        sum(lost) / nullif(sum(warned), 0) as share,
        sum(recent_lost) / nullif(sum(recent), 0) as recency_share
    from customers
    group by name
),

residuals as (
    select
        customers.name,
        sum(power(customers.lost - shares.share * customers.warned, 2)) as of_share,
        sum(
            power(
                customers.lost - shares.share * customers.warned
                - (customers.recent_lost - shares.recency_share * customers.recent),
                2
            )
        ) as of_difference
    from customers
    inner join shares on customers.name = shares.name
    group by customers.name
)

-- Without spread, as of one customer alone, there is nothing to tell an error by.
select
    shares.name,
    shares.customers,
    shares.share,
    nullif(sqrt(residuals.of_share * shares.spread) / nullif(shares.warned, 0), 0) as share_error,
    nullif(sqrt(residuals.of_difference * shares.spread) / nullif(shares.warned, 0), 0) as difference_error
from residuals
inner join shares on residuals.name = shares.name
order by shares.name
