{{ config(meta={
    'parameters': {
        'baseline_factor': 'more',
        'months': 'more',
        'baseline_months': 'same',
        'min_baseline_months': 'same',
        'count': 'more',
        'count_days': 'same',
    },
    'measures': ['complaints_90d'],
    'needs': ['sales.orders', 'service.tickets'],
    'unit_without_baseline': 'complaints',
    'evidence': ['complaints'],
    'clears': 'there are fewer than {count} in {count_days} days, and one of {months} months has ≤ {baseline_factor} × the usual rate',
}) }}

-- 投诉率: complaints an order above the customer's own baseline in each of the last months, or simply many complaints.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('int_customers') }} where state = 'active'),

rates as (select * from {{ ref('int_complaint_rates') }}),

complaints as (select * from {{ ref('int_complaints_counted') }}),

parameters as ({{ indicator_parameters() }}),

measured as (
    select
        rates.*,
        customers.scope,
        coalesce(complaints.counted, 0) as counted,
        coalesce(complaints.complaints_90d, 0) as complaints_90d
    from customers
    inner join rates on customers.customer_id = rates.customer_id
    left join complaints on customers.customer_id = complaints.customer_id
),

decided as (
    select
        measured.*,
        case
            when measured.rate_state = 'serious' or measured.counted >= parameters.count then 'serious'
            when measured.rate_state = 'watch' or measured.counted >= parameters.watch_count then 'watch'
            else measured.rate_state
        end as state
    from measured
    inner join parameters on measured.scope = parameters.scope
),

-- The figures told are the rate's, unless only the count warns.
explained as (
    select
        decided.*,
        case when decided.state = 'watch' then parameters.watch_months else parameters.months end as rate_months,
        decided.state in ('serious', 'watch') and decided.state <> decided.rate_state as is_by_count
    from decided
    inner join parameters on decided.scope = parameters.scope
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
    case when not explained.is_by_count then explained.baseline_rate end as baseline,
    case
        when explained.is_by_count and explained.state = 'serious' then parameters.count
        when explained.is_by_count then parameters.watch_count
        when explained.state = 'watch' then explained.watch_threshold
        else explained.serious_threshold
    end as threshold,
    explained.trend,
    case
        when explained.is_by_count then run.as_of_date - parameters.count_days::integer + 1
        else {{ month_start('explained.rate_months') }}
    end as window_start,
    case when explained.is_by_count then run.as_of_date else run.open_month - 1 end as window_end,
    jsonb_build_object('complaints_90d', explained.complaints_90d) as measures
from explained
inner join parameters on explained.scope = parameters.scope
cross join run
