-- Grain: customer. The newest probability by the as-of date.
with run as (select * from {{ ref('stg_ops__run') }}),

scores as (select * from {{ ref('base_model__churn_scores') }} where not _is_deleted)

select distinct on (scores.customer_id)
    scores.customer_id,
    scores.scored_on,
    scores.probability
from scores
inner join run on scores.scored_on <= run.as_of_date
order by scores.customer_id asc, scores.scored_on desc
