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
    language text not null
);

create table if not exists ops.recipient (
    recipient_id bigint generated always as identity primary key,
    role text not null,
    department text not null,
    name text not null,
    email text not null,
    language text not null
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
    opened_at timestamptz not null default now(),
    published_at timestamptz,
    composed_at timestamptz,
    finished_at timestamptz,
    message text
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
    landed_at timestamptz not null default now()
);
create index if not exists batch_data_set on ops.batch (data_set, batch_id);

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

-- The dbt project whose views and words readers see now; another one replaces them, the same leaves them alone.
create table if not exists ops.built_project (
    fingerprint text primary key,
    built_at timestamptz not null default now()
);

create table if not exists ops.outbox (
    mail_key text primary key,
    run_id bigint not null references ops.run (run_id),
    as_of_at timestamptz not null,
    audience text not null,
    recipient text not null,
    subject text not null,
    message_id text not null unique,
    mime bytea not null,
    state text not null check (state in ('pending', 'sent', 'refused')),
    attempts integer not null default 0,
    composed_at timestamptz not null default now(),
    next_attempt_at timestamptz not null default now(),
    sent_at timestamptz,
    last_error text
);
