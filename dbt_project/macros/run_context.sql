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

{#- A table made a moment ago has no statistics, and the plans of the next models need them. -#}
{%- macro analyze_table() -%}
{%- if model.config.materialized == 'table' -%}
analyze {{ this }}
{%- endif -%}
{%- endmacro -%}
