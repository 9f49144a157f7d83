-- Interactions before the cut-off.
with run as (select * from {{ ref('stg_ops__run') }}),

interactions as (select * from {{ ref('base_sales__interactions') }} where not _is_deleted)

select
    interactions.customer_id,
    interactions.interaction_id,
    interactions.channel,
    interactions.occurred_on
from interactions
inner join run on interactions.occurred_at < run.as_of_at
