{{ config(materialized='view') }}

-- Grain: run × customer × breached indicator × language. The figures put into words; the only place where that happens.
with indicator_values as (select * from {{ ref('fct_indicator_values') }} where state in ('serious', 'watch')),

sentences as (select * from {{ ref('indicator_sentences') }}),

names as (select * from {{ ref('indicator_names') }}),

runs as (select * from {{ source('ops', 'run') }}),

indicators as (select * from {{ source('policy', 'indicators') }})

select
    indicator_values.customer_id,
    indicator_values.run_id,
    indicator_values.indicator_code,
    indicator_values.department,
    indicators.also_departments,
    indicator_values.state,
    sentences.language,
    names.name,
    {{ filled('sentences.sentence', {
        'value_percent': percent('indicator_values.value'),
        'threshold_percent': percent('indicator_values.threshold'),
        'baseline_percent': percent('indicator_values.baseline'),
        'share_percent': percent('indicator_values.threshold / nullif(indicator_values.baseline, 0)'),
        'threshold_floor': figure('floor(indicator_values.threshold)', 0),
        'baseline_whole': figure('indicator_values.baseline', 0),
        'value': figure('indicator_values.value'),
        'threshold': figure('indicator_values.threshold'),
        'baseline': figure('indicator_values.baseline'),
        'overdue_amount': figure("(indicator_values.measures ->> 'overdue_amount')"),
        'months': figure('extract(year from age(indicator_values.window_end + 1, indicator_values.window_start)) * 12 + extract(month from age(indicator_values.window_end + 1, indicator_values.window_start))', 0),
        'days': figure('indicator_values.window_end - indicator_values.window_start + 1', 0),
    }) }} as sentence
from indicator_values
inner join runs on indicator_values.run_id = runs.run_id
inner join indicators
    on indicator_values.indicator_code = indicators.indicator_code
    and runs.policy_hash = indicators.policy_hash
inner join sentences
    on indicator_values.indicator_code = sentences.indicator_code
    and (indicator_values.baseline is not null) = sentences.has_baseline
inner join names
    on indicator_values.indicator_code = names.indicator_code
    and sentences.language = names.language
