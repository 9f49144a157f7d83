{#- A figure as people write it: thousands apart, at most so many decimals, no trailing zeros. -#}
{%- macro figure(number, decimals=2) -%}
{%- if decimals == 0 -%}
to_char(round(({{ number }})::numeric), 'FM999,999,999,990')
{%- else -%}
rtrim(rtrim(to_char(round(({{ number }})::numeric, {{ decimals }}), 'FM999,999,999,990.{{ "0" * decimals }}'), '0'), '.')
{%- endif -%}
{%- endmacro -%}

{%- macro percent(ratio) -%}
{{ figure('100 * ' ~ ratio, 1) }} || '%'
{%- endmacro -%}

{#- Fill the places of a sentence, one replace a place. -#}
{%- macro filled(sentence, places) -%}
{%- set ns = namespace(text=sentence) -%}
{%- for place, value in places.items() -%}
{%- set ns.text = "replace(" ~ ns.text ~ ", '{" ~ place ~ "}', coalesce(" ~ value ~ ", '–'))" -%}
{%- endfor -%}
{{ ns.text }}
{%- endmacro -%}
