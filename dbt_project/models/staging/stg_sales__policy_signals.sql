-- Policies that concern an industry, as known by the as-of date.
with run as (select * from {{ ref('stg_ops__run') }}),

newest as ({{ newest_of_few('sales_policy_signals', 'signal_id') }})

select
    newest.signal_id,
    newest.industry,
    newest.effect,
    coalesce(newest.effective_on, newest.observed_on) as in_force_since
from newest
inner join run on newest.observed_on <= run.as_of_date
where not newest._is_deleted
