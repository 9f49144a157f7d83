"""The full rebuild in DuckDB: staging, customer-month cells, and the figures that the eight indicators need.

    python -m benchmarks.rebuild_duckdb FOLDER AS_OF_DATE

reads the landing tables from FOLDER/<table>.parquet and prints one JSON object: CPU-seconds, seconds, totals.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import duckdb

# The newest version of each record, as of the cut-off; money is exact (decimal).
_STAGING = """
create table customers as
select customer_id, segment
from landing.sales_customers
where _batch_id = (select max(_batch_id) from landing.sales_customers);

create table orders as
select customer_id, order_id, amount, (ordered_at at time zone 'Asia/Shanghai')::date as ordered_on,
    coalesce(cancelled_at < as_of_at(), false) as is_cancelled
from landing.sales_orders
semi join customers using (customer_id)
qualify row_number() over (
    partition by customer_id, order_id order by updated_at desc nulls last, _batch_id desc
) = 1 and not _is_deleted and ordered_at < as_of_at();

create table tickets as
select customer_id, ticket_id, kind, priority, opened_at,
    (opened_at at time zone 'Asia/Shanghai')::date as opened_on,
    case when first_responded_at < as_of_at() then first_responded_at end as first_responded_at
from landing.service_tickets
semi join customers using (customer_id)
qualify row_number() over (
    partition by customer_id, ticket_id order by updated_at desc nulls last, _batch_id desc
) = 1 and not _is_deleted and opened_at < as_of_at();

create table surveys as
select customer_id, survey_id, kind, answered_at, (answered_at at time zone 'Asia/Shanghai')::date as answered_on,
    100.0 * (score - scale_min) / (scale_max - scale_min) as score
from landing.service_surveys
semi join customers using (customer_id)
qualify row_number() over (
    partition by customer_id, survey_id order by updated_at desc nulls last, _batch_id desc
) = 1 and not _is_deleted and answered_at < as_of_at();

create table invoices as
select customer_id, invoice_id, amount, issued_on, due_on,
    coalesce(disputed_on <= as_of_date(), false) as is_disputed,
    coalesce(written_off_on <= as_of_date(), false) as is_written_off
from landing.finance_invoices
semi join customers using (customer_id)
qualify row_number() over (
    partition by customer_id, invoice_id order by updated_at desc nulls last, _batch_id desc
) = 1 and not _is_deleted and issued_on <= as_of_date() and coalesce(voided_on > as_of_date(), true);

create table payments as
select customer_id, payment_id, invoice_id, amount
from landing.finance_payments
semi join customers using (customer_id)
qualify row_number() over (
    partition by customer_id, payment_id order by updated_at desc nulls last, _batch_id desc
) = 1 and not _is_deleted and paid_on <= as_of_date();
"""

_CELLS = """
create table cells as
with events as (
    select customer_id, ordered_on as day, amount, true as is_order from orders where not is_cancelled
    union all
    select customer_id, opened_on, 0, false from tickets where kind = 'complaint'
)
select customer_id, date_trunc('month', day) as month,
    count(*) filter (is_order) as order_count,
    sum(amount) as order_amount,
    count(*) filter (not is_order) as complaint_count,
    count(distinct day) filter (is_order) as order_days,
    min(day) filter (is_order) as first_ordered_on,
    max(day) filter (is_order) as last_ordered_on,
    datediff('month', date_trunc('month', day), date_trunc('month', as_of_date() + 1)) as months_ago
from events
group by all;
"""

_FIGURES = """
create table settled as
with named as (
    select customer_id, invoice_id, sum(amount) as amount from payments group by all
),
matched as (
    select invoices.*, not is_disputed and not is_written_off as is_collectable,
        greatest(invoices.amount - coalesce(named.amount, 0), 0) as open_amount,
        greatest(named.amount - invoices.amount, 0) as left_over
    from invoices
    left join named using (customer_id, invoice_id)
),
pools as (
    select customer_id, sum(amount) as pool
    from (
        select customer_id, left_over as amount from matched
        union all
        select customer_id, amount from named anti join invoices using (customer_id, invoice_id)
    )
    group by all
),
queued as (
    select matched.*,
        coalesce(sum(open_amount) filter (is_collectable) over (
            partition by customer_id order by due_on, issued_on, invoice_id
            rows between unbounded preceding and current row
        ), 0) as open_through
    from matched
)
select customer_id, due_on, is_collectable, is_disputed,
    case
        when is_collectable then least(open_amount, greatest(open_through - coalesce(pool, 0), 0)) else open_amount
    end as unpaid_amount
from queued
left join pools using (customer_id);

create table figures as
with ordered as (
    select customer_id, segment, min(first_ordered_on) as first_ordered_on, max(last_ordered_on) as last_ordered_on,
        max(months_ago) as first_months_ago, sum(order_days) as order_days
    from cells
    join customers using (customer_id)
    where order_count > 0
    group by all
),
segments as (
    select segment, 2.0 * sum(as_of_date() + 1 - first_ordered_on) / sum(order_days) as pseudo_days
    from ordered
    group by all
),
rhythms as (
    select ordered.*, as_of_date() - last_ordered_on as silence_days,
        (last_ordered_on - first_ordered_on + pseudo_days) / (order_days + 1) as usual_gap_days
    from ordered
    join segments using (segment)
),
revenue as (
    select customer_id, sum(amount) as revenue_12m_amount
    from orders
    where not is_cancelled and ordered_on > as_of_date() - 365
    group by all
),
arrears as (
    select customer_id,
        sum(unpaid_amount) filter (is_collectable or is_disputed) as open_balance_amount,
        sum(unpaid_amount) filter (is_collectable and due_on < as_of_date()) as overdue_amount,
        max(as_of_date() - due_on) filter (is_collectable and due_on < as_of_date()) as overdue_days
    from settled
    where unpaid_amount > 0
    group by all
),
months as (
    select customer_id,
        max(order_count) filter (months_ago <= 3) as frequency,
        max(order_count) filter (months_ago <= 2) as watch_frequency,
        sum(order_count) filter (months_ago > 3) as base_count,
        sum((3.5 - months_ago) * order_count) filter (months_ago <= 6) / 17.5 as frequency_slope,
        max(order_amount) filter (months_ago <= 3) as amount,
        max(order_amount) filter (months_ago <= 2) as watch_amount,
        sum(order_amount) filter (months_ago > 3) as base_amount,
        sum((3.5 - months_ago) * order_amount) filter (months_ago <= 6) / 17.5 as amount_slope,
        sum(order_amount) filter (months_ago <= 12) as amount_12m,
        min(complaint_count / nullif(order_count, 0)) filter (months_ago <= 2) as complaint_rate,
        count(*) filter (months_ago <= 2 and order_count > 0) as complaint_months,
        sum(complaint_count) filter (months_ago > 2) as base_complaints,
        sum(order_count) filter (months_ago > 2) as base_orders,
        sum((3.5 - months_ago) * complaint_count / nullif(order_count, 0)) filter (months_ago <= 6) / 17.5
            as complaint_slope
    from cells
    where months_ago between 1 and 15
    group by all
),
complaints as (
    select customer_id, count(*) as complaints_90d
    from tickets
    where kind = 'complaint' and opened_on > as_of_date() - 90
    group by all
),
standards as (from (values ('urgent', 4), ('high', 8), ('normal', 24), ('low', 72)) as list (priority, hours)),
responses as (
    select customer_id,
        avg(epoch(coalesce(first_responded_at, as_of_at()) - opened_at) / 3600 / coalesce(hours, 24)) as response_ratio
    from tickets
    left join standards using (priority)
    where opened_on > as_of_date() - 30
    group by all
),
answers as (
    select customer_id, max(score) as greatest_score, arg_min(score, newness) as latest_score, count(*) as scores
    from (
        select customer_id, score, answered_on,
            row_number() over (partition by customer_id order by answered_at desc, survey_id desc) as newness
        from surveys
        where kind = 'csat'
    )
    where newness <= 2 and answered_on >= as_of_date() - 180
    group by all
)
select *
from customers
left join rhythms using (customer_id)
left join revenue using (customer_id)
left join arrears using (customer_id)
left join months using (customer_id)
left join complaints using (customer_id)
left join responses using (customer_id)
left join answers using (customer_id);
"""


_TOTALS = """
select
    (select count(*) from cells) as cells,
    (select sum(order_count) from cells) as order_count,
    (select sum(order_amount) from cells) as order_amount,
    (select sum(order_days) from cells) as order_days,
    (select sum(complaint_count) from cells) as complaint_count,
    (select sum(revenue_12m_amount) from figures) as revenue_12m_amount,
    (select sum(open_balance_amount) from figures) as open_balance_amount
"""


def main(folder: Path, as_of_date: str) -> None:
    """Rebuild in memory and print what it took and what came out."""
    started = os.times()
    with duckdb.connect() as connection:
        connection.execute("create schema landing")
        for file in sorted(folder.glob("*.parquet")):
            connection.execute(f"create view landing.{file.stem} as from '{file}'")
        connection.execute(f"create macro as_of_date() as date '{as_of_date}'")
        connection.execute("create macro as_of_at() as (as_of_date() + 1)::timestamp at time zone 'Asia/Shanghai'")
        for script in (_STAGING, _CELLS, _FIGURES):
            connection.execute(script)
        ended = os.times()
        [totals] = connection.sql(_TOTALS).fetchall()
        names = connection.sql(_TOTALS).columns
    json.dump(
        {
            "cpu_seconds": sum(ended[:2]) - sum(started[:2]),
            "wall_seconds": ended.elapsed - started.elapsed,
            "totals": {name: float(total) for name, total in zip(names, totals, strict=True)},
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
