{#- The names of all ind_ models, given by the transform room from the files it finds, so that nobody lists them. -#}
{%- macro indicator_codes() -%}
{{ return(env_var('EARLY_WARNING_INDICATORS').split(',')) }}
{%- endmacro -%}

{#- One row a scope with the parameters of an indicator, all that its model names or some: <name> for serious,
    watch_<name> for watch. Months are whole: as numeric they are a third of what counting closed months costs. -#}
{%- macro indicator_parameters(code=none, names=none) -%}
{%- set code = code or model.name | replace('ind_', '') -%}
select
    scope,
    {%- for name in names or model.config.get('meta', {}).get('parameters', {}) %}
    {%- set whole = '::integer' if name.endswith('months') %}
    (max(serious) filter (where parameter = '{{ name }}')){{ whole }} as {{ name }},
    (max(watch) filter (where parameter = '{{ name }}')){{ whole }} as watch_{{ name }}{{ "," if not loop.last }}
    {%- endfor %}
from {{ ref('int_scope_parameters') }}
where indicator_code = '{{ code }}'
group by scope
{%- endmacro -%}

{#- A sum over the baseline's months as a monthly figure; null while the customer has too few months. `months`: how many
    there were from its first order's month to the window, of which at most baseline_months count (0 = all). -#}
{%- macro baseline(amount, months) -%}
case
    when {{ has_baseline(months) }}
        then {{ amount }} / least({{ months }}, coalesce(nullif(parameters.baseline_months, 0), {{ months }}))
end
{%- endmacro -%}

{#- The codes of all indicators, as an array. -#}
{%- macro all_codes() -%}
array[
    {%- for code in indicator_codes() %}
    '{{ code }}'{{ "," if not loop.last }}
    {%- endfor %}
]
{%- endmacro -%}

{#- One figure of all indicators, in the order of their codes, as an array; null where an indicator is unknown. -#}
{%- macro side_by_side(column) -%}
array[
    {%- for code in indicator_codes() %}
    case when {{ code }}.state <> 'unknown' then {{ code }}.{{ column }} end{{ "," if not loop.last }}
    {%- endfor %}
]
{%- endmacro -%}

{#- The same of what an unknown one has too, with what stands for it where nobody can be judged by the indicator:
    `blind_reason` is why. -#}
{%- macro side_by_side_or_blind(column, if_blind) -%}
array[
    {%- for code in indicator_codes() %}
    coalesce({{ code }}.{{ column }}, {{ if_blind | replace('blind_reason', 'customers.blind_reasons[' ~ loop.index ~ ']') }})
    {{- "," if not loop.last }}
    {%- endfor %}
]
{%- endmacro -%}

{#- States that were joined into one text ('unknown' for none), as bits: whether each is one of those named. -#}
{%- macro state_bits(states, named) -%}
{%- set bits = namespace(text=states) -%}
{%- for state in ['serious', 'watch', 'clear', 'unknown'] -%}
{%- set bits.text = "replace(" ~ bits.text ~ ", '" ~ state ~ "', '" ~ ('1' if state in named else '0') ~ "')" -%}
{%- endfor -%}
{{ bits.text }}::varbit
{%- endmacro -%}

{#- The unit of a row's figures: the policy's, but where a model says that what it tells without a baseline is another
    kind of figure. -#}
{%- macro unit(row, of_policy) -%}
case
    {%- for code in indicator_codes() if execute %}
    {%- set other = graph.nodes['model.early_warning.ind_' ~ code].config.meta.unit_without_baseline %}
    {%- if other %}
    when {{ row }}.indicator_code = '{{ code }}' and {{ row }}.value is not null and {{ row }}.baseline is null then '{{ other }}'
    {%- endif %}
    {%- endfor %}
    else {{ of_policy }}
end
{%- endmacro -%}
