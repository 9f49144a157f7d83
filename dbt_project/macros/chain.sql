{#- The newest published run and all that it goes on from, as CTEs behind `with recursive`: what stands beside these, like a
    back-fill of a past day, is a story of its own. -#}
{%- macro chain_of_the_newest() -%}
runs as (select * from {{ source('ops', 'run') }}),

published as (select * from {{ source('ops', 'publication') }}),

newest as (select max(as_of_date) as as_of_date from published),

chain as (
    select
        runs.run_id,
        runs.previous_run_id,
        true as is_newest
    from runs
    inner join published on runs.run_id = published.run_id
    inner join newest on published.as_of_date = newest.as_of_date
    union all
    select
        runs.run_id,
        runs.previous_run_id,
        false as is_newest
    from runs
    inner join chain on runs.run_id = chain.previous_run_id
)
{%- endmacro -%}
