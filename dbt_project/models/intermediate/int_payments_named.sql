{{ config(materialized='view') }}

-- Grain: payment, under the invoice it names; '' for none.
with payments as (select * from {{ ref('stg_finance__payments') }})

select
    customer_id,
    payment_id,
    coalesce(invoice_id, '') as invoice_id,
    amount,
    paid_on
from payments
