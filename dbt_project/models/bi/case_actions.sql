-- Open warning case × department × measure that the playbook has for it now, in the company's language: what is to be
-- done, by whom and by when. Run and language are asked for by subqueries, which reach the tables; joined, they would
-- not, and the measures of every run there is would be worked out. What a measure belongs to is found by key: planned
-- for a single row, anything else would be looked through once a measure.
with published as (select * from {{ source('ops', 'publication') }}),

newest as (select max(as_of_date) as as_of_date from published),

company as (select * from {{ source('ops', 'company') }}),

actions as (
    select *
    from {{ ref('rpt_case_actions') }}
    where
        run_id = (
            select published.run_id
            from published
            inner join newest on published.as_of_date = newest.as_of_date
        )
        and language = (select company.language from company)
)

select
    actions.customer_id,
    actions.case_id,
    actions.department,
    actions.action,
    actions.indicator_codes,
    customers.customer_name,
    customers.owner_name,
    customers.owner_email,
    cases.warning_level,
    cases.step,
    cases.is_joint,
    cases.deadline_at,
    cases.money_at_risk_amount
from actions
inner join {{ ref('fct_warning_cases') }} as cases
    on actions.customer_id = cases.customer_id
    and actions.run_id = cases.run_id
    and actions.case_id = cases.case_id
left join {{ ref('dim_customers') }} as customers
    on actions.customer_id = customers.customer_id
    and actions.run_id = customers.run_id
