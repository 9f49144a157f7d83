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
{%- for column in meta.found_by %}
union all
select {{ columns | join(', ') }}
from {{ rows }}
where {{ passed(column) }}
{%- endfor %}
{%- endif -%}
{%- endmacro -%}

{#- The batches whose rows may not be counted yet, as an array: the new ones, and those that a build took in that died, be
    they behind a newer snapshot by now. Its rows that say the same have not replaced theirs. -#}
{%- macro batches_not_counted(base) -%}
{%- set batches = ref('stg_ops__batches') -%}
{%- if execute and load_relation(batches) -%}
{%- set of_data_set = "data_set = '" ~ data_set_of(base) ~ "'" -%}
{%- set found = run_query(
    "select quote_literal(coalesce(array_agg(batch_id order by batch_id), '{}')) from ("
    ~ "select batch_id from " ~ batches ~ " where is_new and " ~ of_data_set
    ~ " union select batch_id from " ~ source('ops', 'batch')
    ~ " where not is_staged and state = 'accepted' and " ~ of_data_set ~ ") as found"
) -%}
{{ found.rows[0][0] }}::bigint[]
{%- else -%}
'{}'::bigint[]
{%- endif -%}
{%- endmacro -%}

{#- Whether a row's time lies between the moments that the kept tables stood for and this run's, or did so many days ago.
    Asked for beforehand, like the batches. -#}
{%- macro passed(column, days_ago=0) -%}
{%- set run = ref('stg_ops__run') -%}
{%- if not execute or not load_relation(run) -%}
false
{%- else -%}
{%- set staged = run_query(
    'select quote_nullable(staged_from_at), quote_nullable(staged_to_at),'
    ~ ' quote_nullable(staged_from_date - ' ~ days_ago ~ '), quote_nullable(staged_to_date - ' ~ days_ago ~ ') from ' ~ run
).rows[0] -%}
{%- if column.endswith('_at') -%}
{{ column }} >= {{ staged[0] }} and {{ column }} < {{ staged[1] }}
{%- else -%}
{{ column }} > {{ staged[2] }} and {{ column }} <= {{ staged[3] }}
{%- endif -%}
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

{#- What a kept table is counted from: the changed keys' rows, or from scratch all. `within` is a further condition on
    `kept`, which may name `run`. -#}
{%- macro of_changed(relation, changed, keys, within='') -%}
{{ looked_up(relation, changed, equal('kept', 'changed', keys), within) }}
{%- endmacro -%}

{#- The same for the rows of a customer's changed months. -#}
{%- macro of_changed_months(relation, day) -%}
{%- set of_month = 'kept.customer_id = changed.customer_id and kept.' ~ day ~ ' >= changed.month and kept.' ~ day
    ~ ' < ' ~ month_after('changed.month') -%}
{{ looked_up(relation, 'int_cells_changed', of_month) }}
{%- endmacro -%}

{#- Rows looked up one changed key after the other. -#}
{%- macro looked_up(relation, changed, condition, within='') -%}
{%- set changed_keys = ref(changed) -%}
select kept.*
{%- if flags.FULL_REFRESH %}
from {{ relation }} as kept
{%- if within %}
inner join {{ ref('stg_ops__run') }} as run on {{ within }}
{%- endif %}
{%- else %}
from {{ changed_keys }} as changed
{%- if within %}
cross join {{ ref('stg_ops__run') }} as run
{%- endif %}
cross join lateral (
    select *
    from {{ relation }} as kept
    where {{ condition }}{{ ' and ' ~ within if within }}
    {{ one_by_one() }}
) as kept
{%- endif %}
{%- endmacro -%}

{#- Holds the planner to looking up. It takes the cut-off of a view for a condition that leaves few rows, and would rather
    read the whole history once. Rows that lie on several machines can't be asked so: there it has to be trusted. -#}
{%- macro one_by_one() -%}
{{ 'offset 0' if not (execute and is_distributed()) }}
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
