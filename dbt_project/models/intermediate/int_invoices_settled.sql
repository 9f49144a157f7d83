-- Grain: invoice that is not voided. What is still unpaid of it once every payment has found its invoice:
-- the one it names, and what is left over the customer's oldest due one.
with invoices as (select * from {{ ref('stg_finance__invoices') }} where not is_voided),

payments as (select * from {{ ref('stg_finance__payments') }}),

named as (
    select
        customer_id,
        invoice_id,
        sum(amount) as amount
    from payments
    group by customer_id, invoice_id
),

matched as (
    select
        coalesce(invoices.customer_id, named.customer_id) as customer_id,
        invoices.invoice_id,
        invoices.issued_on,
        invoices.due_on,
        invoices.is_disputed,
        invoices.is_written_off,
        not invoices.is_disputed and not invoices.is_written_off as is_collectable,
        greatest(invoices.amount - coalesce(named.amount, 0), 0) as open_amount,
        case
            when invoices.invoice_id is null then named.amount
            else greatest(named.amount - invoices.amount, 0)
        end as left_over
    from invoices
    full join named on invoices.customer_id = named.customer_id and invoices.invoice_id = named.invoice_id
),

pooled as (
    select
        matched.*,
        coalesce(sum(left_over) over (partition by customer_id), 0) as pool,
        coalesce(sum(open_amount) filter (where is_collectable) over (
            partition by customer_id order by due_on, issued_on, invoice_id
            rows between unbounded preceding and current row
        ), 0) as open_through
    from matched
)

select
    customer_id,
    invoice_id,
    due_on,
    is_collectable,
    is_disputed,
    case
        when is_collectable then least(open_amount, greatest(open_through - pool, 0))
        else open_amount
    end as unpaid_amount
from pooled
where invoice_id is not null
