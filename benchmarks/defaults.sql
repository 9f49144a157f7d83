-- One row a way to tell who will not pay, on all replayed days together. An invoice is held against the payments that name it;
-- what advances paid is left out, as a payment without an invoice has no date of its own for any of them.
with replays as (
    select *
    from ops.replay
    where as_of_date = any(%(days)s) and policy_hash = %(policy_hash)s and judged_at is not null
),

invoices as (
    select *
    from staging.base_finance__invoices
    where not _is_deleted and voided_on is null
),

-- The day on which each invoice was paid in full, as far as is known today.
settled as (
    select
        paid.customer_id,
        paid.invoice_id,
        min(paid.paid_on) filter (where paid.paid_amount >= invoices.amount) as settled_on
    from (
        select
            customer_id,
            invoice_id,
            paid_on,
            sum(amount) over (partition by customer_id, invoice_id order by paid_on) as paid_amount
        from staging.base_finance__payments
        where not _is_deleted and invoice_id is not null
    ) as paid
    inner join invoices on paid.customer_id = invoices.customer_id and paid.invoice_id = invoices.invoice_id
    group by paid.customer_id, paid.invoice_id
),

fates as (
    select
        invoices.customer_id,
        invoices.invoice_id,
        invoices.issued_on,
        invoices.due_on,
        settled.settled_on,
        least(
            invoices.written_off_on,
            case when coalesce(settled.settled_on, 'infinity') > invoices.due_on + 90 then invoices.due_on + 91 end
        ) as defaults_on
    from invoices
    left join settled on invoices.customer_id = settled.customer_id and invoices.invoice_id = settled.invoice_id
),

owing as (
    select
        fates.customer_id,
        replays.run_id,
        replays.as_of_date,
        max(replays.as_of_date - fates.due_on) filter (
            where coalesce(fates.settled_on, 'infinity') > replays.as_of_date
        ) as overdue_days,
        bool_or(coalesce(fates.defaults_on <= replays.as_of_date, false)) as is_in_default,
        bool_or(
            coalesce(fates.defaults_on between replays.as_of_date + 1 and replays.as_of_date + %(horizon)s, false)
        ) as defaults
    from fates
    inner join replays on fates.issued_on <= replays.as_of_date
    group by fates.customer_id, replays.run_id, replays.as_of_date
),

judged as (
    select
        owing.*,
        customers.level <= 2
        and customers.rule_codes && array['overdue_beyond_60_days', 'overdue_and_pays_late', 'amount_collapsed_long_overdue']
            as is_warned,
        coalesce(owing.overdue_days >= 60, false) as is_two_months_late
    from owing
    inner join ops.replayed_customer as customers
        on owing.customer_id = customers.customer_id and owing.run_id = customers.run_id
    where not owing.is_in_default
),

-- As many as the policy warns about, the oldest debt first.
placed as (
    select
        judged.*,
        row_number() over (partition by as_of_date order by overdue_days desc nulls last, customer_id)
        <= count(*) filter (where is_warned) over (partition by as_of_date) as is_oldest
    from judged
),

ways as (
    select 'levels 1 and 2 by a rule on arrears' as name, 1 as place, placed.* from placed where is_warned
    union all
    select 'two months overdue' as name, 2 as place, placed.* from placed where is_two_months_late
    union all
    select 'as many as levels 1 and 2, the oldest debt first' as name, 3 as place, placed.* from placed where is_oldest
    union all
    select 'all that were judged' as name, 4 as place, placed.* from placed
)

select
    name,
    count(*) as warned,
    count(*) filter (where defaults) as defaulted,
    (select count(*) from judged where defaults) as defaulted_in_all
from ways
group by name, place
order by place
