select
    invoice_id,
    customer_id,
    issued_on,
    due_on,
    amount,
    'BRL' as currency,
    _file,
    _row,
from invoices
