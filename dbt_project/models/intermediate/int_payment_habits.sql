{{ config(
    materialized='incremental',
    meta={'key': ['customer_id']},
    pre_hook="{{ delete_changed('int_payers_changed', ['customer_id']) }}"
) }}

-- Grain: customer with an invoice that fell due in the months that late_payment_rate looks at. How many did, and how
-- many of them were paid late or are open. What an advance paid has no day, and counts as paid in time.
with run as (select * from {{ ref('stg_ops__run') }}),

parameters as ({{ indicator_parameters('late_payment_rate', ['months']) }}),

scopes as (select * from {{ ref('int_customer_scopes') }}),

balances as ({{ of_changed(ref('int_invoice_balances'), 'int_payers_changed', ['customer_id']) }}),

settled as (select * from {{ ref('int_invoices_settled') }}),

due as (
    select
        balances.customer_id,
        coalesce(settled.unpaid_amount > 0, false)
        or (balances.paid_amount >= balances.billed_amount and balances.paid_in_time_amount < balances.billed_amount)
            as is_late
    from balances
    inner join scopes on balances.customer_id = scopes.customer_id
    inner join parameters on scopes.scope = parameters.scope
    inner join run on balances.due_on >= {{ month_start('parameters.months') }} and balances.due_on < run.as_of_date
    left join settled on balances.customer_id = settled.customer_id and balances.invoice_id = settled.invoice_id
    where balances.is_collectable
)

select
    customer_id,
    count(*) as due_invoices,
    count(*) filter (where is_late) as late_invoices
from due
group by customer_id
