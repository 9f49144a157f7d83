{{ config(
    materialized='incremental',
    meta={'key': ['customer_id']},
    pre_hook="{{ delete_changed('int_surveys_changed', ['customer_id']) }}"
) }}

-- Grain: customer that answered a survey. Its satisfaction (0–100) and recommendation scores (0–10) and their days, the
-- newest first.
with surveys as ({{ of_changed(ref('stg_service__surveys'), 'int_surveys_changed', ['customer_id']) }})

select
    customer_id,
    array_agg(score order by answered_at desc, survey_id desc) filter (where kind = 'csat') as scores,
    array_agg(answered_on order by answered_at desc, survey_id desc) filter (where kind = 'csat') as scores_on,
    array_agg(score order by answered_at desc, survey_id desc) filter (where kind = 'nps') as recommendations,
    array_agg(answered_on order by answered_at desc, survey_id desc) filter (where kind = 'nps') as recommendations_on
from surveys
group by customer_id
