-- Policies that concern an industry, as known by the as-of date. So few that versions are sorted out when asked for.
with run as (select * from {{ ref('stg_ops__run') }}),

batches as (select * from {{ ref('stg_ops__batches') }}),

versions as (
    select signals.*
    from {{ source('landing', 'sales_policy_signals') }} as signals
    inner join batches on signals._batch_id = batches.batch_id
),

newest as (
    select distinct on (signal_id) *
    from versions
    order by signal_id asc, updated_at desc nulls last, _batch_id desc
)

select
    newest.signal_id,
    newest.industry,
    newest.effect,
    coalesce(newest.effective_on, newest.observed_on) as in_force_since
from newest
inner join run on newest.observed_on <= run.as_of_date
where not newest._is_deleted
