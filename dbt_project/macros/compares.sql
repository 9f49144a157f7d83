{#- A comparison whose operator is data. A null measure compares to nothing. -#}
{%- macro compares(measure, operator, threshold) -%}
case {{ operator }}
    when '>=' then {{ measure }} >= {{ threshold }}::numeric
    when '>' then {{ measure }} > {{ threshold }}::numeric
    when '<=' then {{ measure }} <= {{ threshold }}::numeric
    when '<' then {{ measure }} < {{ threshold }}::numeric
    when '=' then {{ measure }} = {{ threshold }}::numeric
end
{%- endmacro -%}

{#- All elements of arrays, once each, in order; null for none. -#}
{%- macro merged(arrays) -%}
(select array_agg(distinct code order by code) from unnest({{ arrays }}) as code)
{%- endmacro -%}
