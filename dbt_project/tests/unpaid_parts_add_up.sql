-- What is unpaid lies between nothing and the invoice; where nothing is disputed or written off and nothing was paid
-- back, it is exactly what was billed less what was paid. Invoices paid to the cent add nothing to either side.
with balances as (select * from {{ ref('int_invoice_balances') }} where not is_paid_exactly),

settled as (select * from {{ ref('int_invoices_settled') }}),

expected as (
    select
        customer_id,
        greatest(sum(coalesce(billed_amount, 0) - paid_amount), 0) as amount,
        bool_and(coalesce(is_collectable, true) and paid_amount >= 0) as is_plain
    from balances
    group by customer_id
),

unpaid as (
    select
        customer_id,
        sum(unpaid_amount) as amount,
        bool_or(unpaid_amount < 0) as is_negative
    from settled
    group by customer_id
)

select expected.customer_id
from expected
left join unpaid on expected.customer_id = unpaid.customer_id
where
    unpaid.is_negative
    or (expected.is_plain and coalesce(unpaid.amount, 0) <> expected.amount)
