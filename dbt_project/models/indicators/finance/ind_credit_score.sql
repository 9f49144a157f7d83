{{ config(meta={
    'parameters': {'score': 'less', 'drop': 'more', 'drop_days': 'same'},
    'needs': [],
    'evidence': ['credit scores'],
    'clears': 'the score is {score} or better and has fallen less than {drop} points in {drop_days} days',
}) }}

-- 信用评分: a low score, or one that has dropped from the greatest of the last days.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('int_customers') }} where is_judged),

parameters as ({{ indicator_parameters() }}),

-- A score is in force until the day before the next one.
scores as (
    select
        scores.customer_id,
        scores.scored_on,
        scores.score,
        lead(scores.scored_on) over (partition by scores.customer_id order by scores.scored_on) as replaced_on
    from {{ source('scores', 'credit_scores') }} as scores
    inner join run on scores.scored_on <= run.as_of_date
),

measured as (
    select
        scores.customer_id,
        round(max(scores.score) filter (where scores.replaced_on is null), 6) as score,
        round(
            max(scores.score) filter (
                where coalesce(scores.replaced_on > run.as_of_date - parameters.drop_days::integer, true)
            ), 6
        ) as greatest_score
    from scores
    inner join customers on scores.customer_id = customers.customer_id
    inner join parameters on customers.scope = parameters.scope
    cross join run
    group by scores.customer_id
),

compared as (
    select
        customers.customer_id,
        customers.scope,
        measured.score,
        measured.greatest_score,
        measured.score < parameters.score as is_serious,
        measured.score < parameters.watch_score as is_watch,
        measured.greatest_score - measured.score >= parameters.drop as is_serious_drop,
        measured.greatest_score - measured.score >= parameters.watch_drop as is_watch_drop
    from customers
    inner join parameters on customers.scope = parameters.scope
    left join measured on customers.customer_id = measured.customer_id
),

decided as (
    select
        compared.*,
        case
            when score is null then 'unknown'
            when is_serious or is_serious_drop then 'serious'
            when is_watch or is_watch_drop then 'watch'
            else 'clear'
        end as state
    from compared
),

-- The figures told are the low score's, unless only the drop warns.
explained as (
    select
        decided.*,
        coalesce(state = 'serious' and not is_serious or state = 'watch' and not is_watch, false) as is_by_drop
    from decided
)

select
    explained.customer_id,
    explained.state,
    case when explained.score is null then 'no_data' end as unknown_reason,
    explained.score as value,
    case when explained.is_by_drop then explained.greatest_score end as baseline,
    case
        when explained.is_by_drop and explained.state = 'serious' then explained.greatest_score - parameters.drop
        when explained.is_by_drop then explained.greatest_score - parameters.watch_drop
        when explained.state = 'watch' then parameters.watch_score
        else parameters.score
    end as threshold,
    null::text as trend,
    case when explained.is_by_drop then run.as_of_date - parameters.drop_days::integer end as window_start,
    case when explained.is_by_drop then run.as_of_date end as window_end,
    '{}'::jsonb as measures
from explained
inner join parameters on explained.scope = parameters.scope
cross join run
