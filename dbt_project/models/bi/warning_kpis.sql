-- Month × all, level, department, owner, indicator or policy: the regulation's three figures, and honest ones
-- beside them (0002, 60). What is counted are customers, but where the name says warning. Who held no level has no
-- department or indicator, so there those caught are held against all that were lost.
{%- set lost_count -%}
case
        when coalesce(warned.dimension, caught.dimension) in ('all', 'owner', 'policy')
            then coalesce(caught.own_lost_count, 0)
        else coalesce(lost_of_month.all_lost_count, 0)
    end
{%- endset %}
with recursive {{ chain_of_the_newest() }},

warnings as (
    select
        outcomes.*,
        outcomes.is_matured and outcomes.was_active as is_known,
        outcomes.handled_at is not null as is_handled,
        {{ owner_of('outcomes') }} as owner,
        date_trunc('month', outcomes.opened_on)::date as month
    from {{ ref('warning_outcomes') }} as outcomes
),

warned as (
    select
        warnings.month,
        cut.dimension,
        cut.value,
        count(*) as warning_count,
        count(*) filter (where warnings.is_matured) as matured_warning_count,
        count(*) filter (where warnings.is_known and warnings.outcome in ('cleared', 'open'))
            as false_alarm_warning_count,
        count(distinct warnings.owner) filter (where warnings.is_matured) as owner_count,
        {{ customers_who('true') }} as warned_count,
        {{ customers_who('warnings.was_active') }} as warned_active_count,
        {{ customers_who('warnings.is_churned') }} as churned_count,
        {{ customers_who('warnings.is_handled') }} as handled_count,
        {{ customers_who('warnings.is_handled_in_time') }} as handled_in_time_count,
        {{ customers_who('warnings.is_won_back') }} as won_back_count,
        {{ customers_who('warnings.is_known') }} as matured_count,
        {{ customers_who("warnings.is_known and warnings.outcome in ('churned', 'recovered')") }} as right_or_saved,
        {{ customers_who('warnings.is_known and warnings.is_handled') }} as known_handled,
        {{ customers_who('warnings.is_known and not warnings.is_handled') }} as known_unhandled,
        {{ customers_who('warnings.is_churned and warnings.is_handled') }} as churned_handled,
        {{ customers_who('warnings.is_churned and not warnings.is_handled') }} as churned_unhandled,
        percentile_cont(0.5) within group (order by warnings.lead_days) as lead_days_median
    from warnings
    cross join lateral {{ cuts_of('warnings') }}
    group by warnings.month, cut.dimension, cut.value
),

lost as (
    select
        lost.*,
        date_trunc('month', lost.active_on)::date as month
    from {{ ref('fct_lost_customers') }} as lost
    inner join chain on lost.run_id = chain.run_id
),

caught as (
    select
        lost.month,
        cut.dimension,
        cut.value,
        count(*) as own_lost_count,
        count(*) filter (where lost.is_warned) as caught_count
    from lost
    cross join lateral {{ cuts_of('lost') }}
    where cut.value is not null
    group by lost.month, cut.dimension, cut.value
),

lost_of_month as (
    select
        month,
        count(*) as all_lost_count
    from lost
    group by month
)

select
    coalesce(warned.month, caught.month) as month,
    coalesce(warned.dimension, caught.dimension) as dimension,
    coalesce(warned.value, caught.value) as value,
    coalesce(warned.warning_count, 0) as warning_count,
    coalesce(warned.warned_count, 0) as warned_count,
    coalesce(warned.warned_active_count, 0) as warned_active_count,
    coalesce(warned.churned_count, 0) as churned_count,
    coalesce(warned.handled_count, 0) as handled_count,
    coalesce(warned.handled_in_time_count, 0) as handled_in_time_count,
    coalesce(warned.won_back_count, 0) as won_back_count,
    coalesce(warned.matured_warning_count, 0) as matured_warning_count,
    coalesce(warned.matured_count, 0) as matured_count,
    coalesce(warned.false_alarm_warning_count, 0) as false_alarm_warning_count,
    {{ lost_count }} as lost_count,
    coalesce(caught.caught_count, 0) as caught_count,
    {{ share('warned.churned_count', 'warned.warned_active_count') }} as accuracy_ratio,
    {{ share('warned.handled_in_time_count', 'warned.warned_count') }} as timely_handling_ratio,
    {{ share('warned.won_back_count', 'warned.warned_count') }} as win_back_ratio,
    {{ share('warned.churned_count', 'warned.matured_count') }} as matured_accuracy_ratio,
    {{ share('warned.right_or_saved', 'warned.matured_count') }} as adjusted_accuracy_ratio,
    {{ share('warned.churned_handled', 'warned.known_handled') }} as handled_churn_ratio,
    {{ share('warned.churned_unhandled', 'warned.known_unhandled') }} as unhandled_churn_ratio,
    {{ share('coalesce(caught.caught_count, 0)', lost_count) }} as recall_ratio,
    round(warned.lead_days_median::numeric, 1) as lead_days_median,
    round(
        warned.false_alarm_warning_count * 7.0
        / nullif(warned.owner_count * ((warned.month + interval '1 month')::date - warned.month), 0), 6
    ) as false_alarms_per_owner_week
from warned
full outer join caught
    on warned.month = caught.month
    and warned.dimension = caught.dimension
    and warned.value = caught.value
left join lost_of_month on coalesce(warned.month, caught.month) = lost_of_month.month
