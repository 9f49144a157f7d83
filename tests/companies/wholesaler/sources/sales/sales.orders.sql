-- An order is an invoice that is neither a cancellation (C…) nor a book-keeping adjustment (A…); its amount are its
-- positive lines. An invoice whose lines all cost nothing (two in nine months) hands out samples or replacements: nothing
-- was bought, so it is left out on purpose, as lines without a customer are.
select
    InvoiceNo as order_id,
    any_value(CustomerID) as customer_id,
    min(InvoiceDate) as ordered_at,
    sum(Quantity * UnitPrice) as amount,
    'GBP' as currency,
    any_value(_file) as _file,
    min(_row) as _row,
from lines
where
    CustomerID is not null
    and InvoiceNo not like 'C%'
    and InvoiceNo not like 'A%'
    and Quantity * UnitPrice > 0
group by InvoiceNo
