{#- What a share of a customer's usual amount of so many days comes to; a year has 365.25. -#}
{%- macro usual_amount(share, monthly_amount, days) -%}
round({{ share }} * {{ monthly_amount }} * {{ days }} * 12 / 365.25, 6)
{%- endmacro -%}

{#- What a customer ordered after one day up to another, as this run knows it; nulls for nothing. Looked up customer by
    customer: the history is long and few are asked about. -#}
{%- macro ordered_between(asked, after, until) -%}
select
    sum(orders.amount) as ordered_amount,
    max(orders.ordered_on) as last_ordered_on
from {{ ref('stg_sales__orders') }} as orders
where
    orders.customer_id = {{ asked }}.customer_id
    and orders.ordered_on > {{ after }}
    and orders.ordered_on <= {{ until }}
    and not orders.is_cancelled
{%- endmacro -%}

{#- Whether a level is that of today's rules, and nothing fired but that a service figure wavered (个别服务指标略有波动). -#}
{%- macro is_service_fluctuation(levels) -%}
coalesce({{ levels }}.warning_level = {{ levels }}.raw_level and {{ levels }}.rule_codes = array['service_fluctuation'], false)
{%- endmacro -%}

{#- What a warning, or a customer lost, is counted under; a level that is not held has no value. -#}
{%- macro cuts_of(relation) -%}
unnest(
    array['all', 'level', 'owner', 'policy']
    || array_fill('department'::text, array[cardinality({{ relation }}.departments)])
    || array_fill('indicator'::text, array[cardinality({{ relation }}.indicator_codes)]),
    array[
        'all',
        case when {{ relation }}.is_service_fluctuation then 'service_fluctuation' else {{ relation }}.warning_level::text end,
        {{ owner_of(relation) }},
        {{ relation }}.policy_hash
    ] || {{ relation }}.departments || {{ relation }}.indicator_codes
) as cut (dimension, value)
{%- endmacro -%}

{%- macro owner_of(relation) -%}
coalesce({{ relation }}.owner_email, {{ relation }}.owner_name, '–')
{%- endmacro -%}

{%- macro customers_who(condition) -%}
count(distinct warnings.customer_id) filter (where {{ condition }})
{%- endmacro -%}

{#- Null where nothing is there to divide by. -#}
{%- macro share(part, whole) -%}
round({{ part }}::numeric / nullif({{ whole }}, 0), 6)
{%- endmacro -%}
