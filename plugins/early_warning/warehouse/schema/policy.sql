-- Every version of the policy that ever judged anybody, one row a line of its CSVs.
create table if not exists policy.policy (
    policy_hash text primary key,
    stored_at timestamptz not null default now()
);

create table if not exists policy.indicators (
    policy_hash text not null references policy.policy (policy_hash),
    indicator_code text not null,
    name text not null,
    family text not null,
    department text not null,
    also_departments text[] not null,
    unit text not null,
    direction text not null,
    is_key boolean not null,
    primary key (policy_hash, indicator_code)
);

-- Values of a parameter: for all customers or, where segment, industry or region are not empty, for those alone; always or
-- from a day until a day. Of the entries that apply to a customer that of the greatest specificity counts.
create table if not exists policy.indicator_parameters (
    policy_hash text not null references policy.policy (policy_hash),
    indicator_code text not null,
    parameter text not null,
    serious numeric, -- null: the indicator has no serious state
    watch numeric
);

do $$
begin
    if not exists (
        select from pg_attribute where attrelid = 'policy.indicator_parameters'::regclass and attname = 'specificity'
    ) then
        alter table policy.indicator_parameters
        drop constraint if exists indicator_parameters_pkey, -- of an earlier version
        add column segment text not null default '',
        add column industry text not null default '',
        add column region text not null default '',
        add column valid_from date not null default '0001-01-01',
        add column valid_until date not null default '9999-12-31',
        -- the more attributes the more specific; of as many segment before industry before region; then the dated one
        add column specificity integer not null generated always as (
            24 * (segment <> '')::integer + 20 * (industry <> '')::integer + 18 * (region <> '')::integer
            + (valid_from > '0001-01-01' or valid_until < '9999-12-31')::integer
        ) stored,
        add primary key (
            policy_hash, indicator_code, parameter, segment, industry, region, valid_from, valid_until
        );
    end if;
end
$$;

create table if not exists policy.level_rules (
    policy_hash text not null references policy.policy (policy_hash),
    rule_code text not null,
    warning_level integer not null check (warning_level between 1 and 3),
    kind text not null check (kind in ('all_of', 'count_of')),
    least_state text,
    how_many integer,
    families integer,
    among_families text[] not null,
    must_include_families text[] not null,
    only_key_indicators boolean not null,
    description text not null,
    primary key (policy_hash, rule_code)
);

create table if not exists policy.level_conditions (
    policy_hash text not null references policy.policy (policy_hash),
    rule_code text not null,
    indicator_code text not null,
    measure text not null,
    operator text not null check (operator in ('>=', '>', '<', '<=', '=')),
    value text not null,
    primary key (policy_hash, rule_code, indicator_code, measure, operator)
);

create table if not exists policy.response_standards (
    policy_hash text not null references policy.policy (policy_hash),
    priority text not null,
    hours numeric not null,
    primary key (policy_hash, priority)
);

create table if not exists policy.hysteresis_and_budget (
    policy_hash text not null references policy.policy (policy_hash),
    parameter text not null,
    value numeric not null,
    primary key (policy_hash, parameter)
);

create table if not exists policy.outcomes (
    policy_hash text not null references policy.policy (policy_hash),
    parameter text not null,
    value numeric not null,
    primary key (policy_hash, parameter)
);

create table if not exists policy.playbook (
    policy_hash text not null references policy.policy (policy_hash),
    department text not null,
    subject text not null, -- an indicator, a family, or demand_and_arrears
    warning_level text not null, -- 1, 2, 3; empty: every level
    step integer not null check (step > 0),
    action_zh_cn text not null,
    action_zh_tw text not null,
    action_en text not null,
    primary key (policy_hash, department, subject, warning_level, step)
);
