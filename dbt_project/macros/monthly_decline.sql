{#-
  An indicator that warns when a monthly figure stays below a share of its own baseline in each of the last closed months
  (001: 连续[X]个月低于历史平均水平的[X]%). `figure`: a column of int_customer_months.
  Counted for whoever has an order.
-#}
{%- macro monthly_decline(figure, has_least_baseline=false) -%}
with {{ closed_months() }},

summed as (
    select
        customers.customer_id,
        customers.scope,
        customers.first_order_months_ago,
        coalesce(max(months.{{ figure }}) filter (where months.months_ago <= parameters.months), 0) as serious_value,
        coalesce(max(months.{{ figure }}) filter (where months.months_ago <= parameters.watch_months), 0) as watch_value,
        {{ over_baseline(figure) }} as baseline_sum,
        {{ six_month_slope('months.' ~ figure) }} as slope
    from customers
    inner join parameters on customers.scope = parameters.scope
    left join months on customers.customer_id = months.customer_id
    group by customers.customer_id, customers.scope, customers.first_order_months_ago
),

compared as (
    select
        summed.*,
        {{ baseline('summed.baseline_sum', months_before_window('summed')) }} as baseline
    from summed
    inner join parameters on summed.scope = parameters.scope
),

judged as (
    select
        compared.*,
        case
            when compared.baseline is null then 'short_history'
            when compared.baseline = 0 then 'no_base'
            {%- if has_least_baseline %}
            when round(compared.baseline, 6) < parameters.least_baseline then 'no_base'
            {%- endif %}
        end as unknown_reason,
        round(parameters.baseline_share * compared.baseline, 6) as serious_threshold,
        round(parameters.watch_baseline_share * compared.baseline, 6) as watch_threshold,
        parameters.months,
        parameters.watch_months
    from compared
    inner join parameters on compared.scope = parameters.scope
),

decided as (
    select
        judged.*,
        case
            when judged.unknown_reason is not null then 'unknown'
            when judged.serious_value < judged.serious_threshold then 'serious'
            when judged.watch_value < judged.watch_threshold then 'watch'
            else 'clear'
        end as state
    from judged
),

explained as (
    select
        decided.*,
        case when decided.state = 'watch' then decided.watch_months else decided.months end as window_months
    from decided
)

select
    explained.customer_id,
    explained.state,
    explained.unknown_reason,
    round(case when explained.state = 'watch' then explained.watch_value else explained.serious_value end, 6) as value,
    round(explained.baseline, 6) as baseline,
    case when explained.state = 'watch' then explained.watch_threshold else explained.serious_threshold end as threshold,
    {{ trend('explained.slope', 'explained.baseline', 'low') }} as trend,
    {{ month_start('explained.window_months') }} as window_start,
    run.open_month - 1 as window_end,
    '{}'::jsonb as measures
from explained
cross join run
{%- endmacro -%}
