{{ config(materialized='view') }}

-- The batches this run reads: of a snapshot the newest, of an append data set all.
with run as (select * from {{ ref('stg_ops__run') }}),

batches as (select * from {{ source('ops', 'batch') }}),

accepted as (
    select
        batches.batch_id,
        batches.data_set,
        batches.mode,
        max(batches.batch_id) over (partition by batches.data_set) as newest_batch_id
    from batches
    inner join run on batches.batch_id <= run.through_batch_id
    where batches.state = 'accepted'
)

select
    batch_id,
    data_set
from accepted
where mode = 'append' or batch_id = newest_batch_id
