{#- A figure as people write it: thousands apart, decimals only where they matter, no trailing zeros. -#}
{%- macro figure(number, decimals=2) -%}
case
    when abs(({{ number }})::numeric) >= 100 or {{ decimals }} = 0
        then to_char(round(({{ number }})::numeric), 'FM999,999,999,999,990')
    else rtrim(rtrim(to_char(round(({{ number }})::numeric, {{ decimals }}), 'FM990.00'), '0'), '.')
end
{%- endmacro -%}

{%- macro percent(ratio) -%}
{{ figure('100 * ' ~ ratio, 1) }} || '%'
{%- endmacro -%}

{#- Fill the places of a sentence, {so}: by the figures, else by the measure of that name. -#}
{%- macro filled(sentence, figures, measures) -%}
(
    select
        string_agg(
            coalesce(part[1], {{ figures }} ->> part[2], {{ figure('(' ~ measures ~ ' ->> part[2])') }}, '–'),
            '' order by position
        )
    from regexp_matches({{ sentence }}, '([^{]+)|\{(\w+)\}', 'g') with ordinality as parts (part, position)
)
{%- endmacro -%}

{#- Calendar months that a window of whole months spans. -#}
{%- macro months_between(window_start, window_end) -%}
extract(year from age({{ window_end }} + 1, {{ window_start }})) * 12
+ extract(month from age({{ window_end }} + 1, {{ window_start }}))
{%- endmacro -%}
