{#- Words that readers' views contain are exchanged as rows, and may get columns at their end; dbt's truncate would wait
    behind every reader, and they behind it. -#}
{%- macro postgres__reset_csv_table(model, full_refresh, old_relation, agate_table) -%}
{%- set old_columns = adapter.get_columns_in_relation(old_relation) | map(attribute='name') | list -%}
{%- set columns = agate_table.column_names | list -%}
{%- if old_columns == columns[:old_columns | length] -%}
{%- for column in columns[old_columns | length:] -%}
{%- do run_query('alter table ' ~ old_relation ~ ' add column ' ~ column ~ ' ' ~ model.config.column_types[column]) -%}
{%- endfor -%}
{%- set sql = 'delete from ' ~ old_relation -%}
{%- call statement('empty') -%}{{ sql }}{%- endcall -%}
{{ return(sql) }}
{%- else -%}
{{ return(dbt.default__reset_csv_table(model, true, old_relation, agate_table)) }}
{%- endif -%}
{%- endmacro -%}

{#- A seed's table has a primary key like every table: its meta.key. -#}
{%- macro postgres__create_csv_table(model, agate_table) -%}
{%- set sql = dbt.default__create_csv_table(model, agate_table) -%}
{%- call statement('key') -%}
alter table {{ this }} add primary key ({{ model.config.meta.key | join(', ') }})
{%- endcall -%}
{{ return(sql) }}
{%- endmacro -%}
