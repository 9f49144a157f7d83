-- What a search works in, its session's own. A rule is known by its number and a variant is a whole set of them, so that
-- a rule which many variants share is judged once.
create temporary table tried_rules (
    rule_number integer primary key,
    rule_code text not null,
    warning_level integer not null,
    kind text not null,
    least_state text,
    how_many integer,
    families integer,
    among_families text[] not null,
    must_include_families text[] not null,
    only_key_indicators boolean not null
) on commit drop;

create temporary table tried_conditions (
    rule_number integer not null,
    indicator_code text not null,
    measure text not null,
    operator text not null,
    state text, -- of conditions on a state
    threshold numeric -- of the others
) on commit drop;

-- A variant's rules, and those of the policy in force that it lacks.
create temporary table tried_variants (
    variant integer not null,
    rule_number integer not null,
    is_held boolean not null,
    is_changed boolean not null, -- a customer by whom none of these fires keeps the level it has
    primary key (variant, rule_number)
) on commit drop;

create temporary table fired (
    customer_id text not null,
    as_of_date date not null,
    rule_number integer not null
) on commit drop;

-- Levels of the variants at work, and of all variants what differs from the policy in force.
create temporary table levelled (
    customer_id text not null,
    as_of_date date not null,
    variant integer not null,
    level integer not null, -- 4 for none
    is_fluctuation_alone boolean not null
) on commit drop;

create temporary table moved (
    customer_id text not null,
    as_of_date date not null,
    variant integer not null,
    level integer not null,
    primary key (customer_id, as_of_date, variant)
) on commit drop;
create index moved_variant on moved (variant);
