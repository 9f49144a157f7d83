-- What is unpaid lies between nothing and the invoice; where nothing is disputed or written off and nobody paid too
-- much, it is exactly what was billed less what was paid.
with invoices as (select * from {{ ref('stg_finance__invoices') }} where not is_voided),

payments as (select * from {{ ref('stg_finance__payments') }}),

settled as (select * from {{ ref('int_invoices_settled') }}),

billed as (
    select
        customer_id,
        sum(amount) as amount,
        bool_and(not is_disputed and not is_written_off) as is_plain
    from invoices
    group by customer_id
),

paid as (
    select
        customer_id,
        sum(amount) as amount,
        bool_and(amount >= 0) as is_plain
    from payments
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

select billed.customer_id
from billed
inner join unpaid on billed.customer_id = unpaid.customer_id
left join paid on billed.customer_id = paid.customer_id
where
    unpaid.is_negative
    or (
        billed.is_plain
        and coalesce(paid.is_plain, true)
        and unpaid.amount <> greatest(billed.amount - coalesce(paid.amount, 0), 0)
    )
