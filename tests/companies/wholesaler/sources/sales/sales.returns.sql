-- A C invoice takes goods or their price back (discounts and postage among them: the files do not tell them apart
-- reliably). Quantities are negative there; the contract's amount is not.
select
    InvoiceNo as return_id,
    any_value(CustomerID) as customer_id,
    min(InvoiceDate) as returned_at,
    -sum(Quantity * UnitPrice) as amount,
    any_value(_file) as _file,
    min(_row) as _row,
from lines
where CustomerID is not null and InvoiceNo like 'C%'
group by InvoiceNo
