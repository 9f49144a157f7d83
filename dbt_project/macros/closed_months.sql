{#-
  What is counted from closed months is kept from day to day, since they seldom change. Here is what it is counted from:
  the customers whose closed months did change, these months, and the parameters.
-#}
{%- macro closed_months(code=none, names=none) -%}
run as (select * from {{ ref('stg_ops__run') }}),

parameters as ({{ indicator_parameters(code, names) }}),

customers as (
    select
        histories.customer_id,
        scopes.scope,
        {{ months_ago('histories.first_ordered_on') }} as first_order_months_ago
    from ({{ of_changed(ref('int_order_histories'), 'int_closed_months_changed', ['customer_id']) }}) as histories
    inner join {{ ref('int_customer_scopes') }} as scopes on histories.customer_id = scopes.customer_id
    cross join run
),

months as (
    select months.*
    from ({{ of_changed(ref('int_customer_months'), 'int_closed_months_changed', ['customer_id']) }}) as months
    inner join customers
        on months.customer_id = customers.customer_id
        and months.months_ago >= 1
)
{%- endmacro -%}

{#- A figure's sum over the closed months of the window. Stands beside `months` and `parameters`. -#}
{%- macro over_window(figure) -%}
coalesce(sum(months.{{ figure }}) filter (where months.months_ago <= parameters.months), 0)
{%- endmacro -%}

{#- The lowest monthly ratio of the window whose length is the parameter named; a month without orders has none. -#}
{%- macro lowest_ratio(numerator, denominator, window) -%}
min(months.{{ numerator }}::numeric / nullif(months.{{ denominator }}, 0))
    filter (where months.months_ago <= parameters.{{ window }})
{%- endmacro -%}

{#- A figure's sum over the months of the baseline, which begin with the first order's and end before the window. -#}
{%- macro over_baseline(figure) -%}
coalesce(sum(months.{{ figure }}) filter (
    where months.months_ago > parameters.months and months.months_ago <= customers.first_order_months_ago
    and (parameters.baseline_months = 0 or months.months_ago <= parameters.months + parameters.baseline_months)
), 0)
{%- endmacro -%}

{#- How many closed months there are from the first order's to the window. -#}
{%- macro months_before_window(relation) -%}
({{ relation }}.first_order_months_ago - parameters.months)
{%- endmacro -%}

{#- Whether these are months enough to call something usual. -#}
{%- macro has_baseline(months) -%}
{{ months }} >= greatest(parameters.min_baseline_months, 1)
{%- endmacro -%}

{#- Two figures over the window and over the baseline, for their ratios to be compared, and the slope of the monthly ratio. -#}
{%- macro summed_ratio(numerator, denominator) -%}
select
    customers.customer_id,
    customers.scope,
    customers.first_order_months_ago,
    {{ over_window(numerator) }} as numerator,
    {{ over_window(denominator) }} as denominator,
    {{ over_baseline(numerator) }} as usual_numerator,
    {{ over_baseline(denominator) }} as usual_denominator,
    {{ six_month_slope_of_ratio(numerator, denominator) }} as slope
from customers
inner join parameters on customers.scope = parameters.scope
left join months on customers.customer_id = months.customer_id
group by customers.customer_id, customers.scope, customers.first_order_months_ago
{%- endmacro -%}

{#- Least-squares slope of a figure over the last six closed months; null while the customer is younger. Months without a
    cell are zero and add nothing. 17.5 = Σ(x − x̄)². -#}
{%- macro six_month_slope(figure) -%}
case
    when customers.first_order_months_ago >= 6
        then coalesce(sum((3.5 - months.months_ago) * {{ figure }}) filter (where months.months_ago <= 6), 0) / 17.5
end
{%- endmacro -%}

{#- The same for a ratio, which a month without orders has not: null unless all six have some. -#}
{%- macro six_month_slope_of_ratio(numerator, denominator) -%}
case
    when count(*) filter (where months.months_ago <= 6 and months.{{ denominator }} > 0) = 6
        then {{ six_month_slope('months.' ~ numerator ~ '::numeric / nullif(months.' ~ denominator ~ ', 0)') }}
end
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
