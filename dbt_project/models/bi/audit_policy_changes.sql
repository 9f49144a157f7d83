-- Every published change of the policy: who, when, what, what was expected of it, and what became of the warnings
-- opened under it since (0002, 56 to 60), each counted to the last change to its policy that was published before it.
with recursive {{ chain_of_the_newest() }},

outcomes as (
    select outcomes.*
    from {{ ref('fct_warning_outcomes') }} as outcomes
    inner join chain on outcomes.run_id = chain.run_id
    where outcomes.warning_level <= 2 and outcomes.was_active and not outcomes.is_service_fluctuation
),

changes as (
    select
        policy_change.*,
        runs.published_at,
        lead(runs.published_at) over (partition by policy_change.policy_hash order by runs.published_at) as until_at
    from {{ source('ops', 'policy_change') }} as policy_change
    inner join runs on policy_change.run_id = runs.run_id
    where runs.state = 'published'
),

seen as (
    select
        changes.run_id,
        count(distinct outcomes.customer_id) as warned,
        count(distinct outcomes.customer_id) filter (where outcomes.is_churned) as churned
    from changes
    inner join runs
        on changes.policy_hash = runs.policy_hash
        and changes.as_of_date <= runs.as_of_date
        and changes.published_at <= runs.published_at
        and coalesce(changes.until_at > runs.published_at, true)
    inner join outcomes on runs.run_id = outcomes.opened_run_id
    group by changes.run_id
)

select
    changes.run_id,
    changes.as_of_date,
    changes.changed_at,
    changes.changed_by,
    changes.policy_hash,
    changes.previous_run_id,
    changes.previous_hash,
    changes.differences,
    changes.expected ->> 'basis' as expected_basis,
    (changes.expected -> 'precision' ->> 'after')::numeric as expected_accuracy,
    (changes.expected -> 'precision' ->> 'difference')::numeric as expected_accuracy_gain,
    (changes.expected -> 'precision' ->> 'low')::numeric as expected_accuracy_gain_low,
    (changes.expected -> 'precision' ->> 'high')::numeric as expected_accuracy_gain_high,
    (changes.expected -> 'recall' ->> 'difference')::numeric as expected_recall_gain,
    (changes.expected -> 'recall' ->> 'low')::numeric as expected_recall_gain_low,
    (changes.expected -> 'recall' ->> 'high')::numeric as expected_recall_gain_high,
    (changes.expected -> 'warnings_a_day' ->> 'after')::numeric as expected_warnings_a_day,
    coalesce(seen.warned, 0) as seen_warned,
    coalesce(seen.churned, 0) as seen_churned,
    {{ share('seen.churned', 'seen.warned') }} as seen_accuracy
from changes
left join seen on changes.run_id = seen.run_id
