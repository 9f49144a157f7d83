{{ config(meta={
    'parameters': {'share': 'more', 'months': 'same', 'min_invoices': 'same'},
    'measures': ['late_invoices'],
    'needs': ['finance.invoices', 'finance.payments'],
    'evidence': ['due invoices'],
    'clears': 'at most {share} of the invoices due in the last {months} months are late',
}) }}

-- 拖延付款: the share of the invoices due in the last months that were paid late or are open late.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('int_customers') }} where is_judged),

habits as (select * from {{ ref('int_payment_habits') }}),

parameters as ({{ indicator_parameters() }}),

compared as (
    select
        customers.customer_id,
        customers.scope,
        coalesce(habits.late_invoices, 0) as late_invoices,
        case
            when habits.due_invoices >= greatest(parameters.min_invoices, 1)
                then round(habits.late_invoices::numeric / habits.due_invoices, 6)
        end as share
    from customers
    inner join parameters on customers.scope = parameters.scope
    left join habits on customers.customer_id = habits.customer_id
),

{{ judged_share(
    'late_invoices', 'late_invoices',
    serious='compared.share > parameters.share',
    watch='compared.share > parameters.watch_share'
) }}
