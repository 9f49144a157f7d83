{#-
  What changed since the tables that are kept from build to build were last right: rows of batches not counted yet, and
  rows whose time lies between what those tables stood for and this run's moment (the day that has passed; all of the
  days between, forth or back, when a run judges another time). A build from scratch asks nobody: it counts everything.
-#}
{%- macro changed_rows(base, columns) -%}
{%- set rows, run, batches = ref(base), ref('stg_ops__run'), batches_not_counted(base) -%}
select {{ columns | join(', ') }}
from {{ rows }}
{%- if flags.FULL_REFRESH or not execute or not load_relation(run) %}
where false
{%- else %}
where _batch_id = any({{ batches }})
{%- set meta = (graph.nodes.values() | selectattr('name', 'equalto', base) | first).config.meta -%}
{%- set staged = staged_range() -%}
{%- for column in meta.found_by %}
union all
select {{ columns | join(', ') }}
from {{ rows }}
where {{ passed(column, staged) }}
{%- endfor %}
{%- endif -%}
{%- endmacro -%}

{#- From where to where the kept tables stood and this run's moment lies, or so many days before: two moments, two dates.
    Asked for beforehand, like the batches. -#}
{%- macro staged_range(days_ago=0) -%}
{%- set run = ref('stg_ops__run') -%}
{%- if execute and load_relation(run) -%}
{{ return(run_query(
    'select quote_nullable(staged_from_at), quote_nullable(staged_to_at),'
    ~ ' quote_nullable(staged_from_date - ' ~ days_ago ~ '), quote_nullable(staged_to_date - ' ~ days_ago ~ ') from ' ~ run
).rows[0]) }}
{%- endif -%}
{{ return(['null'] * 4) }}
{%- endmacro -%}

{#- Whether a row's time lies in between. -#}
{%- macro passed(column, staged) -%}
{%- if column.endswith('_at') -%}
{{ column }} >= {{ staged[0] }} and {{ column }} < {{ staged[1] }}
{%- else -%}
{{ column }} > {{ staged[2] }} and {{ column }} <= {{ staged[3] }}
{%- endif -%}
{%- endmacro -%}

{#- Whether a list of changed keys has all there are, as the run says by the column that its meta.all_if names. -#}
{%- macro is_all_in(changed) -%}
{%- set run = ref('stg_ops__run') -%}
{%- if execute -%}
{%- set all_if = (graph.nodes.values() | selectattr('name', 'equalto', changed) | first).config.meta.get('all_if') -%}
{{ return(all_if is not none and load_relation(run) is not none
    and run_query('select ' ~ all_if ~ ' from ' ~ run).rows[0][0]) }}
{%- endif -%}
{{ return(false) }}
{%- endmacro -%}

{#- Pre-hook of a kept table: rows of the keys that changed go out before they come in anew (or, emptied, do not). -#}
{%- macro delete_changed(changed, keys) -%}
{%- if is_incremental() and is_all_in(changed) -%}
truncate {{ this }}
{%- elif is_incremental() -%}
delete from {{ this }} as kept
using {{ ref(changed) }} as changed
where {{ equal('kept', 'changed', keys) }}
{%- endif -%}
{%- endmacro -%}

{#- Pre-hook of the kept scopes: who has another one, is new or gone is written down, since no row says so afterwards. -#}
{%- macro remember_customers_moved(current) -%}
{%- if is_incremental() -%}
with left_rows as (
    delete from {{ this }} as kept
    where not exists (select from {{ current }} as current where {{ equal('kept', 'current', ['customer_id', 'scope']) }})
    returning kept.customer_id
),

new_rows as (
    select current.customer_id
    from {{ current }} as current
    where not exists (select from {{ this }} as kept where {{ equal('kept', 'current', ['customer_id', 'scope']) }})
)

insert into {{ source('ops', 'cell_left') }} (customer_id, data_set, cell)
select customer_id, 'sales.customers', 'scope' from left_rows
union
select customer_id, 'sales.customers', 'scope' from new_rows
on conflict do nothing
{%- endif -%}
{%- endmacro -%}

{#- The customers whose scope is another since the kept tables were last right. -#}
{%- macro customers_moved() -%}
{%- do ref('int_customer_scopes') -%}
select customer_id
from {{ source('ops', 'cell_left') }}
where data_set = 'sales.customers'
{%- endmacro -%}

{#- Whole months from a day's month to the open one: 1 = the last closed month, 0 = the open one. -#}
{%- macro months_ago(day) -%}
(run.open_month_number - {{ month_number(day) }})
{%- endmacro -%}

{#- Calendar months as whole numbers, one apart. -#}
{%- macro month_number(day) -%}
(date_part('year', {{ day }}) * 12 + date_part('month', {{ day }}))::integer
{%- endmacro -%}

{#- First day of the month after a day's. -#}
{%- macro month_after(day) -%}
(date_trunc('month', {{ day }}) + interval '1 month')::date
{%- endmacro -%}
