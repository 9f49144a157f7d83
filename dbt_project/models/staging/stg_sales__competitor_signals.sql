-- Signs of competitors observed by the as-of date.
with run as (select * from {{ ref('stg_ops__run') }}),

signals as (select * from {{ ref('base_sales__competitor_signals') }} where not _is_deleted)

select
    signals.customer_id,
    signals.signal_id,
    signals.observed_on,
    coalesce(signals.has_customer_interest, false) as has_customer_interest
from signals
inner join run on signals.observed_on <= run.as_of_date
