-- What some readers' digests are made of: their rows of ops.news with what the run's marts say of the customer.
select
    news.*,
    coalesce(levels.customer_name, customers.customer_name) as customer_name,
    levels.owner_name,
    levels.owner_email,
    levels.level_since,
    levels.indicator_codes,
    levels.money_at_risk_amount,
    cases.deadline_at,
    coalesce(cases.handled_at is null and cases.deadline_at <= run.as_of_at, false)
    and exists (select from ops.batch where data_set = 'handling.actions' and state = 'accepted') as is_overdue,
    -- Months that nobody delivered yet would look like months without an order.
    case when 'sales.orders' <> all(run.stale_data_sets) then trends.amounts end as amounts,
    trends.threshold_amount
from unnest(%(audiences)s::text[], %(recipients)s::text[]) as reader (audience, recipient)
inner join ops.news as news on reader.audience = news.audience and reader.recipient = news.recipient
inner join ops.run as run on run.run_id = %(run_id)s
left join marts.fct_customer_levels as levels on news.customer_id = levels.customer_id and run.run_id = levels.run_id
left join marts.dim_customers as customers on news.customer_id = customers.customer_id and run.run_id = customers.run_id
left join marts.fct_warning_cases as cases
    on news.customer_id = cases.customer_id and run.run_id = cases.run_id and cases.closed_on is null
left join marts.fct_warning_trends as trends on news.customer_id = trends.customer_id and run.run_id = trends.run_id
order by
    news.audience,
    news.recipient,
    news.warning_level,
    not news.is_news,
    levels.money_at_risk_amount desc nulls last,
    news.customer_id
