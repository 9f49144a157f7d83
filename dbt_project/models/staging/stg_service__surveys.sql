{{ config(meta={'key': ['customer_id', 'survey_id']}) }}

-- Scores given before the cut-off, all on the scale 0–100.
with run as (select * from {{ ref('stg_ops__run') }}),

surveys as ({{ current_rows('service_surveys', 'survey_id') }})

select
    surveys.customer_id,
    surveys.survey_id,
    surveys.kind,
    surveys.answered_at,
    (surveys.answered_at at time zone run.time_zone)::date as answered_on,
    round(100.0 * (surveys.score - surveys.scale_min) / (surveys.scale_max - surveys.scale_min), 6) as score
from surveys
inner join run on surveys.answered_at < run.as_of_at
