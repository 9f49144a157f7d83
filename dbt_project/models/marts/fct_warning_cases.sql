{{ config(
    pre_hook="{{ delete_rows_of_this_run() }}",
    post_hook=[
        "create index if not exists closed_cases on {{ this }} (run_id) where closed_on = as_of_date",
        "create index if not exists opened_cases on {{ this }} (run_id) where event = 'opened'"
    ],
    contract={'enforced': true}
) }}

-- Grain: run × warning case, the episode in which a customer holds a level; open, or closed a short while ago.
with run as (select * from {{ ref('stg_ops__run') }}),

warnings as (select * from {{ ref('int_warnings') }}),

remembered as (select * from {{ ref('int_cases_remembered') }}),

-- What becomes of the cases that are left as they were raised, be they closed.
going_on as (
    select
        remembered.*,
        remembered.event in ('churned', 'resolved') as is_closing,
        remembered.closed_on is null and coalesce(remembered.event not in ('churned', 'resolved'), true) as is_open
    from remembered
    where remembered.event is distinct from 'reopened'
),

-- A level without a case to go on with opens one, or raises again what had been handled or closed.
raised as (
    select
        warnings.*,
        reopened.case_id,
        reopened.event,
        reopened.opened_on,
        reopened.step,
        reopened.peak_level,
        reopened.was_handled or reopened.handled_at is not null as was_handled,
        reopened.first_handled_at,
        reopened.was_handled_in_time
    from warnings
    left join going_on on warnings.customer_id = going_on.customer_id and going_on.is_open
    left join remembered as reopened on warnings.customer_id = reopened.customer_id and reopened.event = 'reopened'
    where going_on.customer_id is null
)

select
    raised.customer_id,
    run.run_id,
    run.as_of_date,
    coalesce(raised.case_id, raised.customer_id || '-' || to_char(run.as_of_date, 'YYYYMMDD')) as case_id,
    coalesce(raised.event, 'opened') as event,
    coalesce(raised.opened_on, run.as_of_date) as opened_on,
    run.as_of_at as raised_at,
    coalesce(raised.step, 0) + 1 as step,
    raised.warning_level,
    least(raised.peak_level, raised.warning_level) as peak_level,
    raised.deadline_at,
    null::timestamptz as handled_at,
    null::text as handling_outcome,
    null::date as follow_up_on,
    coalesce(raised.was_handled, false) as was_handled,
    raised.first_handled_at,
    raised.was_handled_in_time,
    null::date as closed_on,
    null::text as outcome,
    raised.indicator_codes,
    raised.departments,
    raised.is_joint,
    raised.is_lapsed as is_of_lapsed,
    raised.money_at_risk_amount,
    raised.is_muted,
    raised.is_held_back,
    not raised.is_muted and not raised.is_held_back as is_told
from raised
cross join run
union all
select
    going_on.customer_id,
    run.run_id,
    run.as_of_date,
    going_on.case_id,
    going_on.event,
    going_on.opened_on,
    going_on.raised_at,
    going_on.step,
    warnings.warning_level,
    least(going_on.peak_level, warnings.warning_level) as peak_level,
    case
        when going_on.event = 'escalated' then least(going_on.deadline_at, warnings.deadline_at)
        else going_on.deadline_at
    end as deadline_at,
    going_on.handled_at,
    going_on.handling_outcome,
    going_on.follow_up_on,
    going_on.was_handled,
    going_on.first_handled_at,
    going_on.was_handled_in_time,
    case when going_on.is_closing then run.as_of_date else going_on.closed_on end as closed_on,
    case
        when going_on.event = 'churned' then 'churned'
        when going_on.event = 'resolved'
            then case when going_on.was_handled or going_on.handled_at is not null then 'recovered' else 'cleared' end
        else going_on.outcome
    end as outcome,
    coalesce(warnings.indicator_codes, going_on.indicator_codes) as indicator_codes,
    coalesce(warnings.departments, going_on.departments) as departments,
    coalesce(warnings.is_joint, going_on.is_joint) as is_joint,
    going_on.is_of_lapsed,
    coalesce(warnings.money_at_risk_amount, going_on.money_at_risk_amount) as money_at_risk_amount,
    coalesce(warnings.is_muted, false) as is_muted,
    coalesce(warnings.is_held_back, false) as is_held_back,
    coalesce(
        not warnings.is_muted
        and (not warnings.is_held_back or (going_on.is_told and going_on.event is distinct from 'escalated')),
        false
    ) as is_told
from going_on
cross join run
left join warnings on going_on.customer_id = warnings.customer_id and going_on.is_open
