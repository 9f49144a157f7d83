{{ config(meta={
    'parameters': {'ratio': 'more'},
    'measures': ['credit_limit'],
    'needs': ['finance.invoices', 'finance.payments', 'finance.credit_terms'],
    'evidence': ['credit terms', 'open invoices'],
    'clears': 'the open balance is at most {ratio} of the limit',
}) }}

-- 授信占用: the open balance against the credit limit.
with customers as (select * from {{ ref('int_customers') }} where is_judged),

terms as (select * from {{ ref('stg_finance__credit_terms') }}),

parameters as ({{ indicator_parameters() }}),

compared as (
    select
        customers.customer_id,
        terms.credit_limit,
        round(customers.open_balance_amount / terms.credit_limit, 6) as ratio,
        parameters.ratio as serious_threshold,
        parameters.watch_ratio as watch_threshold,
        case when terms.credit_limit is null then 'no_base' end as unknown_reason
    from customers
    inner join parameters on customers.scope = parameters.scope
    left join terms on customers.customer_id = terms.customer_id
),

decided as (
    select
        compared.*,
        case
            when unknown_reason is not null then 'unknown'
            when ratio > serious_threshold then 'serious'
            when ratio > watch_threshold then 'watch'
            else 'clear'
        end as state
    from compared
)

select
    customer_id,
    state,
    unknown_reason,
    ratio as value,
    null::numeric as baseline,
    case when state = 'watch' then watch_threshold else serious_threshold end as threshold,
    null::text as trend,
    null::date as window_start,
    null::date as window_end,
    jsonb_build_object('credit_limit', credit_limit) as measures
from decided
