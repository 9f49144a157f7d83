-- One row a day and customer to whom two policies give another level, the dearest first.
with before as (
    select
        replay.as_of_date,
        customers.*
    from ops.replayed_customer as customers
    inner join ops.replay as replay on customers.run_id = replay.run_id
    where replay.run_id = any(%(before)s)
),

after as (
    select
        replay.as_of_date,
        customers.*
    from ops.replayed_customer as customers
    inner join ops.replay as replay on customers.run_id = replay.run_id
    where replay.run_id = any(%(run_ids)s)
)

select
    coalesce(after.as_of_date, before.as_of_date) as as_of_date,
    coalesce(after.customer_id, before.customer_id) as customer_id,
    coalesce(after.customer_name, before.customer_name) as customer_name,
    nullif(coalesce(before.level, 4), 4) as level_before,
    nullif(coalesce(after.level, 4), 4) as level,
    coalesce(before.rule_codes, '{}') as rule_codes_before,
    coalesce(after.rule_codes, '{}') as rule_codes,
    coalesce(after.money_at_risk_amount, before.money_at_risk_amount) as money_at_risk_amount,
    scored.is_lost
from after
full join before on after.as_of_date = before.as_of_date and after.customer_id = before.customer_id
left join scored
    on coalesce(after.as_of_date, before.as_of_date) = scored.as_of_date
    and coalesce(after.customer_id, before.customer_id) = scored.customer_id
where coalesce(after.level, 4) <> coalesce(before.level, 4)
order by as_of_date desc, money_at_risk_amount desc, customer_id
