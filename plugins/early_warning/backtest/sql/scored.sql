-- One row a replayed day and customer: what the policy said (level 4 = none), where it stands in the orders that are
-- compared, and what became of it within the horizon, as the newest data know it. Who was active and what was usual is
-- told by the replays in `truth`, so that two policies are held against one truth.
create temporary table scored on commit drop as
with ahead as (
    select
        replay.run_id,
        orders.customer_id,
        sum(orders.amount) as amount,
        max(orders.ordered_on) as last_ordered_on
    from ops.replay as replay
    inner join staging.base_sales__orders as orders
        on orders.ordered_on > replay.as_of_date and orders.ordered_on <= replay.as_of_date + %(horizon)s
    where
        replay.run_id = any(%(truth)s)
        and not orders._is_deleted
        and orders.cancelled_at is null
    group by replay.run_id, orders.customer_id
),

tried as (
    select
        replay.as_of_date,
        customers.*
    from ops.replayed_customer as customers
    inner join ops.replay as replay on customers.run_id = replay.run_id
    where replay.run_id = any(%(run_ids)s)
),

-- What a customer lost is worth: a year's revenue. 12 months have 365.25 days. On the day after its limit it has lapsed. A
-- policy of an earlier version says nothing of outcomes.
judged as (
    select
        truth.customer_id,
        replay.as_of_date,
        coalesce(tried.level, 4) as level,
        coalesce(tried.rule_codes, '{}') as rule_codes,
        coalesce(tried.indicator_codes, '{}') as indicator_codes,
        truth.silence_days,
        truth.order_days,
        (truth.silence_days + truth.usual_gap_days) / sqrt(truth.order_days) as quiet_days,
        truth.revenue_12m_amount as revenue,
        coalesce(tried.money_at_risk_amount, truth.money_at_risk_amount) as money,
        coalesce(truth.segment, '–') as segment,
        coalesce(truth.owner_name, '–') as owner_name,
        ahead.amount is null
        or coalesce(
            ahead.amount < coalesce(outcomes.value, 0.2) * truth.baseline_amount * %(horizon)s * 12 / 365.25, false
        ) as is_lost,
        coalesce(ahead.last_ordered_on, truth.last_ordered_on)
        + floor(truth.inactivity_limit_days)::integer + 1 - replay.as_of_date as lead_days
    from ops.replayed_customer as truth
    inner join ops.replay as replay on truth.run_id = replay.run_id
    left join tried on replay.as_of_date = tried.as_of_date and truth.customer_id = tried.customer_id
    left join ahead on truth.run_id = ahead.run_id and truth.customer_id = ahead.customer_id
    left join policy.outcomes as outcomes
        on replay.policy_hash = outcomes.policy_hash
        and outcomes.parameter = 'collapsed_share'
    where truth.run_id = any(%(truth)s)
)

-- A rank counts from the last; who ties stands in the middle.
select
    judged.*,
    row_number() over (partition by as_of_date order by silence_days desc, customer_id) as recency_place,
    row_number() over (partition by as_of_date order by level = 4, money desc, customer_id) as money_place,
    rank() over (partition by as_of_date order by silence_days)
    + (count(*) over (partition by as_of_date, silence_days) - 1) / 2.0 as recency_rank,
    rank() over (partition by as_of_date order by level desc, quiet_days)
    + (count(*) over (partition by as_of_date, level, quiet_days) - 1) / 2.0 as policy_rank
from judged
