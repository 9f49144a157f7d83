-- Published day × pair of indicators.
with published as (select * from {{ source('ops', 'publication') }}),

associations as (select * from {{ ref('fct_indicator_associations') }})

select
    published.as_of_date,
    associations.run_id,
    associations.indicator_code_a,
    associations.indicator_code_b,
    associations.judged_both,
    associations.breached_a,
    associations.breached_b,
    associations.breached_both,
    associations.expected_both,
    associations.lift,
    associations.deviations
from associations
inner join published on associations.run_id = published.run_id
