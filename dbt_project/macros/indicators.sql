{#- The names of all ind_ models, given by the transform room from the files it finds, so that nobody lists them. -#}
{%- macro indicator_codes() -%}
{{ return(env_var('EARLY_WARNING_INDICATORS').split(',')) }}
{%- endmacro -%}

{#- One row with the run's parameters of an indicator: <name> for serious, watch_<name> for watch. -#}
{%- macro indicator_parameters(code, names) -%}
select
    {%- for name in names %}
    max(parameters.serious) filter (where parameters.parameter = '{{ name }}') as {{ name }},
    max(coalesce(parameters.watch, parameters.serious)) filter (where parameters.parameter = '{{ name }}')
        as watch_{{ name }}{{ "," if not loop.last }}
    {%- endfor %}
from {{ source('policy', 'indicator_parameters') }} as parameters
inner join {{ ref('stg_ops__run') }} as run on parameters.policy_hash = run.policy_hash
where parameters.indicator_code = '{{ code }}'
{%- endmacro -%}

{#- Whether the company delivers not all of these data sets. -#}
{%- macro is_missing(data_sets) -%}
(
    select count(distinct batches.data_set)
    from {{ ref('stg_ops__batches') }} as batches
    where batches.data_set in ('{{ data_sets | join("', '") }}')
) < {{ data_sets | length }}
{%- endmacro -%}

{#- A sum over the baseline's months as a monthly figure; null while the customer has too few months. `months`: how many
    there were from its first order's month to the window, of which at most baseline_months count (0 = all). -#}
{%- macro baseline(amount, months) -%}
case
    when {{ months }} >= parameters.min_baseline_months
        then {{ amount }} / least({{ months }}, coalesce(nullif(parameters.baseline_months, 0), {{ months }}))
end
{%- endmacro -%}

{#- Least-squares slope of the last six closed months; months without a cell are zero and add nothing. 17.5 = Σ(x − x̄)². -#}
{%- macro six_month_slope(figure) -%}
coalesce(sum((3.5 - months.months_ago) * {{ figure }}) filter (where months.months_ago between 1 and 6), 0) / 17.5
{%- endmacro -%}

{#- Slope a month relative to the baseline, in words; `bad` is the direction that worsens. -#}
{%- macro trend(slope, baseline, bad) -%}
case
    when {{ slope }} is null or {{ baseline }} is null or {{ baseline }} = 0 then null
    when abs({{ slope }} / {{ baseline }}) <= 0.05 then 'flat'
    when {{ slope }} {{ '<' if bad == 'low' else '>' }} 0 then 'worsening'
    else 'improving'
end
{%- endmacro -%}

{#- First day of the month that lies so many months before the month of the cut-off. -#}
{%- macro month_start(months_ago) -%}
(run.open_month - make_interval(months => ({{ months_ago }})::integer))::date
{%- endmacro -%}

{#- The codes of all indicators, as an array. -#}
{%- macro all_codes() -%}
array[
    {%- for code in indicator_codes() %}
    '{{ code }}'{{ "," if not loop.last }}
    {%- endfor %}
]
{%- endmacro -%}

{#- One figure of all indicators, in the order of their codes, as an array. -#}
{%- macro side_by_side(column, if_known=false) -%}
array[
    {%- for code in indicator_codes() %}
    {{ "case when " ~ code ~ ".state <> 'unknown' then " ~ code ~ "." ~ column ~ " end" if if_known else code ~ "." ~ column }}
    {{- "," if not loop.last }}
    {%- endfor %}
]
{%- endmacro -%}
