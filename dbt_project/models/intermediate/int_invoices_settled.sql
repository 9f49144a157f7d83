{{ config(meta={'key': ['customer_id', 'invoice_id']}) }}

-- Grain: invoice that its own payments have not paid exactly. What is still unpaid of it once every payment has found
-- its invoice: the one it names, and what is left over the customer's oldest due one.
with balances as (select * from {{ ref('int_invoice_balances') }} where not is_paid_exactly),

matched as (
    select
        *,
        greatest(billed_amount - paid_amount, 0) as open_amount
    from balances
    where billed_amount is not null
),

pools as (
    select
        customer_id,
        sum(case when billed_amount is null then paid_amount else greatest(paid_amount - billed_amount, 0) end) as pool
    from balances
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
