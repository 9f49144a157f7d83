{#- The cases that the run before left, open or closed a short while ago. It reads what fct_warning_cases will add to, so
    no model stands for it; before the first run there is none, and after an upgrade a column may not be there yet. The run
    is asked for by a subquery: joined, it is taken for one that left hardly any case. -#}
{%- macro cases_remembered() -%}
{%- set cases = source('remembered', 'fct_warning_cases') -%}
{%- if not execute -%}
select 1
{%- else -%}
{%- set columns = graph.nodes['model.early_warning.fct_warning_cases'].columns -%}
{%- set is_there = load_relation(cases) is not none -%}
{%- if not is_there -%}
{%- set there = [] -%}
{%- elif flags.FULL_REFRESH -%}
{%- set there = adapter.get_columns_in_relation(cases) | map(attribute='name') | list -%}
{%- else -%}
{%- set there = columns.keys() | list -%}
{%- endif -%}
select
    {%- for column in columns.values() %}
    {{ 'cases.' ~ column.name if column.name in there else 'null::' ~ column.data_type ~ ' as ' ~ column.name }},
    {%- endfor %}
    {%- if is_there %}
    row_number() over (
        partition by cases.customer_id order by cases.closed_on desc nulls first, cases.opened_on desc, cases.case_id desc
    ) = 1 as is_last
from {{ cases }} as cases
inner join run on coalesce(run.as_of_date - cases.closed_on <= run.reopen_days, true)
where cases.run_id = (select previous_run_id from run)
    {%- else %}
    null::boolean as is_last
from run
where false
    {%- endif %}
{%- endif %}
{%- endmacro -%}
