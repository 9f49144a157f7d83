{{ config(pre_hook="{{ delete_rows_of_this_run() }}", contract={'enforced': true}) }}

-- Grain: run × customer that holds a level. What its orders came to in each of the last twelve closed months, and below
-- how much a month they are seriously few: its serious share of the usual amount, where that is known. The run is asked
-- for by a subquery: joined, it is taken for one that warns of hardly anybody.
with run as (select * from {{ ref('stg_ops__run') }}),

levels as (
    select customer_id
    from {{ ref('fct_customer_levels') }}
    where run_id = (select run.run_id from run) and warning_level is not null
),

indicators as (
    select
        customer_id,
        baselines[array_position({{ all_codes() }}, 'order_amount')] as baseline
    from {{ ref('fct_customer_indicators') }}
    where run_id = (select run.run_id from run)
),

scopes as (select * from {{ ref('int_customer_scopes') }}),

parameters as ({{ indicator_parameters('order_amount', ['baseline_share']) }}),

histories as (
    select
        histories.customer_id,
        {{ months_ago('histories.first_ordered_on') }} as first_order_months_ago
    from {{ ref('int_order_histories') }} as histories
    cross join run
),

months as (select * from {{ ref('int_customer_months') }} where months_ago between 1 and 12),

amounts as (
    select
        levels.customer_id,
        array[
            {%- for month in range(12, 0, -1) %}
            case
                when histories.first_order_months_ago >= {{ month }}
                    then coalesce(sum(months.order_amount) filter (where months.months_ago = {{ month }}), 0)
            end{{ ',' if not loop.last }}
            {%- endfor %}
        ] as amounts
    from levels
    left join histories on levels.customer_id = histories.customer_id
    left join months on levels.customer_id = months.customer_id
    group by levels.customer_id, histories.first_order_months_ago
)

select
    amounts.customer_id,
    run.run_id,
    {{ month_start(12) }} as first_month,
    amounts.amounts,
    round(parameters.baseline_share * indicators.baseline, 6) as threshold_amount
from amounts
cross join run
inner join indicators on amounts.customer_id = indicators.customer_id
inner join scopes on amounts.customer_id = scopes.customer_id
left join parameters on scopes.scope = parameters.scope
