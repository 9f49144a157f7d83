-- One row a way to tell who will not pay, on all replayed days together whose horizon the replays reach. What is overdue
-- is told by the replays themselves, so advances and disputes are reckoned with; default shows on a later of these days.
with replays as (
    select *
    from ops.replay
    where as_of_date = any(%(days)s) and policy_hash = %(policy_hash)s and judged_at is not null
),

owing as (
    select
        facts.customer_id,
        replays.run_id,
        replays.as_of_date,
        coalesce(
            (
                facts.measures[array_position(replays.indicator_codes, 'overdue_days')] ->> 'overdue_days'
            )::numeric,
            0
        ) as overdue_days
    from ops.replayed_fact as facts
    inner join replays on facts.run_id = replays.run_id
),

-- Three months have up to 92 days.
defaulted as (
    select
        owing.customer_id,
        owing.run_id
    from owing
    inner join owing as later
        on owing.customer_id = later.customer_id
        and later.as_of_date > owing.as_of_date
        and later.as_of_date <= owing.as_of_date + %(horizon)s + 2
    where later.overdue_days > 90
    union
    select
        owing.customer_id,
        owing.run_id
    from owing
    inner join staging.base_finance__invoices as invoices
        on owing.customer_id = invoices.customer_id
        and invoices.written_off_on > owing.as_of_date
        and invoices.written_off_on <= owing.as_of_date + %(horizon)s
    where not invoices._is_deleted
),

judged as (
    select
        owing.*,
        defaulted.customer_id is not null as defaults,
        customers.level <= 2
        and customers.rule_codes
        && array['overdue_beyond_60_days', 'overdue_and_pays_late', 'amount_collapsed_long_overdue'] as is_warned
    from owing
    inner join ops.replayed_customer as customers
        on owing.customer_id = customers.customer_id and owing.run_id = customers.run_id
    left join defaulted on owing.customer_id = defaulted.customer_id and owing.run_id = defaulted.run_id
    where
        owing.overdue_days <= 90
        and owing.as_of_date + %(horizon)s <= (select max(as_of_date) + 2 from replays)
),

-- As many as the policy warns about, the oldest debt first.
placed as (
    select
        judged.*,
        row_number() over (partition by as_of_date order by overdue_days desc, customer_id)
        <= count(*) filter (where is_warned) over (partition by as_of_date) as is_oldest
    from judged
),

ways as (
    select 'levels 1 and 2 by a rule on arrears' as name, 1 as place, placed.* from placed where is_warned
    union all
    select 'two months overdue' as name, 2 as place, placed.* from placed where overdue_days >= 60
    union all
    select 'as many as levels 1 and 2, the oldest debt first' as name, 3 as place, placed.* from placed where is_oldest
    union all
    select 'all that were judged' as name, 4 as place, placed.* from placed
)

select
    name,
    count(*) as warned,
    count(*) filter (where defaults) as defaulted,
    (select count(*) from judged where defaults) as defaulted_in_all
from ways
group by name, place
order by place
