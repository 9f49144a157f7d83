{{ config(meta={'key': ['customer_id']}) }}

-- Grain: customer with an invoice. Unpaid parts: overdue, the oldest of them, and all that is open.
with run as (select * from {{ ref('stg_ops__run') }}),

invoices as (select * from {{ ref('int_invoices_settled') }} where unpaid_amount > 0)

select
    invoices.customer_id,
    sum(invoices.unpaid_amount) filter (where invoices.is_collectable or invoices.is_disputed) as open_balance_amount,
    sum(invoices.unpaid_amount) filter (where invoices.is_collectable and invoices.due_on < run.as_of_date)
        as overdue_amount,
    max(run.as_of_date - invoices.due_on) filter (where invoices.is_collectable and invoices.due_on < run.as_of_date)
        as oldest_overdue_days
from invoices
cross join run
group by invoices.customer_id
