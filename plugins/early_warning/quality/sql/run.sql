-- One row: the population that a run would publish, beside that of the run before it.
select
    today.customers,
    today.ever_ordered,
    today.active,
    before.customers as customers_before,
    before.active as active_before,
    round(1 - today.customers::numeric / nullif(before.customers, 0), 4) as customers_lost_share,
    round(1 - today.active::numeric / nullif(before.active, 0), 4) as active_lost_share,
    level.judged,
    level.unjudged_active,
    level.strangers,
    round(level.level_1::numeric / nullif(today.active, 0), 4) as level_1_share,
    round(level.level_2::numeric / nullif(today.active, 0), 4) as level_2_share,
    round(indicator.unknown::numeric / nullif(indicator.measured, 0), 4) as unknown_share,
    round(
        indicator.unknown::numeric / nullif(indicator.measured, 0)
        - indicator_before.unknown::numeric / nullif(indicator_before.measured, 0),
        4
    ) as unknown_share_rise
from (select run_id, previous_run_id from ops.run where run_id = {run_id}) as run
cross join lateral (
    select
        count(*) as customers,
        count(*) filter (where state <> 'prospect') as ever_ordered,
        count(*) filter (where state = 'active') as active
    from marts.dim_customers
    where dim_customers.run_id = run.run_id
) as today
cross join lateral (
    select count(*) as customers, count(*) filter (where state = 'active') as active
    from marts.dim_customers
    where dim_customers.run_id = run.previous_run_id
) as before
cross join (
    select
        count(level.customer_id) as judged,
        count(*) filter (where customer.state = 'active' and level.customer_id is null) as unjudged_active,
        count(*) filter (where customer.customer_id is null) as strangers,
        count(*) filter (where customer.state = 'active' and level.warning_level = 1) as level_1,
        count(*) filter (where customer.state = 'active' and level.warning_level = 2) as level_2
    from (select customer_id, state from marts.dim_customers where run_id = {run_id}) as customer
    full join (
        select customer_id, warning_level from marts.fct_customer_levels where run_id = {run_id}
    ) as level on customer.customer_id = level.customer_id
) as level
cross join lateral (
    select
        sum(cardinality(array_remove(states, null))) as measured,
        sum(cardinality(array_positions(states, 'unknown'))) as unknown
    from marts.fct_customer_indicators
    where fct_customer_indicators.run_id = run.run_id
) as indicator
cross join lateral (
    select
        sum(cardinality(array_remove(states, null))) as measured,
        sum(cardinality(array_positions(states, 'unknown'))) as unknown
    from marts.fct_customer_indicators
    where fct_customer_indicators.run_id = run.previous_run_id
) as indicator_before
