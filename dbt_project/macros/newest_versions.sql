{#-
  The base tables: the newest version of each record that the run's batches hold, whatever the moment. Newest is by the
  source's own updated_at, else by arrival, so that an old file that comes late undoes nothing. A build reads the batches
  that are new to staging, no others. A model says in meta: `record` (the columns that identify a record at its source),
  `columns` (what is kept of it), `dates` (days of a timestamp in the company's time zone), `cell` (what it is counted in).
-#}

{%- macro landing_table() -%}
{{ return(model.name | replace('base_', '') | replace('__', '_')) }}
{%- endmacro -%}

{#- Rows of the batches that are new to staging. -#}
{%- macro arrived_rows() -%}
select *
from {{ source('landing', landing_table()) }}
where _batch_id = any({{ new_batches(model.name) }})
{%- endmacro -%}

{%- macro newest_versions() -%}
{%- set arrived = arrived_rows() -%}
{%- set run = ref('stg_ops__run') -%}
{%- if execute -%}
{%- set meta = model.config.meta -%}
select distinct on ({{ prefixed('arrived', meta.record) }})
    arrived.customer_id,
    {%- for column in meta.record if column != 'customer_id' %}
    arrived.{{ column }},
    {%- endfor %}
    {%- for column in meta['columns'] %}
    arrived.{{ column }},
    {%- endfor %}
    {%- for day, stamp in meta.get('dates', {}).items() %}
    (arrived.{{ stamp }} at time zone run.time_zone)::date as {{ day }},
    {%- endfor %}
    arrived.updated_at,
    arrived._is_deleted,
    arrived._batch_id
from ({{ arrived }}) as arrived
cross join {{ run }} as run
{%- if is_incremental() %}
where not exists (select from {{ this }} as kept where {{ equal('kept', 'arrived', meta.record) }})
{%- endif %}
order by {{ prefixed('arrived', meta.record) }}, arrived.updated_at desc nulls last, arrived._batch_id desc
{%- else -%}
select 1
{%- endif -%}
{%- endmacro -%}

{#- The same of a data set so small that nothing is kept of it: its versions are sorted out when they are asked for. -#}
{%- macro newest_of_few(table, key) -%}
select distinct on ({{ key }}) versions.*
from {{ source('landing', table) }} as versions
inner join {{ ref('stg_ops__batches') }} as batches on versions._batch_id = batches.batch_id
order by {{ key }} asc, versions.updated_at desc nulls last, versions._batch_id desc
{%- endmacro -%}

{#- Before the new versions go in: what they replace goes out. A version that says nothing new replaces nothing. -#}
{%- macro remove_replaced_versions() -%}
{%- if is_incremental() -%}
with arrived as ({{ arrived_rows() }}),

left_rows as (
    delete from {{ this }} as kept
    using arrived
    where
        {{ equal('kept', 'arrived', model.config.meta.record) }}
        and (coalesce(arrived.updated_at, '-infinity'), arrived._batch_id)
        >= (coalesce(kept.updated_at, '-infinity'), kept._batch_id)
        and not {{ same_version() }}
    returning kept.*
)
{{ remember_cells_left() }}
{%- endif -%}
{%- endmacro -%}

{#- A new snapshot is the whole state: what it does not repeat is gone, however new that was. -#}
{%- macro remove_vanished_records() -%}
{%- if is_incremental() and '{}' not in new_batches(model.name, only_snapshots=true) -%}
with arrived as ({{ arrived_rows() }}),

left_rows as (
    delete from {{ this }} as kept
    where not exists (
        select from arrived where {{ equal('kept', 'arrived', model.config.meta.record) }} and {{ same_version() }}
    )
    returning kept.*
)
{{ remember_cells_left() }}
{%- endif -%}
{%- endmacro -%}

{%- macro remember_cells_left() -%}
insert into {{ source('ops', 'cell_left') }} (customer_id, data_set, cell)
select distinct customer_id, '{{ data_set_of(model.name) }}', {{ model.config.meta.cell }}
from left_rows
on conflict do nothing
{%- endmacro -%}

{%- macro same_version() -%}
{%- set compared = ['customer_id'] + model.config.meta['columns'] + ['updated_at', '_is_deleted'] -%}
({{ prefixed('kept', compared) }}) is not distinct from ({{ prefixed('arrived', compared) }})
{%- endmacro -%}

{%- macro prefixed(relation, columns) -%}
{%- for column in columns %}{{ relation }}.{{ column }}{{ ', ' if not loop.last }}{% endfor -%}
{%- endmacro -%}

{%- macro equal(one, other, columns) -%}
{%- for column in columns %}{{ one }}.{{ column }} = {{ other }}.{{ column }}{{ ' and ' if not loop.last }}{% endfor -%}
{%- endmacro -%}
