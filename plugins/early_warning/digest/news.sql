-- What a published run has to say to each reader of each customer, held against what the reader was told last.
-- Customers that nobody is warned about any more are news too, for as long as the reader doesn't know.
with run as (select * from ops.run where run_id = %(run_id)s),

readers as (
    select *
    from unnest(
        %(audiences)s::text[], %(departments)s::text[], %(recipients)s::text[], %(are_due)s::boolean[]
    ) as reader (audience, department, recipient, is_due)
),

owners as (
    select *
    from unnest(%(owner_emails)s::text[], %(owner_recipients)s::text[]) as owner (owner_email, recipient)
),

hours as (
    select make_interval(hours => parameters.value::integer) as to_act
    from policy.hysteresis_and_budget as parameters
    inner join run on parameters.policy_hash = run.policy_hash
    where parameters.parameter = 'level_1_deadline_hours'
),

-- Of level 1 that may be waited for: since when. Where nobody says what was done, nobody can have acted.
waiting as (
    select
        levels.customer_id,
        greatest(
            cases.raised_at, (levels.level_since + 1)::timestamp at time zone run.company_time_zone
        ) as begun_at
    from run
    inner join marts.fct_customer_levels as levels on run.run_id = levels.run_id
    inner join marts.fct_warning_cases as cases
        on levels.customer_id = cases.customer_id and levels.run_id = cases.run_id and cases.closed_on is null
    where
        levels.warning_level = 1
        and cases.handled_at is null
        and not cases.is_muted
        and 'handling.actions' <> all(run.stale_data_sets)
        and exists (select from ops.batch where data_set = 'handling.actions' and state = 'accepted')
),

-- A reminder's stage: half the time to act is over, all of it, twice as much.
warned as (
    select
        levels.customer_id,
        levels.warning_level,
        levels.indicator_codes,
        coalesce(levels.owner_email, '') as owner_email,
        cases.case_id,
        cases.step,
        cases.is_muted,
        cases.is_held_back,
        case
            when run.as_of_at >= waiting.begun_at + 2 * hours.to_act then 3
            when run.as_of_at >= waiting.begun_at + hours.to_act then 2
            when run.as_of_at >= waiting.begun_at + hours.to_act / 2 then 1
            else 0
        end as stage
    from run
    inner join marts.fct_customer_levels as levels on run.run_id = levels.run_id
    inner join marts.fct_warning_cases as cases
        on levels.customer_id = cases.customer_id and levels.run_id = cases.run_id and cases.closed_on is null
    left join waiting on levels.customer_id = waiting.customer_id
    cross join hours
    where levels.warning_level is not null
),

departments as (
    select distinct
        warned.customer_id,
        concerned.department
    from run
    inner join policy.indicators as indicators on run.policy_hash = indicators.policy_hash
    inner join warned on indicators.indicator_code = any(warned.indicator_codes)
    cross join lateral unnest(array[indicators.department] || indicators.also_departments) as concerned (department)
),

concerned as (
    select
        warned.customer_id,
        readers.audience,
        readers.recipient,
        readers.is_due,
        warned.is_muted,
        warned.is_held_back,
        warned.stage
    from warned
    inner join owners on warned.owner_email = owners.owner_email
    inner join readers on owners.recipient = readers.recipient and readers.audience = 'owner'
    union all
    select
        warned.customer_id,
        readers.audience,
        readers.recipient,
        readers.is_due,
        warned.is_muted,
        false as is_held_back,
        case when warned.stage >= 2 then warned.stage else 0 end as stage
    from warned
    inner join departments on warned.customer_id = departments.customer_id
    inner join readers on departments.department = readers.department
    union all
    select
        warned.customer_id,
        readers.audience,
        readers.recipient,
        readers.is_due,
        warned.is_muted,
        false as is_held_back,
        case when warned.stage >= 3 and readers.audience = 'management' then warned.stage else 0 end as stage
    from warned
    inner join readers
        on readers.audience = 'analysis' or (readers.audience = 'management' and warned.warning_level = 1)
),

told as (
    select
        told.*,
        readers.is_due
    from ops.told as told
    inner join readers on told.audience = readers.audience and told.recipient = readers.recipient
),

-- Gone is who is lost, resolved or muted, or concerns this reader no longer. What is held back stays as it was told, or
-- untold.
compared as (
    select
        coalesce(concerned.customer_id, told.customer_id) as customer_id,
        coalesce(concerned.audience, told.audience) as audience,
        coalesce(concerned.recipient, told.recipient) as recipient,
        coalesce(concerned.is_due, told.is_due) as is_due,
        warned.case_id,
        warned.step,
        warned.warning_level,
        told.warning_level as told_level,
        case
            when concerned.customer_id is null and closed.outcome = 'churned' then 'lost'
            when concerned.customer_id is null and warned.customer_id is null then 'resolved'
            when concerned.customer_id is null and warned.warning_level > told.warning_level then 'eased'
            when concerned.customer_id is null and told.audience = 'owner' then 'moved'
            when concerned.customer_id is null then 'unconcerned'
            when concerned.is_muted then 'muted'
            when concerned.is_held_back and told.customer_id is null then 'held_back'
            when concerned.is_held_back then 'unchanged'
            when told.customer_id is null and warned.step > 1 then 'reopened'
            when told.customer_id is null then 'new'
            when warned.warning_level < told.warning_level then 'escalated'
            when warned.case_id <> told.case_id or warned.step > told.step then 'reopened'
            when warned.warning_level > told.warning_level then 'eased'
            else 'unchanged'
        end as change,
        coalesce(concerned.is_muted, true) as is_gone,
        coalesce(concerned.stage, 0) as stage,
        case when warned.case_id = told.case_id and warned.step = told.step then told.reminder else 0 end as reminded
    from concerned
    full join told
        on concerned.customer_id = told.customer_id
        and concerned.audience = told.audience
        and concerned.recipient = told.recipient
    left join warned on coalesce(concerned.customer_id, told.customer_id) = warned.customer_id
    cross join run
    left join marts.fct_warning_cases as closed
        on told.customer_id = closed.customer_id
        and told.case_id = closed.case_id
        and run.run_id = closed.run_id
        and closed.closed_on is not null
)

insert into ops.news (
    customer_id, audience, recipient, case_id, step, warning_level, told_level, change, is_gone, reminder, is_news
)
select
    customer_id,
    audience,
    recipient,
    case_id,
    step,
    warning_level,
    told_level,
    change,
    is_gone,
    case when change = 'unchanged' then greatest(stage, reminded) else 0 end as reminder,
    change <> 'held_back'
    and (change <> 'muted' or told_level is not null)
    and (change <> 'unchanged' or stage > reminded)
    and (
        is_due
        or (
            warning_level = 1
            and audience <> 'analysis'
            and (change in ('new', 'escalated', 'reopened') or (change = 'unchanged' and stage > reminded))
        )
    ) as is_news
from compared
