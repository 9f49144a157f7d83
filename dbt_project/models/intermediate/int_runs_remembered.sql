{{ config(materialized='view') }}

-- The earlier runs that hysteresis looks back on: along the chain of previous runs, as long as the cool-down lasts.
with recursive run as (select * from {{ ref('stg_ops__run') }}),

chain as (
    select
        previous.run_id,
        previous.previous_run_id,
        previous.as_of_date
    from {{ source('ops', 'run') }} as previous
    inner join run on previous.run_id = run.previous_run_id
    union all
    select
        previous.run_id,
        previous.previous_run_id,
        previous.as_of_date
    from {{ source('ops', 'run') }} as previous
    inner join chain on previous.run_id = chain.previous_run_id
    cross join run
    where previous.as_of_date > run.as_of_date - run.cooldown_days
)

select
    chain.run_id,
    chain.as_of_date,
    chain.run_id = run.previous_run_id as is_previous,
    chain.as_of_date > run.as_of_date - run.cooldown_days as is_in_cooldown
from chain
cross join run
