{{ config(pre_hook="{{ delete_rows_of_this_run() }}", contract={'enforced': true}) }}

-- Grain: run × pair of the policy's indicators. How much more often both are breached than by chance, among the
-- customers for whom both are known (关联分析). Counted by pattern, since many customers share one.
with run as (select * from {{ ref('stg_ops__run') }}),

indicators as (
    select
        indicators.indicator_code,
        array_position({{ all_codes() }}, indicators.indicator_code) - 1 as place
    from {{ source('policy', 'indicators') }} as indicators
    inner join run on indicators.policy_hash = run.policy_hash
),

customers as (
    select array_to_string(indicators.states, '', 'unknown') as states
    from {{ ref('fct_customer_indicators') }} as indicators
    inner join run on indicators.run_id = run.run_id
),

-- A bit an indicator, in the order of their codes.
patterns as (
    select
        {{ state_bits('states', ['serious', 'watch', 'clear']) }} as known,
        {{ state_bits('states', ['serious', 'watch']) }} as breached,
        count(*) as customers
    from customers
    group by known, breached
),

pairs as (
    select
        first.indicator_code as code_a,
        second.indicator_code as code_b,
        first.place as place_a,
        second.place as place_b
    from indicators as first
    inner join indicators as second on first.indicator_code < second.indicator_code
),

judged as (
    select
        pairs.code_a,
        pairs.code_b,
        patterns.customers,
        get_bit(patterns.breached, pairs.place_a) = 1 as is_a,
        get_bit(patterns.breached, pairs.place_b) = 1 as is_b
    from pairs
    left join patterns
        on get_bit(patterns.known, pairs.place_a) = 1
        and get_bit(patterns.known, pairs.place_b) = 1
),

counted as (
    select
        code_a,
        code_b,
        coalesce(sum(customers), 0) as judged_both,
        coalesce(sum(customers) filter (where is_a), 0) as breached_a,
        coalesce(sum(customers) filter (where is_b), 0) as breached_b,
        coalesce(sum(customers) filter (where is_a and is_b), 0) as breached_both
    from judged
    group by code_a, code_b
),

multiplied as (
    select
        counted.*,
        breached_a * breached_b as product,
        breached_a * breached_b * (judged_both - breached_a) * (judged_both - breached_b) as spread
    from counted
)

select
    multiplied.code_a as indicator_code_a,
    multiplied.code_b as indicator_code_b,
    run.run_id,
    run.as_of_date,
    multiplied.judged_both::bigint as judged_both,
    multiplied.breached_a::bigint as breached_a,
    multiplied.breached_b::bigint as breached_b,
    multiplied.breached_both::bigint as breached_both,
    coalesce(round(multiplied.product / nullif(multiplied.judged_both, 0), 6), 0) as expected_both,
    round(multiplied.breached_both * multiplied.judged_both / nullif(multiplied.product, 0), 6) as lift,
    round(
        (multiplied.breached_both * multiplied.judged_both - multiplied.product)
        / sqrt(nullif(multiplied.spread, 0) / (multiplied.judged_both - 1)), 2
    ) as deviations
from multiplied
cross join run
