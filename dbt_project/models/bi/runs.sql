-- Every run, published or not.
with runs as (select * from {{ source('ops', 'run') }})

select
    run_id,
    as_of_date,
    as_of_at,
    state,
    published_at,
    previous_run_id,
    policy_hash,
    is_backfill,
    stale_data_sets
from runs
