-- Published day × customer holding a level. The reason is worded row by row, so that a filter costs what it shows.
with published as (select * from {{ source('ops', 'publication') }}),

runs as (select * from {{ source('ops', 'run') }}),

company as (select * from {{ source('ops', 'company') }}),

indicators as (select * from {{ source('policy', 'indicators') }}),

levels as (select * from {{ ref('fct_customer_levels') }} where warning_level is not null),

customers as (select * from {{ ref('dim_customers') }}),

cases as (select * from {{ ref('fct_warning_cases') }} where closed_on is null),

sentences as (select * from {{ ref('rpt_indicator_sentences') }}),

punctuation as (select * from {{ ref('punctuation') }})

select
    levels.customer_id,
    published.as_of_date,
    levels.run_id,
    levels.customer_name,
    customers.segment,
    customers.industry,
    customers.region,
    levels.owner_name,
    levels.owner_email,
    levels.warning_level,
    levels.raw_level,
    levels.change,
    levels.level_since,
    levels.peak_level,
    cases.case_id,
    levels.rule_codes,
    levels.indicator_codes,
    (
        select
            string_agg(
                sentences.name || punctuation.colon || sentences.sentence,
                punctuation.semicolon order by sentences.indicator_code
            )
        from sentences
        where
            sentences.customer_id = levels.customer_id
            and sentences.run_id = levels.run_id
            and sentences.language = company.language
            and sentences.indicator_code = any(levels.indicator_codes)
    ) as reason,
    levels.money_at_risk_amount,
    cases.deadline_at,
    coalesce(cases.is_muted, false) as is_muted,
    coalesce(cases.is_held_back, false) as is_held_back,
    runs.policy_hash,
    levels.uncapped_level,
    array(
        select distinct told.department
        from indicators
        cross join lateral unnest(array[indicators.department] || indicators.also_departments) as told (department)
        where
            indicators.policy_hash = runs.policy_hash
            and indicators.indicator_code = any(levels.indicator_codes)
        order by told.department
    ) as told_departments
from levels
inner join published on levels.run_id = published.run_id
inner join runs on levels.run_id = runs.run_id
inner join customers on levels.customer_id = customers.customer_id and levels.run_id = customers.run_id
left join cases on levels.customer_id = cases.customer_id and levels.run_id = cases.run_id
cross join company
inner join punctuation on company.language = punctuation.language
