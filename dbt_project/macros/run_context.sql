{#- The run reaches SQL as the setting ew.run_id (PGOPTIONS); a dbt var would force a full parse every day. -#}
{%- macro run_id() -%}
current_setting('ew.run_id')::bigint
{%- endmacro -%}

{#- First day of the month in which a cut-off lies. -#}
{%- macro open_month(cut_off) -%}
date_trunc('month', {{ cut_off }} at time zone run.company_time_zone)::date
{%- endmacro -%}

{#- The day that a cut-off judges: the one it lies in, or the one it ends. -#}
{%- macro day_before(cut_off) -%}
(({{ cut_off }} - interval '1 microsecond') at time zone run.company_time_zone)::date
{%- endmacro -%}

{#- The last day that is over at a run's cut-off: the one it ends, or the one before that it lies in. -#}
{%- macro day_over(runs) -%}
(({{ runs }}.as_of_at at time zone {{ runs }}.company_time_zone)::date - 1)
{%- endmacro -%}

{#- Schemas are what the models say, whatever the target's own is called; a run that is computed once more to verify it has
    its own, beside them. -#}
{%- macro generate_schema_name(custom_schema_name, node) -%}
{{ env_var('EARLY_WARNING_SCHEMA_PREFIX', '') ~ (custom_schema_name or target.schema) }}
{%- endmacro -%}

{#- Rows that marts keep of a run that is being built again: gone before the run appends its own. Beside what is published
    nobody asks for another run's. -#}
{%- macro delete_rows_of_this_run() -%}
{%- if is_incremental() and env_var('EARLY_WARNING_SCHEMA_PREFIX', '') -%}
truncate {{ this }}
{%- elif is_incremental() -%}
delete from {{ this }} where run_id = {{ run_id() }}
{%- endif -%}
{%- endmacro -%}

{#- Whether a model's table is made in this build: from scratch, by --full-refresh. -#}
{%- macro is_made_now() -%}
{{ return(execute and flags.FULL_REFRESH and model.config.materialized != 'view' and model.config.full_refresh is not false) }}
{%- endmacro -%}

{#- Every table has a real primary key; a model names its own in meta.key (customer_id first, see the table rules). -#}
{%- macro add_primary_key() -%}
{%- if is_made_now() -%}
alter table {{ this }} add primary key ({{ model.config.meta.key | join(', ') }})
{%- endif -%}
{%- endmacro -%}

{#- How the rows of a base table are found: by record, when a version of it arrives; by batch and by time, in a tiny index
    each, since rows lie in the order in which they came; by day in a b-tree, since these are mostly null or asked for a year
    back, where the planner does not trust the tiny ones. -#}
{%- macro add_base_indexes() -%}
{%- if is_made_now() -%}
{%- for column in ['_batch_id'] + model.config.meta.found_by + model.config.meta.get('dates', {}).keys() | list -%}
{%- if column.endswith('_on') -%}
{%- do run_query('create index on ' ~ this ~ ' (' ~ column ~ ') where ' ~ column ~ ' is not null') -%}
{%- else -%}
{%- do run_query(
    'create index on ' ~ this ~ ' using brin (' ~ column ~ ' '
    ~ ('int8' if column == '_batch_id' else 'timestamptz') ~ '_minmax_multi_ops) with (autosummarize = on)'
) -%}
{%- endif -%}
{%- endfor -%}
create index on {{ this }} ({{ model.config.meta.record | join(', ') }})
{%- endif -%}
{%- endmacro -%}

{#- Another index of a table that is made. -#}
{%- macro add_index(what) -%}
{%- if is_made_now() -%}
create index on {{ this }} {{ what }}
{%- endif -%}
{%- endmacro -%}

{#- Rows written a moment ago are in no statistics: gates and readers would plan as if the newest run had none (the marts'
    gate took a minute instead of a second). Its run_id is what they ask by; the rest stays as last sampled. -#}
{%- macro analyze_run_id() -%}
{%- if model.config.materialized != 'view' -%}
analyze {{ this }} (run_id)
{%- endif -%}
{%- endmacro -%}

{#- A kept table changes little from day to day: it is sampled when it is made, and by the upkeep. One that is filled anew
    every day, and read whole, need only be known to be as large as it is, and in what else it is joined by. -#}
{%- macro analyze_filled_table() -%}
{%- if model.config.materialized == 'table' -%}
analyze {{ this }} ({{ (model.config.meta.get('key', []) + model.config.meta.get('joined_by', [])) | join(', ') }})
{%- elif is_made_now() -%}
analyze {{ this }}
{%- endif -%}
{%- endmacro -%}
