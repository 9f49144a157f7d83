-- The files know customers by number only. customer_since is the first day within the files read; staging keeps the
-- least of all versions. Lines without a customer are left out on purpose: nobody could be warned about them.
select
    CustomerID as customer_id,
    'Customer ' || CustomerID as name,
    max_by(Country, InvoiceDate) as region,
    min(InvoiceDate)::date as customer_since,
    max_by(_file, InvoiceDate) as _file,
    max_by(_row, InvoiceDate) as _row,
from lines
where CustomerID is not null
group by CustomerID
