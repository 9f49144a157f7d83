{{ config(meta={
    'parameters': {'score': 'less', 'satisfied_score': 'same', 'expires_days': 'same'},
    'needs': ['service.surveys'],
    'evidence': ['recommendation scores'],
    'clears': 'the newest answer is above {score}',
}) }}

-- 净推荐值: the newest recommendation score (0–10) a detractor's, after one that was not, or twice; scores expire.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('int_customers') }} where state = 'active'),

scores as (select * from {{ ref('int_customer_scores') }}),

parameters as ({{ indicator_parameters() }}),

measured as (
    select
        customers.customer_id,
        customers.scope,
        scores.recommendations[1] as score,
        run.as_of_date - scores.recommendations_on[1] <= parameters.expires_days as is_valid,
        case
            when run.as_of_date - scores.recommendations_on[2] <= parameters.expires_days then scores.recommendations[2]
        end as earlier_score
    from customers
    cross join run
    inner join parameters on customers.scope = parameters.scope
    left join scores on customers.customer_id = scores.customer_id
),

judged as (
    select
        measured.*,
        parameters.score as serious_threshold,
        parameters.watch_score as watch_threshold,
        parameters.satisfied_score,
        case
            when measured.is_valid then null
            when measured.score is not null then 'expired'
            else 'short_history'
        end as unknown_reason
    from measured
    inner join parameters on measured.scope = parameters.scope
),

decided as (
    select
        judged.*,
        case
            when unknown_reason is not null then 'unknown'
            when
                score <= serious_threshold
                and (earlier_score <= serious_threshold or earlier_score >= satisfied_score)
                then 'serious'
            when score <= watch_threshold then 'watch'
            else 'clear'
        end as state
    from judged
)

select
    customer_id,
    state,
    unknown_reason,
    score as value,
    earlier_score as baseline,
    case when state = 'watch' then watch_threshold else serious_threshold end as threshold,
    null::text as trend,
    null::date as window_start,
    null::date as window_end,
    '{}'::jsonb as measures
from decided
