"""Fill a warehouse with a simulated company of any size, by SQL inside the database.

    python -m benchmarks.generate --customers 10000 --orders 1000000 --days 3

lands the history and three days in the embedded server of $EARLY_WARNING_HOME. The landed batches are accepted ones:
readers and gates have tests of their own.

Everything that happens is a function of seed, customer and time. So a history of 3 months is exactly the end of that of
36 months, and both go on with the same new orders on the same day.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, LiteralString
from zoneinfo import ZoneInfo

from psycopg import ClientCursor, sql

from early_warning import policy
from early_warning.contract import DATA_SETS
from early_warning.embedded.postgres import running_postgres
from early_warning.settings import PROJECT, home
from early_warning.warehouse import Warehouse, migrate

ZONE = ZoneInfo("Asia/Shanghai")
HISTORY_ENDS = date(2026, 6, 27)  # two ordinary days and the month's last follow
WHOLE_HISTORY_MONTHS = 36


def generate(
    warehouse: Warehouse, customers: int, orders: int, months: int = WHOLE_HISTORY_MONTHS, seed: int = 1
) -> dict[str, int]:
    """Land a company's history until 27 June 2026 as the first batch of each data set.

    Args:
        warehouse: migrated and empty.
        customers: how many there will ever be; a few join after the history.
        orders: about how many they place in 36 months.
        months: how much of that history to land (36 or fewer, the newest): 3 is a twelfth of it, by the same customers.
        seed: another one, another company.

    Returns:
        Landed rows by data set.
    """
    loaded_at, starts_at = _midnight_after(HISTORY_ENDS), _months_before(months)
    rules = policy.load(PROJECT / "company" / "policy")
    policy.store(warehouse, rules)
    with warehouse.connect() as connection, ClientCursor(connection) as cursor:
        cursor.execute("set local work_mem = '256MB'")
        cursor.execute("set local maintenance_work_mem = '1GB'")
        cursor.execute(Path(__file__).with_suffix(".sql").read_bytes())
        cursor.execute(_ENROL, {"zone": ZONE.key, "policy_hash": rules.policy_hash})
        cursor.execute(_COMPANY, {"seed": seed, "starts_at": starts_at, "loaded_at": loaded_at})
        cursor.execute(
            _CUSTOMERS,
            {
                "seed": seed,
                "customers": customers,
                "orders": orders,
                "whole_from": _months_before(WHOLE_HISTORY_MONTHS),
                "loaded_at": loaded_at,
            },
        )
        cursor.execute("analyze benchmark.customers")
        for name in _EVENTS:  # an index of many million keys is built in a fraction of the time it takes to grow
            cursor.execute(_on_table("alter table {table} drop constraint {key}", name))
        landed = _land(cursor, _months(starts_at, loaded_at), since=starts_at, until=loaded_at)
        for name in _EVENTS:
            cursor.execute(_on_table("alter table {table} add constraint {key} primary key ({columns})", name))
    with warehouse.connect(autocommit=True) as connection:  # as autovacuum does in time, so that no figure pays for it
        for name in landed:
            connection.execute(_on_table("vacuum (analyze) {table}", name))
    return landed


def add_day(warehouse: Warehouse, day: date) -> dict[str, int]:
    """Land what a day brought, as one batch a data set: the day after the history, or after the last one added.

    New orders; shipments, cancellations and corrections of earlier ones as new versions; returns and talks about old
    orders, invoices, payments of old invoices, tickets and their answers, surveys, new credit terms. Customers come as
    a snapshot. Returns landed rows by data set.
    """
    since, until = _midnight_after(day - timedelta(days=1)), _midnight_after(day)
    with warehouse.connect() as connection, ClientCursor(connection) as cursor:
        cursor.execute("set local work_mem = '64MB'")
        placed_from = max(_value(cursor, "select starts_at from benchmark.company"), since - _LONGEST_STORY)
        return _land(cursor, [(placed_from, until)], since=since, until=until)


def _land(
    cursor: ClientCursor[Any], pieces: list[tuple[datetime, datetime]], *, since: datetime, until: datetime
) -> dict[str, int]:
    """Land what became known between two moments of the orders placed in each piece of time, and of the customers."""
    batches, landed = {}, {}
    for name in (*_OF_CUSTOMERS, *_EVENTS):
        mode = "snapshot" if name in ("sales.customers", "sales.products") else "append"
        batches[name] = _value(cursor, _BATCH, {"data_set": name, "mode": mode})
        landed[name] = 0
    moments = {"since": since, "until": until}
    for name, statement in _OF_CUSTOMERS.items():
        landed[name] = cursor.execute(statement, moments | {"batch_id": batches[name]}).rowcount
    for placed_from, placed_until in pieces:
        cursor.execute(_PLACED, {"placed_from": placed_from, "placed_until": placed_until})
        for name, statement in _EVENTS.items():
            landed[name] += cursor.execute(statement, moments | {"batch_id": batches[name]}).rowcount
        cursor.execute("drop table placed")
    for name, rows in landed.items():
        cursor.execute("update ops.batch set rows = %s where batch_id = %s", (rows, batches[name]))
    return landed


def _value(cursor: ClientCursor[Any], query: LiteralString, parameters: Mapping[str, Any] | None = None) -> Any:
    row = cursor.execute(query, parameters).fetchone()
    assert row is not None
    return row[0]


def _on_table(statement: LiteralString, name: str) -> sql.Composed:
    data_set = DATA_SETS[name]
    return sql.SQL(statement).format(
        table=sql.Identifier("landing", data_set.table),
        key=sql.Identifier(f"{data_set.table}_pkey"),
        columns=sql.SQL(", ").join(map(sql.Identifier, (*data_set.storage_key, "_batch_id"))),
    )


def _midnight_after(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), datetime.min.time(), ZONE)


def _months_before(months: int) -> datetime:
    """Start of the month from which so many months reach to the end of the history's last."""
    years, month = divmod(HISTORY_ENDS.year * 12 + HISTORY_ENDS.month - months, 12)
    return datetime(years, month + 1, 1, tzinfo=ZONE)


def _months(start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """Cut a stretch of time into months, so that each is sorted in memory."""

    def starts() -> Iterator[datetime]:
        moment = start
        while moment < end:
            yield moment
            moment = (moment + timedelta(days=32)).replace(day=1)

    cuts = [*starts(), end]
    return [*pairwise(cuts)]


_ENROL = """
insert into ops.company (folder, name, time_zone, currency, language)
values ('–', 'benchmark', %(zone)s, 'CNY', 'zh-CN');
insert into ops.run (as_of_date, as_of_at, company_time_zone, policy_hash, state, is_backfill)
values ('1900-01-01', '1900-01-02', %(zone)s, %(policy_hash)s, 'stopped', false)
"""

_COMPANY = """
insert into benchmark.company (seed, starts_at, loaded_at, run_id)
select %(seed)s, %(starts_at)s, %(loaded_at)s, max(run_id) from ops.run
"""

_BATCH = """
insert into ops.batch (run_id, source, data_set, mode, state)
select run_id, 'benchmark', %(data_set)s, %(mode)s, 'accepted' from benchmark.company
returning batch_id
"""

# Sizes differ 25-fold. Three of ten joined within the 36 months (or will soon), 15 % fell silent in the last 400 days,
# 10 % have been declining for up to half a year, 12 % pay late and 4 % hardly.
_CUSTOMERS = """
insert into benchmark.customers
with drawn as (
    select number, hashint8extended(number, %(seed)s) as key from generate_series(1, %(customers)s) as number
),
behaving as (
    select
        number,
        key,
        0.25 + 6 * benchmark.chance(key, 1) ^ 4 as pace,
        case
            when benchmark.chance(key, 2) < 0.3
                then %(whole_from)s::timestamptz + benchmark.chance(key, 3) * interval '1150 days'
            else %(whole_from)s::timestamptz - benchmark.chance(key, 3) * interval '3000 days'
        end as joined_at,
        case
            when benchmark.chance(key, 4) < 0.15
                then %(loaded_at)s::timestamptz - benchmark.chance(key, 5) * interval '400 days'
            else 'infinity'
        end as silent_from,
        case
            when benchmark.chance(key, 6) < 0.1
                then %(loaded_at)s::timestamptz - benchmark.chance(key, 7) * interval '180 days'
            else 'infinity'
        end as declines_from
    from drawn
),
present as (
    select
        behaving.*,
        greatest(
            extract(epoch from least(silent_from, %(loaded_at)s) - greatest(joined_at, %(whole_from)s)), 0
        )::double precision as seconds
    from behaving
)
select
    'C' || lpad(number::text, 7, '0'),
    number,
    key,
    joined_at,
    silent_from,
    declines_from,
    sum(pace * seconds) over () / (%(orders)s * pace),
    100 * exp(3 * benchmark.chance(key, 8)),
    benchmark.chance(key, 9) < 0.12,
    benchmark.chance(key, 10) < 0.04
from present
"""

_OF_CUSTOMERS: Mapping[str, LiteralString] = {
    "sales.customers": """
insert into landing.sales_customers (
    customer_id, name, segment, industry, region, size, customer_since, owner_name, owner_email, updated_at, _batch_id
)
select
    customer_id,
    'Customer ' || number,
    'segment ' || number %% 5,
    'industry ' || number %% 12,
    'region ' || number %% 30,
    case when gap_seconds < 5e5 then 'large' else 'small' end,
    (joined_at at time zone 'Asia/Shanghai')::date,
    'Owner ' || owner,
    'owner' || owner || '@example.com',
    greatest(joined_at, to_timestamp(tenure * 8.64e7 - benchmark.chance(key, 11) * 8.64e7)),
    %(batch_id)s
from (
    select
        customers.*,
        tenure,
        hashint8extended(key, tenure) & 63 as owner  -- one in a thousand gets another owner each day
    from benchmark.customers
    cross join lateral (
        select floor(extract(epoch from %(until)s::timestamptz) / 8.64e7 + benchmark.chance(key, 11))::bigint as tenure
    ) as tenures
    where joined_at < %(until)s
) as known
order by number
""",
    "sales.products": """
insert into landing.sales_products (product_id, name, category, _batch_id)
select 'P' || number, 'Product ' || number, 'category ' || number %% 25, %(batch_id)s
from generate_series(0, 499) as number
""",
    # Everyone starts with a limit; one in eight got a lower one at some time of the last 400 days.
    "finance.credit_terms": """
insert into landing.finance_credit_terms (
    customer_id, valid_from, credit_limit, payment_days, is_restricted, updated_at, _batch_id
)
select customer_id, (known_at at time zone 'Asia/Shanghai')::date, credit_limit, 30, is_lower, known_at, %(batch_id)s
from benchmark.customers
cross join benchmark.company
cross join lateral (select 1000 * ceil(usual_amount / 20) as usual_limit) as limits
cross join lateral (
    values
    (greatest(joined_at, starts_at), usual_limit, false),
    (loaded_at + (10 - 400 * benchmark.chance(key, 12)) * interval '1 day', usual_limit / 4, true)
) as terms (known_at, credit_limit, is_lower)
where
    known_at >= greatest(joined_at, %(since)s) and known_at < %(until)s
    and (
        not is_lower
        or benchmark.chance(key, 13) < 0.125 and known_at >= greatest(joined_at, starts_at) + interval '1 day'
    )
order by number
""",
}

# All that ever becomes of the orders placed in a stretch of time, each with its moment; the statements below show as
# much of it as is known by `until`. A fifth is shipped after the day it was placed, 2 % are cancelled, 5 % corrected.
_PLACED = """
create temporary table placed as
with slots as (
    select
        customers.*,
        slot,
        hashint8extended(slot, customers.key) as order_key
    from benchmark.customers
    cross join lateral generate_series(
        floor(extract(epoch from greatest(joined_at, %(placed_from)s))::double precision / gap_seconds)::bigint,
        floor(extract(epoch from least(silent_from, %(placed_until)s))::double precision / gap_seconds)::bigint
    ) as slot
),
moments as (
    select slots.*, to_timestamp((slot + benchmark.chance(order_key, 1)) * gap_seconds) as placed_at from slots offset 0
),
orders as (
    select
        customer_id,
        number || '-' || slot as order_no,
        order_key as key,
        placed_at,
        round((usual_amount * (0.5 + benchmark.chance(order_key, 3)))::numeric, 2) as amount,
        benchmark.chance(order_key, 4) < 0.02 as is_cancelled,
        placed_at >= declines_from as is_declining,
        is_late_payer,
        is_debtor
    from moments
    where
        placed_at >= greatest(joined_at, %(placed_from)s)
        and placed_at < least(silent_from, %(placed_until)s)
        and (placed_at < declines_from
            or benchmark.chance(order_key, 2) < exp(extract(epoch from declines_from - placed_at) / 8e6))
),
billed as (
    select
        orders.*,
        case
            when not is_cancelled and benchmark.chance(key, 11) < 1.0 / 3 then placed_at + interval '1 day'
        end as issued_at,
        case
            when benchmark.chance(key, 12) < case when is_declining then 0.2 else 0.095 end
                then placed_at + benchmark.chance(key, 13) * interval '6 days'
        end as opened_at
    from orders
)
select
    billed.*,
    case
        when is_cancelled then null
        when benchmark.chance(key, 5) < 0.8 then placed_at + (1 + 8 * benchmark.chance(key, 6)) * interval '1 hour'
        else placed_at + (1 + 5 * benchmark.chance(key, 6)) * interval '1 day'
    end as fulfilled_at,
    case when is_cancelled then placed_at + (2 + 46 * benchmark.chance(key, 7)) * interval '1 hour' end as cancelled_at,
    case
        when benchmark.chance(key, 8) < 0.05 then placed_at + (5 + 40 * benchmark.chance(key, 9)) * interval '1 day'
    end as corrected_at,
    case
        when benchmark.chance(key, 14) < 0.01 then issued_at + interval '20 days'
    end as disputed_at,
    case
        when is_debtor and benchmark.chance(key, 15) < 0.4 then null
        when is_late_payer or is_debtor then issued_at + (30 + 75 * benchmark.chance(key, 16)) * interval '1 day'
        else issued_at + (10 + 22 * benchmark.chance(key, 16)) * interval '1 day'
    end as paid_at,
    opened_at + (1 + 30 * benchmark.chance(key, 17) ^ 2) * interval '1 hour' as responded_at,
    opened_at + (2 + 3 * benchmark.chance(key, 18)) * interval '1 day' as resolved_at,
    case
        when not is_cancelled and benchmark.chance(key, 25) < case when is_declining then 0.06 else 0.02 end
            then placed_at + (6 + 10 * benchmark.chance(key, 26)) * interval '1 day'
    end as returned_at,
    case
        when benchmark.chance(key, 27) < 0.3 then placed_at + 12 * benchmark.chance(key, 28) * interval '1 day'
    end as talked_at,
    case
        when benchmark.chance(key, 19) < 0.05 then placed_at + (3 + 7 * benchmark.chance(key, 20)) * interval '1 day'
    end as answered_at
from billed
"""
_LONGEST_STORY = timedelta(days=110)  # from an order to the last payment of its invoice

# By data set, in the order in which the orders were placed.
_EVENTS: Mapping[str, LiteralString] = {
    "sales.orders": """
insert into landing.sales_orders (
    customer_id, order_id, ordered_at, amount, currency, promised_at, fulfilled_at, cancelled_at, cancelled_by,
    updated_at, _batch_id
)
select
    customer_id,
    'O' || order_no,
    placed_at,
    round(amount * case when corrected is null then 1 else 0.8 + 0.4 * benchmark.chance(key, 21) end::numeric, 2),
    'CNY',
    placed_at + interval '5 days',
    fulfilled,
    cancelled,
    case when cancelled is not null then case when key & 1 = 1 then 'customer' else 'us' end end,
    updated_at,
    %(batch_id)s
from placed
cross join lateral (
    select
        case when fulfilled_at < %(until)s then fulfilled_at end as fulfilled,
        case when cancelled_at < %(until)s then cancelled_at end as cancelled,
        case when corrected_at < %(until)s then corrected_at end as corrected
) as known
cross join lateral (select greatest(placed_at, fulfilled, cancelled, corrected) as updated_at) as last
where updated_at >= %(since)s
order by placed_at
""",
    # One line or two, as often as not; a few products make most of the sales.
    "sales.order_lines": """
insert into landing.sales_order_lines (
    customer_id, order_id, line_no, product_id, quantity, amount, updated_at, _batch_id
)
select
    customer_id,
    'O' || order_no,
    line_no,
    'P' || floor(500 * benchmark.chance(key, 30 + line_no) ^ 2),
    1,
    amount / lines,
    placed_at,
    %(batch_id)s
from placed
cross join lateral (select 1 + (key >> 6 & 1)::integer as lines) as counted
cross join generate_series(1, lines) as line_no
where placed_at >= %(since)s and placed_at < %(until)s
order by placed_at
""",
    "sales.returns": """
insert into landing.sales_returns (customer_id, return_id, order_id, returned_at, amount, updated_at, _batch_id)
select customer_id, 'R' || order_no, 'O' || order_no, returned_at, amount, returned_at, %(batch_id)s
from placed
where returned_at >= %(since)s and returned_at < %(until)s
order by placed_at
""",
    "sales.interactions": """
insert into landing.sales_interactions (customer_id, interaction_id, occurred_at, channel, updated_at, _batch_id)
select
    customer_id,
    'X' || order_no,
    talked_at,
    (array['phone', 'email', 'visit', 'web'])[1 + (key & 3)],
    talked_at,
    %(batch_id)s
from placed
where talked_at >= %(since)s and talked_at < %(until)s
order by placed_at
""",
    "service.tickets": """
insert into landing.service_tickets (
    customer_id, ticket_id, kind, category, priority, channel, sentiment, order_id, opened_at, first_responded_at,
    resolved_at, updated_at, _batch_id
)
select
    customer_id,
    'T' || order_no,
    case when chance < 0.3 then 'complaint' when chance < 0.8 then 'inquiry' else 'feedback' end,
    'category ' || (key & 7),
    (array['urgent', 'high', 'normal', 'normal', 'normal', 'normal', 'low', null])[1 + (key >> 3 & 7)],
    case when key & 1 = 1 then 'phone' else 'web' end,
    case when benchmark.chance(key, 29) < 0.25 then 'negative' else 'neutral' end,
    'O' || order_no,
    opened_at,
    responded,
    resolved,
    updated_at,
    %(batch_id)s
from placed
cross join lateral (
    select
        benchmark.chance(key, 22) as chance,
        case when responded_at < %(until)s then responded_at end as responded,
        case when resolved_at < %(until)s then resolved_at end as resolved
) as known
cross join lateral (select greatest(opened_at, responded, resolved) as updated_at) as last
where opened_at < %(until)s and updated_at >= %(since)s
order by placed_at
""",
    "service.surveys": """
insert into landing.service_surveys (
    customer_id, survey_id, answered_at, kind, score, scale_min, scale_max, channel, updated_at, _batch_id
)
select
    customer_id,
    'S' || order_no,
    answered_at,
    case when key & 3 = 0 then 'nps' else 'csat' end,
    case
        when key & 3 = 0 then floor(11 * benchmark.chance(key, 23))
        when is_declining then 1 + floor(3 * benchmark.chance(key, 23))
        else 5 - floor(5 * benchmark.chance(key, 23) ^ 2)
    end,
    case when key & 3 = 0 then 0 else 1 end,
    case when key & 3 = 0 then 10 else 5 end,
    'web',
    answered_at,
    %(batch_id)s
from placed
where answered_at >= %(since)s and answered_at < %(until)s
order by placed_at
""",
    "finance.invoices": """
insert into landing.finance_invoices (
    customer_id, invoice_id, issued_on, due_on, amount, currency, disputed_on, updated_at, _batch_id
)
select
    customer_id,
    'I' || order_no,
    issued_on,
    issued_on + 30,
    3 * amount,
    'CNY',
    (disputed at time zone 'Asia/Shanghai')::date,
    updated_at,
    %(batch_id)s
from placed
cross join lateral (
    select
        (issued_at at time zone 'Asia/Shanghai')::date as issued_on,
        case when disputed_at < %(until)s then disputed_at end as disputed
) as known
cross join lateral (select greatest(issued_at, disputed) as updated_at) as last
where issued_at < %(until)s and updated_at >= %(since)s
order by placed_at
""",
    "finance.payments": """
insert into landing.finance_payments (
    customer_id, payment_id, invoice_id, paid_on, amount, kind, updated_at, _batch_id
)
select
    customer_id,
    'P' || order_no,
    case when benchmark.chance(key, 24) >= 0.02 then 'I' || order_no end,
    (paid_at at time zone 'Asia/Shanghai')::date,
    3 * amount,
    'payment',
    paid_at,
    %(batch_id)s
from placed
where paid_at >= %(since)s and paid_at < %(until)s
order by placed_at
""",
}


def main() -> None:
    """Fill the embedded warehouse of $EARLY_WARNING_HOME and say how many rows that made."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generate", description=main.__doc__)
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--orders", type=int, default=1_000_000, help="of 36 months")
    parser.add_argument("--months", type=int, default=WHOLE_HISTORY_MONTHS, help="3 for a twelfth of the history")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=int, default=0, help="days to add after the history")
    options = parser.parse_args()
    with running_postgres(home()) as warehouse:
        migrate(warehouse)
        started = time.monotonic()
        _tell("history", generate(warehouse, options.customers, options.orders, options.months, options.seed), started)
        for number in range(1, options.days + 1):
            started, day = time.monotonic(), HISTORY_ENDS + timedelta(days=number)
            _tell(day.isoformat(), add_day(warehouse, day), started)


def _tell(what: str, landed: Mapping[str, int], started: float) -> None:
    rows = ", ".join(f"{name} {count:,}" for name, count in landed.items())
    print(f"{what}: {rows} ({time.monotonic() - started:.1f} s)")


if __name__ == "__main__":
    main()
