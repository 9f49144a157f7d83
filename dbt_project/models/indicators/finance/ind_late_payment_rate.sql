{{ config(meta={
    'parameters': {'share': 'more', 'months': 'same', 'min_invoices': 'same'},
    'measures': ['late_invoices'],
    'evidence': ['due invoices'],
}) }}

-- 拖延付款: the share of the invoices due in the last months that were paid late or are open late.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('int_customers') }} where is_judged),

habits as (select * from {{ ref('int_payment_habits') }}),

parameters as ({{ indicator_parameters() }}),

compared as (
    select
        customers.customer_id,
        coalesce(habits.late_invoices, 0) as late_invoices,
        case
            when habits.due_invoices >= greatest(parameters.min_invoices, 1)
                then round(habits.late_invoices::numeric / habits.due_invoices, 6)
        end as share,
        {{ is_missing(['finance.invoices', 'finance.payments']) }} as is_missing
    from customers
    cross join parameters
    left join habits on customers.customer_id = habits.customer_id
),

decided as (
    select
        compared.*,
        case
            when compared.is_missing or compared.share is null then 'unknown'
            when compared.share > parameters.share then 'serious'
            when compared.share > parameters.watch_share then 'watch'
            else 'clear'
        end as state
    from compared
    cross join parameters
)

select
    decided.customer_id,
    decided.state,
    case when decided.is_missing then 'no_data' when decided.share is null then 'no_base' end as unknown_reason,
    decided.share as value,
    null::numeric as baseline,
    case when decided.state = 'watch' then parameters.watch_share else parameters.share end as threshold,
    null::text as trend,
    {{ month_start('parameters.months') }} as window_start,
    run.as_of_date as window_end,
    jsonb_build_object('late_invoices', case when not decided.is_missing then decided.late_invoices end) as measures
from decided
cross join parameters
cross join run
