{#-
  The newest version of each record among the batches this run reads, of customers that exist: newest by the source's own
  updated_at, else by arrival, so that an old file that comes late undoes nothing.
  `key`: the record's key without customer_id.
-#}
{%- macro current_rows(table, key) -%}
select distinct on ({{ table }}.customer_id, {{ table }}.{{ key }}) {{ table }}.*
from {{ source('landing', table) }} as {{ table }}
inner join {{ ref('stg_ops__batches') }} as batches on {{ table }}._batch_id = batches.batch_id
inner join {{ ref('stg_sales__customers') }} as customers on {{ table }}.customer_id = customers.customer_id
order by {{ table }}.customer_id asc, {{ table }}.{{ key }} asc, {{ table }}.updated_at desc nulls last, {{ table }}._batch_id desc
{%- endmacro -%}
