{#-
  What changed since the tables that are kept from build to build were last right: rows of the batches that are new, and
  rows whose time lies between what those tables stood for and this run's moment (the day that has passed; all of the
  days between, forth or back, when a run judges another time). A build from scratch asks nobody: it counts everything.
-#}
{%- macro changed_rows(base, columns) -%}
{%- set rows, run, batches = ref(base), ref('stg_ops__run'), new_batches(base) -%}
select {{ columns | join(', ') }}
from {{ rows }}
{%- if flags.FULL_REFRESH or not execute or not load_relation(run) %}
where false
{%- else %}
where _batch_id = any({{ batches }})
{%- set meta = (graph.nodes.values() | selectattr('name', 'equalto', base) | first).config.meta -%}
{%- set staged = run_query(
    'select quote_literal(staged_from_at), quote_literal(staged_to_at), quote_literal(staged_from_date),'
    ~ ' quote_literal(staged_to_date) from ' ~ run
).rows[0] -%}
{%- for column in meta.found_by %}
union all
select {{ columns | join(', ') }}
from {{ rows }}
{%- if column.endswith('_at') %}
where {{ column }} >= {{ staged[0] }} and {{ column }} < {{ staged[1] }}
{%- else %}
where {{ column }} > {{ staged[2] }} and {{ column }} <= {{ staged[3] }}
{%- endif %}
{%- endfor %}
{%- endif -%}
{%- endmacro -%}

{#- Pre-hook of a kept table: rows of the keys that changed go out before they come in anew (or, emptied, do not). -#}
{%- macro delete_changed(changed, keys) -%}
{%- if is_incremental() -%}
delete from {{ this }} as kept
using {{ ref(changed) }} as changed
where {{ equal('kept', 'changed', keys) }}
{%- endif -%}
{%- endmacro -%}

{#- What a kept table is counted from: the changed keys' rows, or from scratch all. -#}
{%- macro of_changed(relation, changed, keys) -%}
{%- set changed_keys = ref(changed) -%}
select kept.*
from {{ relation }} as kept
{%- if not flags.FULL_REFRESH %}
inner join {{ changed_keys }} as changed on {{ equal('kept', 'changed', keys) }}
{%- endif %}
{%- endmacro -%}

{#- The same for the rows of a customer's changed months. -#}
{%- macro of_changed_months(relation, day) -%}
{%- set changed_cells = ref('int_cells_changed') -%}
select kept.*
from {{ relation }} as kept
{%- if not flags.FULL_REFRESH %}
inner join {{ changed_cells }} as changed
    on kept.customer_id = changed.customer_id
    and kept.{{ day }} >= changed.month
    and kept.{{ day }} < {{ month_after('changed.month') }}
{%- endif %}
{%- endmacro -%}

{#- Whole months from a day's month to the open one: 1 = the last closed month, 0 = the open one. -#}
{%- macro months_ago(day) -%}
(
    extract(year from run.open_month) * 12 + extract(month from run.open_month)
    - extract(year from {{ day }}) * 12 - extract(month from {{ day }})
)::integer
{%- endmacro -%}

{#- First day of the month after a day's. -#}
{%- macro month_after(day) -%}
(date_trunc('month', {{ day }}) + interval '1 month')::date
{%- endmacro -%}
