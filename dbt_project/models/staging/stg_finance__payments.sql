{{ config(meta={'key': ['customer_id', 'payment_id']}) }}

-- Payments and credit notes booked by the as-of date.
with run as (select * from {{ ref('stg_ops__run') }}),

payments as ({{ current_rows('finance_payments', 'payment_id') }})

select
    payments.customer_id,
    payments.payment_id,
    payments.invoice_id,
    payments.amount,
    payments.paid_on
from payments
inner join run on payments.paid_on <= run.as_of_date
