-- 投诉率: complaints an order above the customer's own baseline in each of the last months, or simply many complaints.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('int_customers') }} where state = 'active'),

rates as (select * from {{ ref('int_complaint_rates') }}),

complaints as (select * from {{ ref('int_complaints_counted') }}),

parameters as (
    {{ indicator_parameters('complaint_rate', ['baseline_factor', 'months', 'count', 'count_days']) }}
),

measured as (
    select
        rates.*,
        coalesce(complaints.counted, 0) as counted,
        coalesce(complaints.complaints_90d, 0) as complaints_90d
    from customers
    inner join rates on customers.customer_id = rates.customer_id
    left join complaints on customers.customer_id = complaints.customer_id
),

judged as (
    select
        measured.*,
        case
            when {{ is_missing(['sales.orders', 'service.tickets']) }} then 'no_data'
            when measured.baseline_month_count is null then 'short_history'
            when measured.baseline_rate is null or measured.serious_rate is null then 'no_base'
            when measured.baseline_rate = 0 and measured.serious_rate > 0 then 'no_base'
        end as rate_unknown_reason,
        round(parameters.baseline_factor * measured.baseline_rate, 6) as serious_threshold,
        round(parameters.watch_baseline_factor * measured.baseline_rate, 6) as watch_threshold,
        measured.counted >= parameters.count as is_count_serious,
        measured.counted >= parameters.watch_count as is_count_watch
    from measured
    cross join parameters
),

rated as (
    select
        judged.*,
        case
            when rate_unknown_reason is not null then 'unknown'
            when serious_rate > serious_threshold then 'serious'
            when watch_rate > watch_threshold then 'watch'
            else 'clear'
        end as rate_state
    from judged
),

decided as (
    select
        rated.*,
        case
            when rate_unknown_reason = 'no_data' then 'unknown'
            when rate_state = 'serious' or is_count_serious then 'serious'
            when rate_state = 'watch' or is_count_watch then 'watch'
            else rate_state
        end as state
    from rated
),

-- The figures told are the rate's, unless only the count warns.
explained as (
    select
        decided.*,
        case when decided.state = 'watch' then parameters.watch_months else parameters.months end as rate_months,
        decided.state in ('serious', 'watch') and decided.state <> decided.rate_state as is_by_count
    from decided
    cross join parameters
)

select
    explained.customer_id,
    explained.state,
    case when explained.state = 'unknown' then explained.rate_unknown_reason end as unknown_reason,
    case
        when explained.is_by_count then explained.counted
        when explained.state = 'watch' then explained.watch_rate
        else explained.serious_rate
    end as value,
    case when not explained.is_by_count then round(explained.baseline_rate, 6) end as baseline,
    case
        when explained.is_by_count and explained.state = 'serious' then parameters.count
        when explained.is_by_count then parameters.watch_count
        when explained.state = 'watch' then explained.watch_threshold
        else explained.serious_threshold
    end as threshold,
    {{ trend('explained.slope', 'explained.baseline_rate', 'high') }} as trend,
    case
        when explained.is_by_count then run.as_of_date - parameters.count_days::integer + 1
        else {{ month_start('explained.rate_months') }}
    end as window_start,
    case when explained.is_by_count then run.as_of_date else run.open_month - 1 end as window_end,
    jsonb_build_object(
        'complaints_90d',
        case when explained.rate_unknown_reason is distinct from 'no_data' then explained.complaints_90d end
    ) as measures
from explained
cross join parameters
cross join run
