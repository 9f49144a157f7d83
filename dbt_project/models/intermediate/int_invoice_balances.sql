{{ config(
    materialized='incremental',
    meta={'key': ['customer_id', 'invoice_id']},
    pre_hook="{{ delete_changed('int_invoices_changed', ['customer_id', 'invoice_id']) }}",
    post_hook="{{ add_index('(customer_id) where not is_paid_exactly') }}"
) }}

-- Grain: customer × invoice that is there or that a payment names ('' for none). Billed (null while no invoice is
-- there) and paid under its name.
with invoices as (
    {{ of_changed(ref('stg_finance__invoices'), 'int_invoices_changed', ['customer_id', 'invoice_id']) }}
),

payments as (
    {{ of_changed(ref('int_payments_named'), 'int_invoices_changed', ['customer_id', 'invoice_id']) }}
),

paid as (
    select
        payments.customer_id,
        payments.invoice_id,
        sum(payments.amount) as amount,
        sum(payments.amount) filter (where payments.paid_on <= invoices.due_on) as amount_in_time
    from payments
    left join invoices on payments.customer_id = invoices.customer_id and payments.invoice_id = invoices.invoice_id
    group by payments.customer_id, payments.invoice_id
),

billed as (select * from invoices where not is_voided)

select
    coalesce(billed.customer_id, paid.customer_id) as customer_id,
    coalesce(billed.invoice_id, paid.invoice_id) as invoice_id,
    billed.issued_on,
    billed.due_on,
    coalesce(billed.is_disputed and not billed.is_written_off, false) as is_disputed,
    not billed.is_disputed and not billed.is_written_off as is_collectable,
    billed.amount as billed_amount,
    coalesce(paid.amount, 0) as paid_amount,
    coalesce(paid.amount_in_time, 0) as paid_in_time_amount,
    coalesce(billed.amount = coalesce(paid.amount, 0), false) as is_paid_exactly
from billed
full join paid on billed.customer_id = paid.customer_id and billed.invoice_id = paid.invoice_id
