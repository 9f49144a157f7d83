-- Invoices issued by the as-of date, as known then.
with run as (select * from {{ ref('stg_ops__run') }}),

invoices as (select * from {{ ref('base_finance__invoices') }} where not _is_deleted)

select
    invoices.customer_id,
    invoices.invoice_id,
    invoices.amount,
    invoices.issued_on,
    invoices.due_on,
    coalesce(invoices.disputed_on <= run.as_of_date, false) as is_disputed,
    coalesce(invoices.written_off_on <= run.as_of_date, false) as is_written_off,
    coalesce(invoices.voided_on <= run.as_of_date, false) as is_voided
from invoices
inner join run on invoices.issued_on <= run.as_of_date
