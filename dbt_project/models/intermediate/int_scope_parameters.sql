{{ config(meta={'key': ['scope', 'indicator_code', 'parameter']}) }}

-- Grain: scope that occurs × indicator × parameter. Its values on the as-of date: those of the most specific entry that
-- applies. A small reference table.
with run as (select * from {{ ref('stg_ops__run') }}),

scopes as (select distinct scope from {{ ref('int_customer_scopes') }}),

entries as (
    select
        entries.*,
        jsonb_strip_nulls(
            jsonb_build_object(
                'segment', nullif(entries.segment, ''),
                'industry', nullif(entries.industry, ''),
                'region', nullif(entries.region, '')
            )
        ) as attributes
    from {{ source('policy', 'indicator_parameters') }} as entries
    inner join run
        on entries.policy_hash = run.policy_hash
        and run.as_of_date between entries.valid_from and entries.valid_until
)

select distinct on (scopes.scope, entries.indicator_code, entries.parameter)
    scopes.scope,
    entries.indicator_code,
    entries.parameter,
    entries.serious,
    coalesce(entries.watch, entries.serious) as watch
from scopes
inner join entries on scopes.scope::jsonb @> entries.attributes
order by scopes.scope asc, entries.indicator_code asc, entries.parameter asc, entries.specificity desc
