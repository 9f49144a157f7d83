-- Scores given before the cut-off: satisfaction on the scale 0–100, recommendation on 0–10.
with run as (select * from {{ ref('stg_ops__run') }}),

surveys as (select * from {{ ref('base_service__surveys') }} where not _is_deleted)

select
    surveys.customer_id,
    surveys.survey_id,
    surveys.kind,
    surveys.answered_at,
    surveys.answered_on,
    round(
        case surveys.kind when 'nps' then 10.0 else 100.0 end
        * (surveys.score - surveys.scale_min) / (surveys.scale_max - surveys.scale_min), 6
    ) as score
from surveys
inner join run on surveys.answered_at < run.as_of_at
