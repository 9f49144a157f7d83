{#-
  dbt's `table`, except that a table which is there is emptied and filled where it stands, in one transaction. dbt would
  make another one, rename it and drop the old one with every view on it, so that all of those had to be made again
  every day. A build from scratch makes it anew, since its columns may be others.
-#}
{%- materialization table, adapter='postgres' -%}

{%- set existing_relation = load_cached_relation(this) -%}
{%- set target_relation = this.incorporate(type='table') -%}
{%- set is_kept = existing_relation is not none and existing_relation.is_table and not flags.FULL_REFRESH -%}

{{ run_hooks(pre_hooks, inside_transaction=False) }}
{{ run_hooks(pre_hooks, inside_transaction=True) }}

{%- if is_kept -%}
{%- call statement('empty') -%}
truncate {{ target_relation }}
{%- endcall -%}
{%- call statement('main') -%}
insert into {{ target_relation }}
{{ sql }}
{%- endcall -%}
{%- else -%}
{%- do adapter.drop_relation(existing_relation) if existing_relation is not none -%}
{%- call statement('main') -%}
{{ get_create_table_as_sql(False, target_relation, sql) }}
{%- endcall -%}
{%- do create_indexes(target_relation) -%}
{%- endif -%}

{{ run_hooks(post_hooks, inside_transaction=True) }}
{%- do adapter.commit() -%}
{{ run_hooks(post_hooks, inside_transaction=False) }}

{{ return({'relations': [target_relation]}) }}

{%- endmaterialization -%}
