-- Payments and credit notes booked by the as-of date.
with run as (select * from {{ ref('stg_ops__run') }}),

payments as (select * from {{ ref('base_finance__payments') }} where not _is_deleted)

select
    payments.customer_id,
    payments.payment_id,
    payments.invoice_id,
    payments.amount,
    payments.paid_on
from payments
inner join run on payments.paid_on <= run.as_of_date
