{{ config(meta={
    'parameters': {'score': 'less', 'scores': 'same', 'expires_days': 'same'},
    'measures': ['latest_score'],
    'needs': ['service.surveys'],
    'evidence': ['satisfaction scores'],
    'clears': 'one of the last {scores} scores is {score} or better',
}) }}

-- 服务满意度: each of the last CSAT scores (0–100) below the limit; scores expire.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('int_customers') }} where state = 'active'),

scores as (select * from {{ ref('int_customer_scores') }}),

parameters as ({{ indicator_parameters() }}),

measured as (
    select
        customers.customer_id,
        run.as_of_date - scores.scores_on[parameters.scores::integer] <= parameters.expires_days as is_known,
        run.as_of_date - scores.scores_on[1] <= parameters.expires_days as is_latest_valid,
        scores.scores[1] as latest_score,
        (select max(score) from unnest(scores.scores[:parameters.scores::integer]) as score) as greatest_score,
        parameters.score as serious_threshold,
        parameters.watch_score as watch_threshold
    from customers
    cross join run
    inner join parameters on customers.scope = parameters.scope
    left join scores on customers.customer_id = scores.customer_id
),

judged as (
    select
        measured.*,
        case
            when is_known then null
            when not is_latest_valid then 'expired'
            else 'short_history'
        end as unknown_reason
    from measured
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
    jsonb_build_object('latest_score', case when is_latest_valid then latest_score end) as measures
from decided
