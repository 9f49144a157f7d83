-- Grain: customer. The terms in force at the as-of date.
with run as (select * from {{ ref('stg_ops__run') }}),

terms as (select * from {{ ref('base_finance__credit_terms') }} where not _is_deleted)

select distinct on (terms.customer_id)
    terms.customer_id,
    terms.valid_from,
    nullif(greatest(terms.credit_limit, 0), 0) as credit_limit
from terms
inner join run on terms.valid_from <= run.as_of_date
order by terms.customer_id asc, terms.valid_from desc
