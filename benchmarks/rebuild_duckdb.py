"""The full rebuild in DuckDB: staging, customer-month cells, and what the indicators of the landed data compare.

    python -m benchmarks.rebuild_duckdb FOLDER AS_OF_DATE

reads the landing tables from FOLDER/<table>.parquet and prints one JSON object: CPU-seconds, seconds, totals. A figure
is called as the platform publishes it: <indicator>, <indicator>_baseline, or the measure's name, and is null where the
platform publishes none. <indicator>_slope is what its trend is told from. Numbers in the SQL are the policy's.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import duckdb

# What identifies a record, by landing table.
_RECORDS = {
    "sales_orders": "order_id",
    "sales_interactions": "interaction_id",
    "sales_returns": "return_id",
    "service_tickets": "ticket_id",
    "service_surveys": "survey_id",
    "finance_invoices": "invoice_id",
    "finance_payments": "payment_id",
    "finance_credit_terms": "customer_id, valid_from",
}

_NEWEST = """
create view {table} as
from landing.{table}
qualify row_number() over (partition by {record} order by updated_at desc nulls last, _batch_id desc) = 1
    and not _is_deleted
"""

_MACROS = """
create macro as_of_date() as date '{day}';
create macro as_of_at() as (as_of_date() + 1)::timestamp at time zone 'Asia/Shanghai';
create macro local_day(moment) as (moment at time zone 'Asia/Shanghai')::date;
create macro month_start(months) as date_trunc('month', as_of_date() + 1) - to_months(months);

-- The greatest figure of the last three months, or that of the last two if only this is low.
create macro told(of_three, of_two, baseline) as case
    when baseline > 0 and of_two < round(0.4 * baseline, 6) and of_three >= round(0.4 * baseline, 6) then of_two
    when baseline > 0 then of_three
end;
"""

# What is known as of the cut-off; money is exact (decimal).
_STAGING = """
create table customers as
select customer_id, segment
from landing.sales_customers
where _batch_id = (select max(_batch_id) from landing.sales_customers);

create table orders as
select customer_id, order_id, amount, local_day(ordered_at) as ordered_on, local_day(promised_at) as promised_on,
    local_day(case when fulfilled_at < as_of_at() then fulfilled_at end) as fulfilled_on,
    coalesce(cancelled_at < as_of_at(), false) as is_cancelled,
    coalesce(cancelled_at < as_of_at() and cancelled_by = 'customer', false) as is_cancelled_by_customer
from sales_orders
where ordered_at < as_of_at();

create table interactions as
select customer_id, interaction_id, channel, local_day(occurred_at) as occurred_on
from sales_interactions
where occurred_at < as_of_at();

create table returned as
select customer_id, return_id, local_day(returned_at) as returned_on
from sales_returns
where returned_at < as_of_at();

create table tickets as
select customer_id, ticket_id, kind, priority, opened_at, local_day(opened_at) as opened_on,
    coalesce(kind = 'feedback' and sentiment = 'negative', false) as is_negative_feedback,
    case when first_responded_at < as_of_at() then first_responded_at end as first_responded_at
from service_tickets
where opened_at < as_of_at();

create table surveys as
select customer_id, survey_id, kind, answered_at, local_day(answered_at) as answered_on,
    case kind when 'nps' then 10.0 else 100.0 end * (score - scale_min) / (scale_max - scale_min) as score
from service_surveys
where answered_at < as_of_at();

create table invoices as
select customer_id, invoice_id, amount, issued_on, due_on,
    coalesce(disputed_on <= as_of_date(), false) as is_disputed,
    coalesce(written_off_on <= as_of_date(), false) as is_written_off
from finance_invoices
where issued_on <= as_of_date() and coalesce(voided_on > as_of_date(), true);

create table payments as
select customer_id, payment_id, invoice_id, amount, paid_on
from finance_payments
where paid_on <= as_of_date();

create table credit_terms as
select customer_id, nullif(greatest(credit_limit, 0), 0) as credit_limit
from finance_credit_terms
where valid_from <= as_of_date()
qualify valid_from = max(valid_from) over (partition by customer_id);
"""

_CELLS = """
create table cells as
with events as (
    select customer_id, ordered_on as day, case when is_cancelled then 'cancelled' else 'order' end as kind, amount
    from orders
    where not is_cancelled or is_cancelled_by_customer
    union all
    select customer_id, occurred_on, case channel when 'web' then 'web_visit' else 'interaction' end, null
    from interactions
    where channel <> 'other'
    union all
    select customer_id, returned_on, 'return', null from returned
    union all
    select customer_id, opened_on,
        case kind when 'inquiry' then 'interaction' when 'feedback' then 'negative_feedback' else kind end, null
    from tickets
    where kind in ('complaint', 'inquiry') or is_negative_feedback
)
select customer_id, date_trunc('month', day) as month,
    count(*) filter (kind = 'order') as order_count,
    coalesce(sum(amount) filter (kind = 'order'), 0) as order_amount,
    count(distinct day) filter (kind = 'order') as order_days,
    min(day) filter (kind = 'order') as first_ordered_on,
    max(day) filter (kind = 'order') as last_ordered_on,
    count(*) filter (kind = 'cancelled') as cancelled_count,
    count(*) filter (kind = 'interaction') as interaction_count,
    count(*) filter (kind = 'web_visit') as web_visit_count,
    count(*) filter (kind = 'return') as return_count,
    count(*) filter (kind = 'complaint') as complaint_count,
    count(*) filter (kind = 'negative_feedback') as negative_feedback_count,
    datediff('month', date_trunc('month', day), month_start(0)) as months_ago
from events
group by all;
"""

_SETTLED = """
create table settled as
with named as (
    select customer_id, invoice_id, sum(payments.amount) as paid,
        sum(payments.amount) filter (paid_on <= due_on) as paid_in_time
    from payments
    left join invoices using (customer_id, invoice_id)
    group by all
),
matched as (
    select invoices.*, not is_disputed and not is_written_off as is_collectable,
        coalesce(paid, 0) as paid, coalesce(paid_in_time, 0) as paid_in_time,
        greatest(amount - coalesce(paid, 0), 0) as open_amount
    from invoices
    left join named using (customer_id, invoice_id)
),
pools as (
    select customer_id, sum(amount) as pool
    from (
        select customer_id, greatest(paid - amount, 0) as amount from matched
        union all
        select customer_id, paid from named anti join invoices using (customer_id, invoice_id)
    )
    group by all
),
queued as (
    select *,
        coalesce(sum(open_amount) filter (is_collectable) over (
            partition by customer_id order by due_on, issued_on, invoice_id
            rows between unbounded preceding and current row
        ), 0) as open_through
    from matched
)
select customer_id, due_on, is_collectable, is_disputed and not is_written_off as is_disputed,
    paid >= amount and paid_in_time < amount as is_paid_late,
    case
        when is_collectable then least(open_amount, greatest(open_through - coalesce(pool, 0), 0)) else open_amount
    end as unpaid_amount
from queued
left join pools using (customer_id);
"""

# Customers as of the day, whoever they are: active, owing, lapsed.
_STATES = """
create table states as
with ordered as (
    select customer_id, segment, min(first_ordered_on) as first_ordered_on, max(last_ordered_on) as last_ordered_on,
        max(months_ago) as first_months_ago, sum(order_days) as order_days
    from cells
    join customers using (customer_id)
    where order_count > 0
    group by all
),
segments as (
    select segment, count(*) as customers, sum(as_of_date() + 1 - first_ordered_on) as exposure_days,
        sum(order_days) as order_days
    from ordered
    group by all
),
pseudo as (
    select segment,
        2.0 * case
            when customers >= 30 then exposure_days / order_days
            else sum(exposure_days) over () / sum(order_days) over ()
        end as pseudo_days
    from segments
),
rhythms as (
    select ordered.*, as_of_date() - last_ordered_on as silence_days,
        (last_ordered_on - first_ordered_on + pseudo_days) / (order_days + 1) as usual_gap_days
    from ordered
    join pseudo using (segment)
),
revenues as (
    select customer_id, sum(amount) as revenue_12m_amount
    from orders
    where not is_cancelled and ordered_on > as_of_date() - 365
    group by all
),
arrears as (
    select customer_id,
        sum(unpaid_amount) filter (is_collectable or is_disputed) as open_balance_amount,
        sum(unpaid_amount) filter (is_collectable and due_on < as_of_date()) as overdue_amount,
        max(as_of_date() - due_on) filter (is_collectable and due_on < as_of_date()) as oldest_overdue_days
    from settled
    where unpaid_amount > 0
    group by all
),
joined as (
    select customers.customer_id, first_months_ago, order_days, silence_days, usual_gap_days,
        revenue_12m_amount, open_balance_amount, overdue_amount, oldest_overdue_days,
        coalesce(silence_days <= greatest(180, round(3 * usual_gap_days, 6)), false) as is_active
    from customers
    left join rhythms using (customer_id)
    left join revenues using (customer_id)
    left join arrears using (customer_id)
)
select *,
    is_active or coalesce(open_balance_amount, 0) > 0 as is_judged,
    revenue_12m_amount > 0 and sum(revenue_12m_amount) over (order by revenue_12m_amount desc nulls last, customer_id)
        - revenue_12m_amount < 0.8 * sum(revenue_12m_amount) over () as is_class_a
from joined;
"""

# Sums over windows of closed months. before_3 are the twelve months before the last three, as far as the customer goes
# back; usual_3 is how many these are, null when too few.
_MONTHLY = """
create table monthly as
with histories as (
    select customer_id, first_months_ago,
        case when first_months_ago >= 3 then least(first_months_ago, 12) end as usual_0,
        case when first_months_ago >= 5 then least(first_months_ago - 2, 12) end as usual_2,
        case when first_months_ago >= 6 then least(first_months_ago - 3, 12) end as usual_3
    from states
    where first_months_ago is not null
),
windows as (
    select histories.*, cells.* exclude customer_id,
        months_ago <= 2 as last_2,
        months_ago <= 3 as last_3,
        months_ago <= least(first_months_ago, 12) as before_0,
        months_ago between 3 and least(first_months_ago, 14) as before_2,
        months_ago between 4 and least(first_months_ago, 15) as before_3,
        case when months_ago <= 6 and first_months_ago >= 6 then (3.5 - months_ago) / 17.5 end as lean
    from histories
    left join cells on histories.customer_id = cells.customer_id and months_ago between 1 and 15
),
summed as (
    select customer_id, usual_0, usual_2, usual_3,
        sum(order_count) filter (last_3) as orders_last_3,
        sum(order_amount) filter (last_3) as amount_last_3,
        coalesce(sum(return_count) filter (last_3), 0) as returns_last_3,
        coalesce(max(order_count) filter (last_3), 0) as most_orders_3,
        coalesce(max(order_count) filter (last_2), 0) as most_orders_2,
        coalesce(max(order_amount) filter (last_3), 0) as most_amount_3,
        coalesce(max(order_amount) filter (last_2), 0) as most_amount_2,
        max(interaction_count) filter (last_3) as most_interactions,
        max(web_visit_count) filter (last_2) as most_visits,
        min(complaint_count / nullif(order_count, 0)) filter (last_2) as least_complaint_rate,
        count(*) filter (last_2 and order_count > 0) as complaint_months,
        sum(order_amount) filter (before_0) as amount_before_0,
        sum(order_count) filter (before_2) as orders_before_2,
        sum(web_visit_count) filter (before_2) as visits_before_2,
        sum(complaint_count) filter (before_2) as complaints_before_2,
        coalesce(sum(negative_feedback_count) filter (before_2), 0) as feedback_before_2,
        sum(order_count) filter (before_3) as orders_before_3,
        sum(order_amount) filter (before_3) as amount_before_3,
        sum(interaction_count) filter (before_3) as interactions_before_3,
        sum(return_count) filter (before_3) as returns_before_3,
        sum(lean * order_count) as order_frequency_slope,
        sum(lean * order_amount) as order_amount_slope,
        sum(lean * interaction_count) as interaction_frequency_slope,
        sum(lean * web_visit_count) as web_activity_slope,
        sum(lean * negative_feedback_count) as negative_feedback_slope,
        count(lean) filter (order_count > 0) = 6 as has_ratios,
        sum(lean * order_amount / nullif(order_count, 0)) as average_order_value_slope,
        sum(lean * return_count / nullif(order_count, 0)) as return_rate_slope,
        sum(lean * complaint_count / nullif(order_count, 0)) as complaint_rate_slope
    from windows
    group by all
),
compared as (
    select *,
        orders_before_3 / usual_3 as order_frequency_baseline,
        amount_before_3 / usual_3 as order_amount_baseline,
        interactions_before_3 / usual_3 as interaction_frequency_baseline,
        visits_before_2 / usual_2 as web_activity_baseline,
        usual_3 is not null and orders_last_3 >= 3 and amount_before_3 > 0 as has_order_values,
        usual_3 is not null and orders_last_3 > 0 and orders_before_3 > 0
            and (returns_before_3 > 0 or returns_last_3 < 2) as has_return_rates
    from summed
)
select customer_id,
    told(most_orders_3, most_orders_2, order_frequency_baseline) as order_frequency,
    order_frequency_baseline,
    told(most_amount_3, most_amount_2, order_amount_baseline) as order_amount,
    order_amount_baseline,
    case when has_order_values then amount_last_3 / orders_last_3 end as average_order_value,
    case when has_order_values then amount_before_3 / orders_before_3 end as average_order_value_baseline,
    case when interaction_frequency_baseline >= 2 then most_interactions end as interaction_frequency,
    case when interaction_frequency_baseline >= 2 then interaction_frequency_baseline end
        as interaction_frequency_baseline,
    case when web_activity_baseline >= 2 then most_visits end as web_activity,
    case when web_activity_baseline >= 2 then web_activity_baseline end as web_activity_baseline,
    returns_last_3 as return_count,
    case when has_return_rates then returns_last_3 / orders_last_3 end as return_rate,
    case when has_return_rates then returns_before_3 / orders_before_3 end as return_rate_baseline,
    case when complaint_months = 2 then least_complaint_rate end as complaint_rate,
    complaints_before_2 / nullif(orders_before_2, 0) as complaint_rate_baseline,
    feedback_before_2 / usual_2 as negative_feedback_baseline,
    amount_before_0 / usual_0 as overdue_ratio_baseline,
    case when has_ratios then average_order_value_slope end as average_order_value_slope,
    case when has_ratios then return_rate_slope end as return_rate_slope,
    case when has_ratios then complaint_rate_slope end as complaint_rate_slope,
    order_frequency_slope, order_amount_slope, interaction_frequency_slope, web_activity_slope, negative_feedback_slope
from compared;
"""

# Active customers are judged on everything.
_ACTIVE = """
create table active as
with rhythms as (
    select customer_id, silence_days, usual_gap_days, silence_days / usual_gap_days as silence_ratio,
        silence_days as days_since_last_order, usual_gap_days as days_since_last_order_baseline,
        silence_days as rhythm_break, usual_gap_days as rhythm_break_baseline
    from states
    where order_days >= 3
),
deliveries as (
    select customer_id, count(*) as due, count(*) filter (coalesce(fulfilled_on > promised_on, true)) as late
    from orders
    where promised_on >= month_start(3) and promised_on <= as_of_date() and not is_cancelled
    group by all
),
spoken as (
    select customer_id,
        count(*) filter (kind = 'complaint') as complaints_90d,
        count(*) filter (is_negative_feedback and opened_on > as_of_date() - 30) as feedback
    from tickets
    where opened_on > as_of_date() - 90
    group by all
),
standards as (from (values ('urgent', 4), ('high', 8), ('normal', 24), ('low', 72)) as list (priority, hours)),
responses as (
    select customer_id, 1 as response_time_baseline,
        avg(epoch(coalesce(first_responded_at, as_of_at()) - opened_at) / 3600 / coalesce(hours, 24)) as response_time
    from tickets
    left join standards using (priority)
    where opened_on > as_of_date() - 30
    group by all
),
newest as (
    select customer_id, kind, score, answered_on,
        row_number() over (partition by customer_id, kind order by answered_at desc, survey_id desc) as newness
    from surveys
    qualify newness <= 2
),
scores as (
    select customer_id,
        max(score) filter (kind = 'csat' and newness = 1) as latest_score,
        case when count(*) filter (kind = 'csat') = 2 then max(score) filter (kind = 'csat') end as satisfaction,
        max(score) filter (kind = 'nps' and newness = 1) as net_promoter,
        max(score) filter (kind = 'nps' and newness = 2) as net_promoter_baseline
    from newest
    where answered_on >= as_of_date() - case kind when 'csat' then 180 else 365 end
    group by all
)
select monthly.* exclude overdue_ratio_baseline, rhythms.* exclude customer_id, is_class_a::int as is_class_a,
    late as late_orders,
    case when due >= 3 then 1 - late / due end as delivery_punctuality,
    complaints_90d,
    case when negative_feedback_baseline > 0 or (negative_feedback_baseline = 0 and coalesce(feedback, 0) < 2)
        then feedback end as negative_feedback,
    responses.* exclude customer_id, scores.* exclude customer_id
from states
join monthly using (customer_id)
left join rhythms using (customer_id)
left join deliveries using (customer_id)
left join spoken using (customer_id)
left join responses using (customer_id)
left join scores using (customer_id)
where is_active;
"""

# They and who else owes something are judged on what they owe.
_OWING = """
create table owing as
with habits as (
    select customer_id, count(*) as due_invoices, count(*) filter (unpaid_amount > 0 or is_paid_late) as late_invoices
    from settled
    where is_collectable and due_on >= month_start(6) and due_on < as_of_date()
    group by all
),
cancelled as (
    select customer_id, sum(cancelled_count) as cancelled_orders, sum(order_count + cancelled_count) as placed_orders
    from cells
    where months_ago between 0 and 6
    group by all
)
select customer_id, overdue_amount,
    case when overdue_amount > 1 then oldest_overdue_days end as overdue_days,
    overdue_amount / nullif(overdue_ratio_baseline, 0) as overdue_ratio,
    overdue_ratio_baseline,
    late_invoices,
    case when due_invoices >= 3 then late_invoices / due_invoices end as late_payment_rate,
    credit_limit,
    coalesce(open_balance_amount, 0) / credit_limit as credit_utilization,
    cancelled_orders,
    cancelled_orders / nullif(placed_orders, 0) as order_fulfilment
from states
left join monthly using (customer_id)
left join habits using (customer_id)
left join credit_terms using (customer_id)
left join cancelled using (customer_id)
where is_judged;
"""

_TOTALS = (
    "select count(*) as cells, sum(columns('.*_(count|days|amount)')) as 'cells.\\0' from cells",
    "select sum(columns(['revenue_12m_amount', 'open_balance_amount'])) as '\\0' from states",
    "select count(*) as active_customers from active",
    "select count(*) as judged_customers from owing",
    "select sum(columns(* exclude customer_id)) as '\\0' from active",
    "select sum(columns(* exclude customer_id)) as '\\0' from owing",
)


def main(folder: Path, as_of_date: str) -> None:
    """Rebuild in memory and print what it took and what came out."""
    started = os.times()
    with duckdb.connect() as connection:
        connection.execute("create schema landing")
        for file in sorted(folder.glob("*.parquet")):
            connection.execute(f"create view landing.{file.stem} as from '{file}'")
        for table, record in _RECORDS.items():
            connection.execute(_NEWEST.format(table=table, record=record))
        connection.execute(_MACROS.format(day=as_of_date))
        for script in (_STAGING, _CELLS, _SETTLED, _STATES, _MONTHLY, _ACTIVE, _OWING):
            connection.execute(script)
        ended = os.times()
        totals: dict[str, float] = {}
        for query in _TOTALS:
            sums = connection.sql(query)
            [row] = sums.fetchall()
            totals |= {name: float(total or 0) for name, total in zip(sums.columns, row, strict=True)}
    json.dump(
        {
            "cpu_seconds": sum(ended[:2]) - sum(started[:2]),
            "wall_seconds": ended.elapsed - started.elapsed,
            "totals": totals,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
