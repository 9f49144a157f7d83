{#- The run reaches SQL as the setting ew.run_id (PGOPTIONS); a dbt var would force a full parse every day. -#}
{%- macro run_id() -%}
current_setting('ew.run_id')::bigint
{%- endmacro -%}

{#- Schemas are what the models say, whatever the target's own is called. -#}
{%- macro generate_schema_name(custom_schema_name, node) -%}
{{ custom_schema_name or target.schema }}
{%- endmacro -%}

{#- Rows that marts keep of a run that is being built again: gone before the run appends its own. -#}
{%- macro delete_rows_of_this_run() -%}
{%- if is_incremental() -%}
delete from {{ this }} where run_id = {{ run_id() }}
{%- endif -%}
{%- endmacro -%}

{#- Every table has a real primary key; a model names its own in meta.key (customer_id first, see the table rules). -#}
{%- macro add_primary_key() -%}
{%- if model.config.materialized == 'table' -%}
alter table {{ this }} add primary key ({{ model.config.meta.key | join(', ') }})
{%- endif -%}
{%- endmacro -%}

{#- Rows written a moment ago are in no statistics: the next models, gates and readers would plan as if there were none
    (the marts' gate took a minute instead of a second). Costs a fixed sample, however large the table is. -#}
{%- macro analyze_table() -%}
{%- if model.config.materialized != 'view' -%}
analyze {{ this }}
{%- endif -%}
{%- endmacro -%}
