-- A payment has neither an id nor a customer of its own: it is numbered within its invoice and takes the invoice's.
-- A payment of an unknown invoice keeps an empty customer_id, so that it is quarantined and not lost.
select
    payments.invoice_id || '-' || row_number() over (
        partition by payments.invoice_id order by payments.paid_on, payments.amount
    ) as payment_id,
    invoices.customer_id,
    payments.invoice_id,
    payments.paid_on,
    payments.amount,
    payments._file,
    payments._row,
from payments
left join invoices on invoices.invoice_id = payments.invoice_id
