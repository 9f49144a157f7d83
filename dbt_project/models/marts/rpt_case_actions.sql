{{ config(materialized='view') }}

-- Grain: run × open case that nobody has handled yet × department × measure that the playbook has for it × language. An
-- indicator's own row wins over its family's; the last step that was reached is due.
-- Each step keeps customer and run apart, so that what a reader filters by reaches the table of cases.
with runs as (select * from {{ source('ops', 'run') }}),

indicators as (select * from {{ source('policy', 'indicators') }}),

playbook as (select * from {{ source('policy', 'playbook') }}),

measures as (
    select distinct on (
        cases.customer_id, cases.run_id, cases.case_id, playbook.department, indicators.indicator_code
    )
        cases.customer_id,
        cases.run_id,
        cases.case_id,
        playbook.department,
        indicators.indicator_code,
        playbook.action_en,
        playbook.action_zh_cn,
        playbook.action_zh_tw
    from {{ ref('fct_warning_cases') }} as cases
    inner join runs on cases.run_id = runs.run_id
    inner join indicators
        on runs.policy_hash = indicators.policy_hash
        and indicators.indicator_code = any(cases.indicator_codes)
    inner join playbook
        on runs.policy_hash = playbook.policy_hash
        and playbook.warning_level in ('', cases.warning_level::text)
        and cases.step >= playbook.step
        and case
            when cases.is_joint and playbook.department in ('sales', 'finance')
                then playbook.subject = 'demand_and_arrears'
            else playbook.subject in (indicators.indicator_code, indicators.family)
        end
    where cases.closed_on is null and cases.handled_at is null
    order by
        cases.customer_id asc,
        cases.run_id asc,
        cases.case_id asc,
        playbook.department asc,
        indicators.indicator_code asc,
        playbook.subject = indicators.indicator_code desc,
        playbook.step desc,
        playbook.warning_level desc
)

select
    measures.customer_id,
    measures.run_id,
    measures.case_id,
    measures.department,
    worded.language,
    worded.action,
    array_agg(measures.indicator_code order by measures.indicator_code) as indicator_codes
from measures
cross join
    lateral unnest(
        array['en', 'zh-CN', 'zh-TW'], array[measures.action_en, measures.action_zh_cn, measures.action_zh_tw]
    ) as worded (language, action)
group by
    measures.customer_id,
    measures.run_id,
    measures.case_id,
    measures.department,
    worded.language,
    worded.action
