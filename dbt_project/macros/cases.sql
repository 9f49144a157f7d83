{#- The cases that the run before left, open or closed a short while ago. It reads what fct_warning_cases will add to, so
    no model stands for it; before the first run there is none. -#}
{%- macro cases_remembered() -%}
{%- set cases = source('remembered', 'fct_warning_cases') -%}
{%- if not execute -%}
select 1
{%- elif load_relation(cases) -%}
select
    cases.*,
    row_number() over (
        partition by cases.customer_id order by cases.closed_on desc nulls first, cases.opened_on desc, cases.case_id desc
    ) = 1 as is_last
from {{ cases }} as cases
inner join run
    on cases.run_id = run.previous_run_id
    and coalesce(run.as_of_date - cases.closed_on <= run.reopen_days, true)
{%- else -%}
select
    {%- for column in graph.nodes['model.early_warning.fct_warning_cases'].columns.values() %}
    null::{{ column.data_type }} as {{ column.name }},
    {%- endfor %}
    null::boolean as is_last
from run
where false
{%- endif %}
{%- endmacro -%}
