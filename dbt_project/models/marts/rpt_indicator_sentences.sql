{{ config(materialized='view') }}

-- Grain: run × customer × indicator that speaks × language. Figures put into words; the only place where that happens.
-- An indicator speaks when it breaches, or when a level that came from it is kept though it no longer does.
-- Large tables are named where they are joined: a CTE used twice would be read whole whatever the reader filters by.
with levels as (select * from {{ ref('fct_customer_levels') }}),

breach_sentences as (select * from {{ ref('indicator_sentences') }}),

kept_sentences as (select * from {{ ref('kept_sentences') }}),

names as (select * from {{ ref('indicator_names') }}),

company as (select * from {{ source('ops', 'company') }}),

symbols as (select * from {{ ref('currency_symbols') }}),

breached as (
    select
        indicator_values.*,
        breach_sentences.language,
        case
            when indicator_values.value = 0 then coalesce(breach_sentences.sentence_at_zero, breach_sentences.sentence)
            else breach_sentences.sentence
        end as sentence
    from {{ ref('fct_indicator_values') }} as indicator_values
    inner join breach_sentences
        on indicator_values.indicator_code = breach_sentences.indicator_code
        and (indicator_values.baseline is not null) = breach_sentences.has_baseline
    where indicator_values.state in ('serious', 'watch')
),

kept as (
    select
        indicator_values.*,
        kept_sentences.language,
        kept_sentences.sentence
    from {{ ref('fct_indicator_values') }} as indicator_values
    inner join levels
        on indicator_values.customer_id = levels.customer_id
        and indicator_values.run_id = levels.run_id
        and indicator_values.indicator_code = any(levels.level_source_codes)
        and levels.warning_level < coalesce(levels.raw_level, 4)
    inner join kept_sentences on indicator_values.state = kept_sentences.state
),

speaking as (
    select * from breached
    union all
    select * from kept
),

placed as (
    select
        speaking.*,
        jsonb_build_object(
            'currency', coalesce(symbols.symbol, company.currency || ' '),
            'value_percent', {{ percent('speaking.value') }},
            'threshold_percent', {{ percent('speaking.threshold') }},
            'baseline_percent', {{ percent('speaking.baseline') }},
            'share_percent', {{ percent('speaking.threshold / nullif(speaking.baseline, 0)') }},
            'threshold_floor', {{ figure('floor(speaking.threshold)', 0) }},
            'baseline_whole', {{ figure('speaking.baseline', 0) }},
            'value', {{ figure('speaking.value') }},
            'threshold', {{ figure('speaking.threshold') }},
            'baseline', {{ figure('speaking.baseline') }},
            'months', {{ figure(months_between('speaking.window_start', 'speaking.window_end'), 0) }},
            'days', {{ figure('speaking.window_end - speaking.window_start + 1', 0) }}
        ) as figures
    from speaking
    cross join company
    left join symbols on company.currency = symbols.currency and speaking.language = symbols.language
)

select
    placed.customer_id,
    placed.run_id,
    placed.indicator_code,
    placed.department,
    placed.also_departments,
    placed.state,
    placed.language,
    names.name,
    {{ filled('placed.sentence', 'placed.figures', 'placed.measures') }} as sentence,
    placed.trend
from placed
inner join names
    on placed.indicator_code = names.indicator_code
    and placed.language = names.language
