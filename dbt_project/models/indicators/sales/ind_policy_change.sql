{{ config(meta={
    'is_watch_only': true,
    'parameters': {'days': 'more'},
    'needs': ['sales.policy_signals'],
    'evidence': ['policies'],
    'clears': 'the policy has been in force for more than {days} days',
}) }}

-- 行业政策变化: an adverse policy for the customer's industry took effect of late. No serious state.
with run as (select * from {{ ref('stg_ops__run') }}),

customers as (select * from {{ ref('int_customers') }} where state = 'active'),

signals as (select * from {{ ref('stg_sales__policy_signals') }} where effect = 'adverse'),

parameters as ({{ indicator_parameters() }}),

counted as (
    select
        parameters.scope,
        signals.industry,
        count(*) as policies
    from signals
    cross join run
    cross join parameters
    where run.as_of_date - signals.in_force_since between 0 and parameters.watch_days
    group by parameters.scope, signals.industry
),

compared as (
    select
        customers.customer_id,
        coalesce(counted.policies, 0) as policies,
        case when customers.industry is null then 'no_base' end as unknown_reason
    from customers
    left join counted on customers.scope = counted.scope and customers.industry = counted.industry
)

select
    customer_id,
    case
        when unknown_reason is not null then 'unknown'
        when policies > 0 then 'watch'
        else 'clear'
    end as state,
    unknown_reason,
    policies::numeric as value,
    null::numeric as baseline,
    1::numeric as threshold,
    null::text as trend,
    null::date as window_start,
    null::date as window_end,
    '{}'::jsonb as measures
from compared
