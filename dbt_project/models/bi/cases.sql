-- Warning case, as the newest published run knows it: what is open in it, and the last row of each closed before. Only
-- runs that this one goes on from count; a back-fill beside them has cases of its own day only. Rows of an earlier
-- version of the platform don't say what was done first.
with recursive {{ chain_of_the_newest() }},

told as (
    select cases.*
    from {{ ref('fct_warning_cases') }} as cases
    inner join chain on cases.run_id = chain.run_id
    where cases.closed_on = cases.as_of_date
    union all
    select cases.*
    from {{ ref('fct_warning_cases') }} as cases
    inner join chain on cases.run_id = chain.run_id and chain.is_newest
    where cases.closed_on is null
)

select distinct on (told.customer_id, told.case_id)
    told.customer_id,
    told.case_id,
    told.as_of_date,
    told.run_id,
    customers.customer_name,
    customers.owner_name,
    customers.owner_email,
    case
        when told.closed_on is not null then 'closed'
        when told.handled_at is not null then 'handled'
        else 'open'
    end as state,
    told.event as last_event,
    told.opened_on,
    told.raised_at,
    told.step,
    told.warning_level,
    told.peak_level,
    told.deadline_at,
    told.handled_at,
    case
        when told.handled_at is not null then told.handled_at <= told.deadline_at
        when told.deadline_at < runs.as_of_at then false
    end as is_handled_in_time,
    told.handling_outcome,
    told.follow_up_on,
    told.was_handled or told.handled_at is not null as was_handled,
    told.closed_on,
    told.outcome,
    told.indicator_codes,
    told.departments,
    told.is_joint,
    told.money_at_risk_amount,
    told.is_muted,
    told.is_held_back,
    coalesce(told.first_handled_at, told.handled_at) as first_handled_at,
    coalesce(told.was_handled_in_time, told.handled_at <= told.deadline_at) as was_handled_in_time
from told
inner join runs on told.run_id = runs.run_id
left join {{ ref('dim_customers') }} as customers
    on told.customer_id = customers.customer_id and told.run_id = customers.run_id
order by told.customer_id asc, told.case_id asc, told.as_of_date desc, told.run_id desc
