{#-
  Where the warehouse spreads over machines (the Citus extension), a new table is placed before its rows come: by
  customer_id, so that a customer's rows are together, or whole on every machine if it has none. On plain PostgreSQL this
  is dbt's own. Nothing temporary is ever asked for: `table.sql` writes rows where they stay.
-#}
{%- macro postgres__create_table_as(temporary, relation, sql) -%}
{%- if not is_distributed() -%}
{{ dbt.postgres__create_table_as(temporary, relation, sql) }}
{%- else -%}
{%- call statement('create_empty') -%}
create table {{ relation }}
{%- if config.get('contract').enforced -%}
{{ get_assert_columns_equivalent(sql) }}
{{ get_table_columns_and_constraints() }}
{%- else %}
as (
{{ sql }}
) with no data
{%- endif -%}
{%- endcall -%}
{%- set columns = adapter.get_columns_in_relation(relation) | map(attribute='quoted') | list -%}
{%- call statement('place') -%}
{%- if adapter.quote('customer_id') in columns -%}
select create_distributed_table('{{ relation }}', 'customer_id')
{%- else -%}
select create_reference_table('{{ relation }}')
{%- endif -%}
{%- endcall -%}
insert into {{ relation }} ({{ columns | join(', ') }})
select {{ columns | join(', ') }}
from (
{{ sql }}
) as built
{%- endif -%}
{%- endmacro -%}

{#- Whether tables can be placed: whether the function is there that places them. -#}
{%- macro is_distributed() -%}
{{ return(run_query("select 1 from pg_proc where proname = 'create_distributed_table'").rows | length > 0) }}
{%- endmacro -%}
