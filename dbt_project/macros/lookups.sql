{#- What a kept table is counted from: the changed keys' rows, or from scratch all. `within` is a further condition on
    `kept`, which may name `run`. -#}
{%- macro of_changed(relation, changed, keys, within='') -%}
{{ looked_up(relation, changed, equal('kept', 'changed', keys), within) }}
{%- endmacro -%}

{#- The same for the rows of a customer's changed months. -#}
{%- macro of_changed_months(relation, day) -%}
{{ looked_up(relation, 'int_cells_changed', 'kept.customer_id = changed.customer_id and ' ~ in_changed_month(day)) }}
{%- endmacro -%}

{%- macro in_changed_month(day) -%}
kept.{{ day }} >= changed.month and kept.{{ day }} < {{ month_after('changed.month') }}
{%- endmacro -%}

{#- Rows looked up one changed key after the other; read at once where all are. -#}
{%- macro looked_up(relation, changed, condition, within='') -%}
{%- set changed_keys = ref(changed) -%}
select kept.*
{%- if is_all_in(changed) or flags.FULL_REFRESH %}
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

{#- The tickets of a run's last days, found by day for the same reason. Stands behind `run` and what `days` names. -#}
{%- macro tickets_of_last_days(days) -%}
select *
from {{ ref('stg_service__tickets') }}
where opened_on > run.as_of_date - {{ days }}::integer and opened_on <= run.as_of_date
{{ one_by_one() }}
{%- endmacro -%}

{#- The lines of an order that a row names, found by their order for the same reason. From scratch all are read at once. -#}
{%- macro lines_of(relation) -%}
select product_id
from {{ ref('stg_sales__order_lines') }} as lines
where {{ equal('lines', relation, ['customer_id', 'order_id']) }}
{{ one_by_one() if not flags.FULL_REFRESH }}
{%- endmacro -%}

{#- The days of what names an order whose lines changed. -#}
{%- macro days_of_relined(base, day, condition='true') -%}
select of_order.{{ day }} as happened_on
from {{ ref('int_orders_relined') }} as relined
cross join lateral (
    select {{ day }}
    from {{ ref(base) }} as kept
    where {{ equal('kept', 'relined', ['customer_id', 'order_id']) }} and {{ condition }}
    {{ one_by_one() }}
) as of_order
{%- endmacro -%}
