{{ config(meta={'key': ['customer_id', 'case_id']}) }}

-- Grain: warning case of the run before, open or closed a short while ago. What people did about it until this run's
-- cut-off, and what becomes of it. Rows of an earlier version of the platform don't say what was done first.
with run as (select * from {{ ref('stg_ops__run') }}),

warnings as (select * from {{ ref('int_warnings') }}),

lapsed as (select * from {{ ref('int_customers') }} where state = 'lapsed'),

actions as (select * from {{ ref('stg_handling__actions') }} where outcome <> 'note'),

before as ({{ cases_remembered() }}),

handled as (
    select
        before.customer_id,
        before.case_id,
        min(actions.taken_at) as handled_at,
        (array_agg(actions.outcome order by actions.taken_at desc, actions.action_id desc))[1] as handling_outcome,
        (
            array_agg(actions.follow_up_on order by actions.taken_at desc, actions.action_id desc)
            filter (where actions.follow_up_on is not null)
        )[1] as named_follow_up_on,
        max(actions.taken_on) as last_taken_on
    from before
    inner join actions
        on before.customer_id = actions.customer_id
        and (before.case_id = actions.case_id or actions.case_id is null)
        and before.raised_at <= actions.taken_at
    where before.closed_on is null
    group by before.customer_id, before.case_id
),

known as (
    select
        before.customer_id,
        before.case_id,
        before.opened_on,
        before.raised_at,
        before.step,
        before.warning_level as level_before,
        warnings.warning_level,
        before.peak_level,
        before.deadline_at,
        before.handled_at as handled_before_at,
        case when before.closed_on is null then handled.handled_at else before.handled_at end as handled_at,
        case when before.closed_on is null then handled.handling_outcome else before.handling_outcome end
            as handling_outcome,
        case
            when before.closed_on is null
                then coalesce(handled.named_follow_up_on, handled.last_taken_on + run.follow_up_days)
            else before.follow_up_on
        end as follow_up_on,
        before.was_handled,
        case
            when before.closed_on is not null then coalesce(before.first_handled_at, before.handled_at)
            when before.was_handled then coalesce(before.first_handled_at, handled.handled_at)
            else handled.handled_at
        end as first_handled_at,
        case
            when before.closed_on is not null
                then coalesce(before.was_handled_in_time, before.handled_at <= before.deadline_at)
            when before.was_handled then coalesce(before.was_handled_in_time, handled.handled_at <= before.deadline_at)
            else handled.handled_at <= before.deadline_at
        end as was_handled_in_time,
        before.closed_on,
        before.outcome,
        before.indicator_codes,
        before.departments,
        before.is_joint,
        before.is_of_lapsed,
        before.money_at_risk_amount,
        coalesce(before.is_told, not before.is_muted and not before.is_held_back) as is_told,
        before.is_last,
        lapsed.customer_id is not null and not before.is_of_lapsed and before.opened_on < run.as_of_date as is_churned
    from before
    cross join run
    left join handled on before.customer_id = handled.customer_id and before.case_id = handled.case_id
    left join warnings on before.customer_id = warnings.customer_id
    left join lapsed on before.customer_id = lapsed.customer_id
)

select
    known.*,
    case
        when known.closed_on is not null and known.is_last
            then case when known.outcome <> 'churned' and known.warning_level is not null then 'reopened' end
        when known.closed_on is not null then null
        when known.is_churned then 'churned'
        when known.warning_level is null then 'resolved'
        when known.handled_at is not null
            and (known.warning_level < known.level_before or known.follow_up_on <= run.as_of_date) then 'reopened'
        when known.warning_level < known.level_before then 'escalated'
        when known.warning_level > known.level_before then 'eased'
        when known.handled_at is not null and known.handled_before_at is null then 'handled'
    end as event
from known
cross join run
