{{ config(
    pre_hook="{{ delete_rows_of_this_run() }}",
    post_hook="create index if not exists held_levels on {{ this }} (run_id) where warning_level is not null",
    contract={'enforced': true}
) }}

-- Grain: run × judged customer. The level it holds: up at once, down when the cool-down has passed (hysteresis),
-- kept while what it came from can't be judged.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('int_customers') }}),

rated as (select * from {{ ref('int_levels_capped') }}),

indicators as (
    select indicators.*
    from {{ ref('fct_customer_indicators') }} as indicators
    inner join run on indicators.run_id = run.run_id
),

remembered as (
    {{ levels_remembered(this, ref('int_runs_remembered')) }}
),

previous as (select * from remembered where is_previous),

gravest as (
    select distinct on (customer_id)
        customer_id,
        raw_level,
        raw_source_codes
    from remembered
    where is_in_cooldown and raw_level is not null
    order by customer_id asc, raw_level asc, as_of_date desc
),

-- 4 stands for none, so that the gravest is the least.
compared as (
    select
        rated.*,
        coalesce(rated.raw_level, 4) as raw_now,
        coalesce(previous.warning_level, 4) as held,
        least(coalesce(rated.raw_level, 4), coalesce(gravest.raw_level, 4)) as recent,
        previous.warning_level is not null and exists (
            select
            from unnest({{ all_codes() }}, indicators.states) as judged (code, state)
            where judged.state = 'unknown' and judged.code = any(previous.level_source_codes)
        ) as is_held_by_unknown,
        gravest.raw_level as gravest_level,
        gravest.raw_source_codes as gravest_source_codes,
        previous.level_source_codes as held_source_codes,
        previous.level_since as held_since,
        previous.peak_level as held_peak
    from rated
    left join previous on rated.customer_id = previous.customer_id
    left join gravest on rated.customer_id = gravest.customer_id
    left join indicators on rated.customer_id = indicators.customer_id
),

levelled as (
    select
        compared.*,
        case
            when raw_now <= held then raw_now
            when is_held_by_unknown then held
            else greatest(held, recent)
        end as level
    from compared
),

decided as (
    select
        levelled.*,
        case
            when level = 4 then '{}'::text[]
            when level = raw_now then source_codes
            when level = held then held_source_codes
            else gravest_source_codes
        end as level_source_codes
    from levelled
)

select
    decided.customer_id,
    run.run_id,
    run.as_of_date,
    customers.customer_name,
    customers.owner_name,
    customers.owner_email,
    nullif(decided.level, 4) as warning_level,
    decided.uncapped_level,
    decided.raw_level,
    case
        when decided.level = 4 then null
        when decided.held = 4 then 'new'
        when decided.level < decided.held then 'escalated'
        when decided.level > decided.held then 'eased'
        else 'unchanged'
    end as change,
    case
        when decided.level = 4 then null
        when decided.level = decided.held then decided.held_since
        else run.as_of_date
    end as level_since,
    case when decided.level < 4 then least(decided.level, coalesce(decided.held_peak, 4)) end as peak_level,
    decided.rule_codes,
    decided.source_codes as raw_source_codes,
    decided.level_source_codes,
    coalesce({{ merged('decided.indicator_codes || decided.level_source_codes') }}, '{}'::text[]) as indicator_codes,
    decided.money_at_risk_amount
from decided
inner join customers on decided.customer_id = customers.customer_id
cross join run
