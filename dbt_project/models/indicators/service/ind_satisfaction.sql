-- 服务满意度: each of the last CSAT scores (0–100) below the limit; scores expire.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('int_customers') }} where state = 'active'),

surveys as (select * from {{ ref('stg_service__surveys') }} where kind = 'csat'),

parameters as ({{ indicator_parameters('satisfaction', ['score', 'scores', 'expires_days']) }}),

ranked as (
    select
        surveys.customer_id,
        surveys.score,
        run.as_of_date - surveys.answered_on <= parameters.expires_days as is_valid,
        row_number() over (
            partition by surveys.customer_id order by surveys.answered_at desc, surveys.survey_id desc
        ) as newness
    from surveys
    cross join run
    cross join parameters
),

summed as (
    select
        customers.customer_id,
        count(ranked.score) as score_count,
        count(ranked.score) filter (where ranked.is_valid) as valid_count,
        max(ranked.score) filter (where ranked.is_valid and ranked.newness <= parameters.scores) as greatest_score,
        max(ranked.score) filter (where ranked.is_valid and ranked.newness = 1) as latest_score
    from customers
    cross join parameters
    left join ranked on customers.customer_id = ranked.customer_id
    group by customers.customer_id
),

judged as (
    select
        summed.*,
        parameters.score as serious_threshold,
        parameters.watch_score as watch_threshold,
        case
            when {{ is_missing(['service.surveys']) }} then 'no_data'
            when summed.valid_count >= parameters.scores then null
            when summed.score_count > 0 and summed.valid_count = 0 then 'expired'
            else 'short_history'
        end as unknown_reason
    from summed
    cross join parameters
),

decided as (
    select
        judged.*,
        case
            when unknown_reason is not null then 'unknown'
            when greatest_score < serious_threshold then 'serious'
            when greatest_score < watch_threshold then 'watch'
            else 'clear'
        end as state
    from judged
)

select
    customer_id,
    state,
    unknown_reason,
    case when unknown_reason is null then greatest_score end as value,
    null::numeric as baseline,
    case when state = 'watch' then watch_threshold else serious_threshold end as threshold,
    null::text as trend,
    null::date as window_start,
    null::date as window_end,
    jsonb_build_object('latest_score', latest_score) as measures
from decided
