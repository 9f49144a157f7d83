{{ config(materialized='table', meta={'key': ['batch_id']}) }}

-- The batches this run reads: of each data set the newest snapshot and what was appended since, or all that was
-- appended. New are those that staging has not taken in yet; behind a new snapshot, and from scratch, all are.
with run as (select * from {{ ref('stg_ops__run') }}),

batches as (select * from {{ source('ops', 'batch') }}),

accepted as (
    select
        batches.batch_id,
        batches.data_set,
        batches.mode = 'snapshot' as is_snapshot,
        batches.is_staged,
        max(batches.batch_id) filter (where batches.mode = 'snapshot') over (partition by batches.data_set)
            as newest_snapshot_id
    from batches
    inner join run on batches.batch_id <= run.through_batch_id
    where batches.state = 'accepted'
),

current_batches as (
    select
        accepted.*,
        bool_or(accepted.batch_id = accepted.newest_snapshot_id and not accepted.is_staged)
            over (partition by accepted.data_set) as has_new_snapshot
    from accepted
    where accepted.batch_id >= coalesce(accepted.newest_snapshot_id, 0)
)

select
    batch_id,
    data_set,
    is_snapshot,
    {{ 'true' if flags.FULL_REFRESH else 'not is_staged or coalesce(has_new_snapshot, false)' }} as is_new
from current_batches
