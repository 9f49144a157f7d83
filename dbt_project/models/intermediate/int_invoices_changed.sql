{{ config(meta={'key': ['customer_id', 'invoice_id']}) }}

-- Grain: customer × invoice whose balance has to be counted anew: where the invoice or a payment of it came, went or
-- passed. The invoice '' takes the payments that name none.
with invoices as ({{ changed_rows('base_finance__invoices', ['customer_id', 'invoice_id']) }}),

payments as ({{ changed_rows('base_finance__payments', ['customer_id', 'invoice_id']) }}),

cells_left as (select * from {{ source('ops', 'cell_left') }}),

cells as (
    select
        customer_id,
        invoice_id
    from invoices
    union
    select
        customer_id,
        coalesce(invoice_id, '') as invoice_id
    from payments
    union
    select
        customer_id,
        cell as invoice_id
    from cells_left
    where data_set in ('finance.invoices', 'finance.payments')
)

select
    customer_id,
    invoice_id
from cells
