{{ config(meta={
    'parameters': {'probability': 'more', 'expires_days': 'same'},
    'needs': ['model.churn_scores'],
    'evidence': ['churn scores'],
    'clears': 'the probability is at most {probability}',
}) }}

-- 流失概率: what a model says, above the point from which it is worth acting; scores expire.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('int_customers') }} where state = 'active'),

scores as (select * from {{ ref('stg_model__churn_scores') }}),

parameters as ({{ indicator_parameters() }}),

compared as (
    select
        customers.customer_id,
        round(scores.probability, 6) as probability,
        parameters.probability as serious_threshold,
        parameters.watch_probability as watch_threshold,
        case
            when scores.customer_id is null then 'no_data'
            when run.as_of_date - scores.scored_on > parameters.expires_days then 'expired'
        end as unknown_reason
    from customers
    cross join run
    inner join parameters on customers.scope = parameters.scope
    left join scores on customers.customer_id = scores.customer_id
),

decided as (
    select
        compared.*,
        case
            when unknown_reason is not null then 'unknown'
            when probability > serious_threshold then 'serious'
            when probability > watch_threshold then 'watch'
            else 'clear'
        end as state
    from compared
)

select
    customer_id,
    state,
    unknown_reason,
    probability as value,
    null::numeric as baseline,
    case when state = 'watch' then watch_threshold else serious_threshold end as threshold,
    null::text as trend,
    null::date as window_start,
    null::date as window_end,
    '{}'::jsonb as measures
from decided
