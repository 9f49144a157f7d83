-- The role of BI tools and people: schema bi only, read-only, and never in the way for long.
do $$
begin
    if not exists (select from pg_roles where rolname = 'early_warning_reader') then
        create role early_warning_reader;
    end if;
end
$$;
alter role early_warning_reader set default_transaction_read_only = on;
alter role early_warning_reader set statement_timeout = '10min';
alter role early_warning_reader set search_path = bi;
create schema if not exists bi;
grant usage on schema bi to early_warning_reader;
alter default privileges in schema bi grant select on tables to early_warning_reader;
