-- Every change of the policy: who, when, what, what was expected of it, and what has been seen since. A customer is
-- seen once, from the first day on which the new policy put it at level 1 or 2, by what is known 90 days later.
with published as (
    select
        publication.as_of_date,
        runs.run_id,
        runs.policy_hash
    from {{ source('ops', 'publication') }} as publication
    inner join {{ source('ops', 'run') }} as runs on publication.run_id = runs.run_id
),

levels as (select * from {{ ref('fct_customer_levels') }} where warning_level is not null and raw_level <= 2),

customers as (select * from {{ ref('dim_customers') }}),

changes as (
    select
        policy_change.*,
        lead(policy_change.as_of_date) over (order by policy_change.run_id) as until_date
    from {{ source('ops', 'policy_change') }} as policy_change
),

warned as (
    select
        levels.customer_id,
        changes.run_id,
        min(published.as_of_date) as warned_on
    from changes
    inner join published
        on changes.policy_hash = published.policy_hash
        and changes.as_of_date <= published.as_of_date
        and coalesce(changes.until_date > published.as_of_date, true)
    inner join levels on published.run_id = levels.run_id
    group by levels.customer_id, changes.run_id
),

horizons_over as (
    select
        warned.customer_id,
        warned.run_id,
        warned.warned_on,
        min(published.as_of_date) as seen_on
    from warned
    inner join published on warned.warned_on + 90 <= published.as_of_date
    group by warned.customer_id, warned.run_id, warned.warned_on
),

seen as (
    select
        horizons_over.run_id,
        count(horizons_over.customer_id) as warned,
        count(horizons_over.customer_id) filter (where customers.last_ordered_on > horizons_over.warned_on) as kept
    from horizons_over
    inner join published on horizons_over.seen_on = published.as_of_date
    left join customers on horizons_over.customer_id = customers.customer_id and published.run_id = customers.run_id
    group by horizons_over.run_id
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
    coalesce(seen.warned - seen.kept, 0) as seen_churned,
    round((seen.warned - seen.kept)::numeric / seen.warned, 4) as seen_accuracy
from changes
left join seen on changes.run_id = seen.run_id
