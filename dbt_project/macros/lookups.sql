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

{#- The tickets of a run's last days, found by day for the same reason. Stands behind `run` and what `days` names. -#}
{%- macro tickets_of_last_days(days) -%}
select *
from {{ ref('stg_service__tickets') }}
where opened_on > run.as_of_date - {{ days }}::integer and opened_on <= run.as_of_date
{{ one_by_one() }}
{%- endmacro -%}
