{#-
  An indicator that warns when a monthly figure stays below a share of its own baseline in each of the last closed months
  (001: 连续[X]个月低于历史平均水平的[X]%). `figure`: a column of int_customer_months. Counted for whoever has an order;
  kept from day to day, since closed months seldom change.
-#}
{%- macro monthly_decline(code, figure) -%}
with run as (select * from {{ ref('stg_ops__run') }}),

histories as ({{ of_changed(ref('int_order_histories'), 'int_closed_months_changed', ['customer_id']) }}),

months as ({{ of_changed(ref('int_customer_months'), 'int_closed_months_changed', ['customer_id']) }}),

parameters as ({{ indicator_parameters(code, ['baseline_share', 'months', 'baseline_months', 'min_baseline_months']) }}),

customers as (
    select
        histories.customer_id,
        {{ months_ago('histories.first_ordered_on') }} as first_order_months_ago
    from histories
    cross join run
),

summed as (
    select
        customers.customer_id,
        customers.first_order_months_ago,
        coalesce(max(months.{{ figure }}) filter (where months.months_ago <= parameters.months), 0) as serious_value,
        coalesce(max(months.{{ figure }}) filter (where months.months_ago <= parameters.watch_months), 0) as watch_value,
        coalesce(
            sum(months.{{ figure }}) filter (where months.months_ago > parameters.months), 0
        ) as baseline_sum,
        case when customers.first_order_months_ago >= 6 then {{ six_month_slope('months.' ~ figure) }} end as slope
    from customers
    cross join parameters
    left join months
        on customers.customer_id = months.customer_id
        and months.months_ago >= 1
        and (parameters.baseline_months = 0 or months.months_ago <= parameters.months + parameters.baseline_months)
    group by customers.customer_id, customers.first_order_months_ago
),

compared as (
    select
        summed.*,
        parameters.*,
        {{ baseline('summed.baseline_sum', '(summed.first_order_months_ago - parameters.months)') }} as baseline
    from summed
    cross join parameters
),

judged as (
    select
        compared.*,
        case
            when compared.baseline is null then 'short_history'
            when compared.baseline = 0 then 'no_base'
        end as unknown_reason,
        round(compared.baseline_share * compared.baseline, 6) as serious_threshold,
        round(compared.watch_baseline_share * compared.baseline, 6) as watch_threshold
    from compared
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
