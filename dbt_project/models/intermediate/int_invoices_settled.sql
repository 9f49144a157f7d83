{{ config(meta={'key': ['customer_id', 'invoice_id']}) }}

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
        invoices.*,
        not invoices.is_disputed and not invoices.is_written_off as is_collectable,
        greatest(invoices.amount - coalesce(named.amount, 0), 0) as open_amount,
        greatest(named.amount - invoices.amount, 0) as left_over
    from invoices
    left join named on invoices.customer_id = named.customer_id and invoices.invoice_id = named.invoice_id
),

left_overs as (
    select
        customer_id,
        left_over as amount
    from matched
    union all
    select
        named.customer_id,
        named.amount
    from named
    left join invoices on named.customer_id = invoices.customer_id and named.invoice_id = invoices.invoice_id
    where invoices.invoice_id is null
),

pools as (
    select
        customer_id,
        sum(amount) as pool
    from left_overs
    group by customer_id
),

queued as (
    select
        matched.*,
        coalesce(sum(open_amount) filter (where is_collectable) over (
            partition by customer_id order by due_on, issued_on, invoice_id
            rows between unbounded preceding and current row
        ), 0) as open_through
    from matched
)

select
    queued.customer_id,
    queued.invoice_id,
    queued.due_on,
    queued.is_collectable,
    queued.is_disputed,
    case
        when queued.is_collectable
            then least(queued.open_amount, greatest(queued.open_through - coalesce(pools.pool, 0), 0))
        else queued.open_amount
    end as unpaid_amount
from queued
left join pools on queued.customer_id = pools.customer_id
