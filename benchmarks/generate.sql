-- The simulated company of the benchmarks: who its customers are and how they behave. Chance is a hash of who and what,
-- so the same seed gives the same company, and a day comes out the same whatever was generated before it.
create schema benchmark;

create function benchmark.chance(key bigint, what integer) returns double precision
language sql immutable parallel safe
return (hashint8extended(key, what) & 16777215) / 16777216.0::double precision;

-- One row. No order is older than starts_at; the first load holds what was known at loaded_at.
create table benchmark.company (
    seed bigint primary key,
    starts_at timestamptz not null,
    loaded_at timestamptz not null,
    run_id bigint not null
);

-- A customer places one order in each stretch of gap_seconds, at a moment of its own within it: its rhythm.
create table benchmark.customers (
    customer_id text primary key,
    number bigint not null,
    key bigint not null,
    joined_at timestamptz not null,
    silent_from timestamptz not null,
    declines_from timestamptz not null,
    gap_seconds double precision not null,
    usual_amount double precision not null,
    is_late_payer boolean not null,
    is_debtor boolean not null
);
