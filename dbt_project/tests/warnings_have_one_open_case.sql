-- Who holds a level has one open case, nobody else has any, and a warning says by when to react.
with run as (select * from {{ ref('stg_ops__run') }}),

warnings as (
    select
        levels.customer_id,
        levels.warning_level
    from {{ ref('fct_customer_levels') }} as levels
    inner join run on levels.run_id = run.run_id
    where levels.warning_level is not null
),

open_cases as (
    select
        cases.customer_id,
        count(*) as cases,
        count(cases.deadline_at) as deadlines
    from {{ ref('fct_warning_cases') }} as cases
    inner join run on cases.run_id = run.run_id
    where cases.closed_on is null
    group by cases.customer_id
)

select customer_id
from warnings
full outer join open_cases using (customer_id)
where
    warnings.warning_level is null
    or coalesce(open_cases.cases, 0) <> 1
    or open_cases.deadlines <> 1
