{%- macro data_set_of(base) -%}
{{ return(base | replace('base_', '') | replace('__', '.')) }}
{%- endmacro -%}

{#- The batches of a base table's data set that are new to staging, as an array. -#}
{%- macro new_batches(base, only_snapshots=false) -%}
{{ batches_found(
    "select batch_id from " ~ ref('stg_ops__batches') ~ " where is_new and data_set = '" ~ data_set_of(base) ~ "'"
    ~ (' and is_snapshot' if only_snapshots else '')
) }}
{%- endmacro -%}

{#- The batches whose rows may not be counted yet, as an array: the new ones, and those that a build took in that died, be
    they behind a newer snapshot by now. Its rows that say the same have not replaced theirs. -#}
{%- macro batches_not_counted(base) -%}
{{ batches_found(
    "select batch_id from " ~ ref('stg_ops__batches') ~ " where is_new and data_set = '" ~ data_set_of(base) ~ "'"
    ~ " union select batch_id from " ~ source('ops', 'batch')
    ~ " where not is_staged and state = 'accepted' and data_set = '" ~ data_set_of(base) ~ "'"
) }}
{%- endmacro -%}

{#- Asked for beforehand, so that the planner sees the numbers, knows how few rows they stand for, and looks those up. -#}
{%- macro batches_found(query) -%}
{%- if execute and load_relation(ref('stg_ops__batches')) -%}
{%- set found = run_query(
    "select quote_literal(coalesce(array_agg(batch_id order by batch_id), '{}')) from (" ~ query ~ ") as found"
) -%}
{{ found.rows[0][0] }}::bigint[]
{%- else -%}
'{}'::bigint[]
{%- endif -%}
{%- endmacro -%}
