-- Open warning case × department × measure that the playbook has for it now, in the company's language: what is to be
-- done, by whom and by when. An indicator's own row wins over its family's; the last step that was reached is due.
with cases as (select * from {{ ref('cases') }} where state = 'open'),

runs as (select * from {{ source('ops', 'run') }}),

company as (select * from {{ source('ops', 'company') }}),

indicators as (select * from {{ source('policy', 'indicators') }}),

playbook as (select * from {{ source('policy', 'playbook') }}),

measures as (
    select distinct on (cases.customer_id, cases.case_id, playbook.department, indicators.indicator_code)
        cases.customer_id,
        cases.case_id,
        playbook.department,
        indicators.indicator_code,
        case company.language
            when 'zh-CN' then playbook.action_zh_cn
            when 'zh-TW' then playbook.action_zh_tw
            else playbook.action_en
        end as action
    from cases
    cross join company
    inner join runs on cases.run_id = runs.run_id
    inner join indicators on runs.policy_hash = indicators.policy_hash
    inner join playbook
        on runs.policy_hash = playbook.policy_hash
        and playbook.warning_level in ('', cases.warning_level::text)
        and cases.step >= playbook.step
        and case
            when cases.is_joint and playbook.department in ('sales', 'finance')
                then playbook.subject = 'demand_and_arrears'
            else playbook.subject in (indicators.indicator_code, indicators.family)
        end
    where indicators.indicator_code = any(cases.indicator_codes)
    order by
        cases.customer_id asc,
        cases.case_id asc,
        playbook.department asc,
        indicators.indicator_code asc,
        playbook.subject = indicators.indicator_code desc,
        playbook.step desc,
        playbook.warning_level desc
),

asked_for as (
    select
        customer_id,
        case_id,
        department,
        action,
        array_agg(indicator_code order by indicator_code) as indicator_codes
    from measures
    group by customer_id, case_id, department, action
)

select
    cases.customer_id,
    cases.case_id,
    asked_for.department,
    asked_for.action,
    asked_for.indicator_codes,
    cases.customer_name,
    cases.owner_name,
    cases.owner_email,
    cases.warning_level,
    cases.step,
    cases.is_joint,
    cases.deadline_at,
    cases.money_at_risk_amount
from asked_for
inner join cases on asked_for.customer_id = cases.customer_id and asked_for.case_id = cases.case_id
