{{ config(materialized='view') }}

-- Grain: customer. Its scope in this run: those of its attributes that the policy makes an exception for, as JSON; '{}'
-- for most. So there are few scopes, however many segments, industries and regions.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('stg_sales__customers') }}),

entries as (select * from {{ source('policy', 'indicator_parameters') }}),

named as (
    select
        array_agg(distinct entries.segment) as segments,
        array_agg(distinct entries.industry) as industries,
        array_agg(distinct entries.region) as regions
    from entries
    inner join run on entries.policy_hash = run.policy_hash
)

select
    customers.customer_id,
    jsonb_strip_nulls(
        jsonb_build_object(
            'segment', case when customers.segment = any(named.segments) then customers.segment end,
            'industry', case when customers.industry = any(named.industries) then customers.industry end,
            'region', case when customers.region = any(named.regions) then customers.region end
        )
    )::text as scope
from customers
cross join named
