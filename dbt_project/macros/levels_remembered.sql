{#- The levels that customers held in earlier runs (who has a raw level holds one); an empty relation of the same shape
    before the first run ever. -#}
{%- macro levels_remembered(levels, runs) -%}
{%- if is_incremental() -%}
select
    levels.customer_id,
    levels.warning_level,
    levels.raw_level,
    levels.raw_source_codes,
    levels.level_source_codes,
    levels.level_since,
    levels.peak_level,
    runs.is_previous,
    runs.is_in_cooldown,
    runs.as_of_date
from {{ levels }} as levels
inner join {{ runs }} as runs on levels.run_id = runs.run_id
where levels.warning_level is not null
{%- else -%}
select
    null::text as customer_id,
    null::integer as warning_level,
    null::integer as raw_level,
    null::text[] as raw_source_codes,
    null::text[] as level_source_codes,
    null::date as level_since,
    null::integer as peak_level,
    false as is_previous,
    false as is_in_cooldown,
    null::date as as_of_date
from {{ runs }}
where false
{%- endif %}
{%- endmacro -%}
