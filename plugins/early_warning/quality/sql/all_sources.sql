-- One row a data set that some source promises: the rows that landed in this run, and those of customers that
-- sales.customers (its newest snapshot, or all it ever appended) lacks.
select
    promised.data_set,
    promised.max_quarantine_share as max_orphan_share,
    landed.rows,
    landed.orphans,
    round(landed.orphans::numeric / landed.rows, 6) as orphan_share,
    case
        when landed.orphans <= promised.max_quarantine_share * landed.rows then landed.orphans
    end as orphans_within_limit,
    landed.example,
    case when promised.data_set = 'sales.customers' then known.customers end as known_customers
from (values {promised}) as promised (data_set, max_quarantine_share)
cross join (select count(distinct customer_id) as customers from ({known_customers}) as customer) as known
left join (
    select
        arrival.data_set,
        count(*) as rows,
        count(*) filter (where customer.customer_id is null) as orphans,
        min(
            concat_ws(' in ', arrival.customer_id, arrival._source_file || coalesce(' row ' || arrival._source_row, ''))
        ) filter (where customer.customer_id is null) as example
    from ({landed_rows}) as arrival
    left join (select distinct customer_id from ({known_customers}) as customer) as customer
        on arrival.customer_id = customer.customer_id
    group by arrival.data_set
) as landed on promised.data_set = landed.data_set
