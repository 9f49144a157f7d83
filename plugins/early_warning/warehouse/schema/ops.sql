-- What the platform keeps about itself: runs, batches, verdicts, mails. Small reference tables, idempotent script.
create schema if not exists landing;
create schema if not exists ops;
create schema if not exists policy;

-- The version of these scripts that is in place, so that they are run when they changed and not at every command.
create table if not exists ops.migration (
    fingerprint text primary key,
    migrated_at timestamptz not null default now()
);

create table if not exists ops.company (
    folder text primary key,
    name text not null,
    time_zone text not null,
    currency text not null,
    language text not null,
    desk_url text
);

create table if not exists ops.recipient (
    recipient_id bigint generated always as identity primary key,
    role text not null,
    department text not null,
    name text not null,
    email text not null,
    language text not null,
    frequency text not null default '',
    time_zone text not null default '',
    chat text not null default ''
);

create table if not exists ops.run (
    run_id bigint generated always as identity primary key,
    as_of_date date not null,
    as_of_at timestamptz not null,
    company_time_zone text not null,
    policy_hash text not null,
    state text not null check (state in ('running', 'failed', 'stopped', 'published')),
    previous_run_id bigint references ops.run (run_id),
    is_backfill boolean not null,
    through_batch_id bigint,
    stale_data_sets text[] not null default '{}', -- whose newest data are older than their freshness limit allows, sorted
    indicator_codes text[], -- whose place is whose in the arrays of marts.fct_customer_indicators
    blind_reasons text[], -- by the same places: why nobody can be judged by an indicator (no_data, stale), else null
    opened_at timestamptz not null default now(),
    published_at timestamptz,
    composed_at timestamptz,
    finished_at timestamptz,
    message text,
    dropped_at timestamptz -- by upkeep: no run goes on from it, no day shows it, its rows are gone or will be
);

-- Whom a run did not tell about, since a person had said so.
create table if not exists ops.mute (
    customer_id text not null,
    run_id bigint not null,
    muted_on date not null,
    muted_until date not null,
    reason text not null,
    muted_by text not null,
    primary key (customer_id, run_id, muted_on)
);

create table if not exists ops.run_step (
    run_id bigint not null references ops.run (run_id),
    step text not null,
    state text not null check (state in ('running', 'done', 'failed')),
    rows bigint,
    seconds numeric,
    message text,
    started_at timestamptz not null default now(),
    primary key (run_id, step)
);

-- The pointer: which run a published day shows. The only row that makes anything visible.
create table if not exists ops.publication (
    as_of_date date primary key,
    run_id bigint not null references ops.run (run_id),
    published_at timestamptz not null default now()
);

create table if not exists ops.batch (
    batch_id bigint generated always as identity primary key,
    run_id bigint not null references ops.run (run_id),
    source text not null,
    data_set text not null,
    mode text not null check (mode in ('snapshot', 'append')),
    state text not null check (state in ('landing', 'landed', 'accepted', 'rejected')),
    rows bigint not null default 0,
    quarantined bigint not null default 0,
    orphans bigint not null default 0,
    previous_rows bigint,
    newest_file_date date,
    landed_at timestamptz not null default now(),
    read_through timestamptz,
    present bigint,
    deleted bigint,
    is_staged boolean not null default false, -- what staging shows has taken it in
    upkept_at timestamptz -- what it replaced is gone or, where no gate accepted it, its own rows
);
create index if not exists batch_data_set on ops.batch (data_set, batch_id);

-- What staging and the tables counted from it stand for: one moment and one policy. While a build is at work, and after
-- one that died, they stand for something between two moments, so that the next build counts anew all that lies between.
create table if not exists ops.staging (
    time_zone text primary key,
    project text not null,
    earliest_at timestamptz not null,
    latest_at timestamptz not null,
    through_batch_id bigint,
    policy_hash text
);

-- Cells (a customer's month, an invoice) that a record has left, because a newer version moved or removed it: they have
-- to be counted anew, and no row of staging says so any more. Emptied when a build has succeeded.
create table if not exists ops.cell_left (
    customer_id text not null,
    data_set text not null,
    cell text not null,
    primary key (customer_id, data_set, cell)
);

create table if not exists ops.delivery (
    batch_id bigint not null references ops.batch (batch_id),
    source text not null,
    table_name text not null,
    file text not null,
    file_date date,
    size_bytes bigint not null,
    modified_ns bigint not null,
    sha256 text not null,
    primary key (batch_id, table_name, file)
);

create table if not exists ops.quarantine (
    quarantine_id bigint generated always as identity primary key,
    batch_id bigint not null references ops.batch (batch_id),
    run_id bigint not null references ops.run (run_id),
    source text not null,
    data_set text not null,
    source_file text,
    source_row bigint,
    column_name text,
    reason text not null,
    remedy text not null,
    row_data jsonb
);
create index if not exists quarantine_batch on ops.quarantine (batch_id);

create table if not exists ops.problem (
    problem_id bigint generated always as identity primary key,
    run_id bigint not null references ops.run (run_id),
    batch_id bigint references ops.batch (batch_id),
    source text not null,
    data_set text,
    file text,
    row bigint,
    column_name text,
    is_critical boolean not null,
    message text not null,
    remedy text not null
);

create table if not exists ops.gate_result (
    run_id bigint not null references ops.run (run_id),
    gate text not null,
    result_no integer not null,
    expectation text not null,
    data_set text,
    severity text not null check (severity in ('critical', 'warning')),
    verdict text not null check (verdict in ('pass', 'warn', 'fail')),
    failed_rows bigint,
    message text,
    primary key (run_id, gate, result_no)
);

-- The DAG run of a scheduler that is at work, or was the last that was.
create table if not exists ops.scheduled_run (
    dag_run_id text primary key
);

create table if not exists ops.outbox (
    mail_key text primary key,
    run_id bigint not null references ops.run (run_id),
    as_of_at timestamptz not null,
    audience text not null,
    channel text not null default 'mail' check (channel in ('mail', 'chat')),
    recipient text not null, -- an address; of a chat its name, whose secret address is looked up when it is told
    subject text not null,
    message_id text unique, -- a chat has none
    mime bytea, -- null once upkeep has dropped the body; the receipt stays
    state text not null check (state in ('pending', 'sent', 'refused')),
    attempts integer not null default 0,
    composed_at timestamptz not null default now(),
    next_attempt_at timestamptz not null default now(),
    sent_at timestamptz,
    resent_at timestamptz, -- when somebody had it sent once more, last
    last_error text
);

-- What each reader was told of a customer last: the digest says what has changed since. Gone with the warning.
create table if not exists ops.told (
    customer_id text not null,
    audience text not null,
    recipient text not null,
    run_id bigint not null,
    case_id text,
    step integer not null,
    warning_level integer not null,
    reminder integer not null, -- 0 none yet; 1 half the time to act is over, 2 all of it, 3 twice as much
    primary key (customer_id, audience, recipient)
);

-- What the run that is composed has to say to each reader about a customer; made anew each time.
create unlogged table if not exists ops.news (
    customer_id text not null,
    audience text not null,
    recipient text not null,
    case_id text,
    step integer,
    warning_level integer,
    told_level integer,
    change text not null,
    is_gone boolean not null,
    reminder integer not null,
    is_news boolean not null,
    primary key (customer_id, audience, recipient)
);

-- What upkeep dropped, counting back from `today`: by table its rows and their bytes.
create table if not exists ops.upkeep (
    upkeep_id bigint generated always as identity primary key,
    today date not null,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    dropped jsonb not null default '{}',
    warehouse_bytes bigint
);

-- For homes of an earlier version. Asked first, since to alter a table waits for whoever reads a bi view just now.
do $$
begin
    if not exists (select from pg_attribute where attrelid = 'ops.run'::regclass and attname = 'dropped_at') then
        alter table ops.run add column if not exists dropped_at timestamptz;
        alter table ops.batch
        add column if not exists read_through timestamptz,
        add column if not exists present bigint,
        add column if not exists deleted bigint,
        add column if not exists is_staged boolean not null default false,
        add column if not exists upkept_at timestamptz;
        alter table ops.outbox alter column mime drop not null;
    end if;
    if not exists (select from pg_attribute where attrelid = 'ops.staging'::regclass and attname = 'through_batch_id') then
        alter table ops.staging add column through_batch_id bigint;
    end if;
    if not exists (select from pg_attribute where attrelid = 'ops.run'::regclass and attname = 'indicator_codes') then
        alter table ops.run add column indicator_codes text[];
        alter table policy.indicator_parameters alter column serious drop not null;
    end if;
    if not exists (select from pg_attribute where attrelid = 'ops.run'::regclass and attname = 'stale_data_sets') then
        alter table ops.run
        add column stale_data_sets text[] not null default '{}',
        add column blind_reasons text[];
    end if;
    if not exists (select from pg_attribute where attrelid = 'ops.recipient'::regclass and attname = 'frequency') then
        alter table ops.company add column desk_url text;
        alter table ops.recipient
        add column frequency text not null default '',
        add column time_zone text not null default '',
        add column chat text not null default '';
    end if;
    if not exists (select from pg_attribute where attrelid = 'ops.outbox'::regclass and attname = 'channel') then
        alter table ops.outbox
        add column channel text not null default 'mail' check (channel in ('mail', 'chat')),
        alter column message_id drop not null;
    end if;
    if not exists (select from pg_attribute where attrelid = 'ops.outbox'::regclass and attname = 'resent_at') then
        alter table ops.outbox add column resent_at timestamptz;
    end if;
end
$$;

-- Days of the past judged once more, beside what was published: by another policy, or before the first run. What a
-- build needs to know of a run, and which edition of the project judged.
create table if not exists ops.replay (
    run_id bigint generated always as identity primary key,
    as_of_date date not null,
    as_of_at timestamptz not null,
    company_time_zone text not null,
    policy_hash text not null,
    previous_run_id bigint, -- none: a raw level depends on no run before
    through_batch_id bigint not null,
    batches bigint not null, -- how many of them were accepted
    stale_data_sets text[] not null,
    indicator_codes text[],
    blind_reasons text[],
    project text not null,
    judged_at timestamptz -- null while it is at work, and after it was killed
);

-- Active customers of a replay, and what a back-test asks of them.
create table if not exists ops.replayed_customer (
    customer_id text not null,
    run_id bigint not null,
    raw_level integer,
    level integer not null, -- the same; 4 for none, and for service_fluctuation alone, which says nothing of leaving
    rule_codes text[] not null,
    indicator_codes text[] not null, -- whose state is serious
    silence_days integer not null,
    usual_gap_days numeric not null,
    order_days integer not null,
    last_ordered_on date not null,
    inactivity_limit_days numeric not null,
    revenue_12m_amount numeric not null,
    baseline_amount numeric, -- a month
    money_at_risk_amount numeric not null,
    customer_name text,
    segment text,
    owner_name text,
    primary key (customer_id, run_id)
);
create index if not exists replayed_customer_run on ops.replayed_customer (run_id);

-- What level rules compare, of each judged customer of a replay, as marts.fct_customer_indicators has it: so other rules
-- are tried on the same days without a build. By the places of ops.replay.indicator_codes.
create table if not exists ops.replayed_fact (
    customer_id text not null,
    run_id bigint not null,
    is_active boolean not null, -- the others owe; they count where a level is capped
    quiet_days numeric, -- silence and usual gap: who drops out of a full level first
    money_at_risk_amount numeric not null,
    states text[] not null,
    measured_values numeric[] not null,
    measures jsonb[] not null,
    primary key (customer_id, run_id)
);
create index if not exists replayed_fact_run on ops.replayed_fact (run_id);

-- What a policy did in place of another one on past days, by each back-test and proposal.
create table if not exists ops.trial (
    trial_id bigint generated always as identity primary key,
    policy_hash text not null,
    compared_with text not null,
    tried_at timestamptz not null default now(),
    first_date date not null,
    last_date date not null,
    horizon_days integer not null,
    effect jsonb not null -- basis (walk-forward, back-test, in-sample), then by figure: before, after, difference, low, high
);

-- Who let which other policy judge, and what it was expected to do: a row where a run's policy differs from that of the run
-- published last before it.
create table if not exists ops.policy_change (
    run_id bigint primary key references ops.run (run_id),
    changed_at timestamptz not null default now(),
    as_of_date date not null,
    policy_hash text not null,
    previous_hash text not null,
    previous_run_id bigint not null references ops.run (run_id),
    changed_by text not null,
    differences jsonb not null, -- a list of file, key, column, before, after
    expected jsonb -- the effect of the newest walk-forward trial of the one against the other, else of the newest
);
