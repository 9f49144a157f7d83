{{ config(
    materialized='incremental',
    meta={'key': ['customer_id']},
    pre_hook="{{ delete_changed('int_surveys_changed', ['customer_id']) }}"
) }}

-- Grain: customer that answered a CSAT survey. Its scores (0–100) and their days, the newest first.
with surveys as ({{ of_changed(ref('stg_service__surveys'), 'int_surveys_changed', ['customer_id']) }})

select
    customer_id,
    array_agg(score order by answered_at desc, survey_id desc) as scores,
    array_agg(answered_on order by answered_at desc, survey_id desc) as answered_on
from surveys
where kind = 'csat'
group by customer_id
