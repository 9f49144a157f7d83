-- Row: what people have written down and this run goes by. Mutes in force, and what was done about a case that it names:
-- since the run before, or as this run has heard of it.
select
    'company/mutes.csv' as written_in,
    mutes.customer_id,
    null as case_id,
    (customers.customer_id is not null)::integer as is_known_customer,
    null::integer as is_known_case
from ops.mute as mutes
left join marts.dim_customers as customers
    on mutes.customer_id = customers.customer_id and mutes.run_id = customers.run_id
where mutes.run_id = {run_id}
union all
select
    'handling.actions' as written_in,
    actions.customer_id,
    actions.case_id,
    null as is_known_customer,
    exists (
        select
        from marts.fct_warning_cases as cases
        where cases.customer_id = actions.customer_id and cases.case_id = actions.case_id
    )::integer as is_known_case
from staging.stg_handling__actions as actions
join ops.run on run.run_id = {run_id}
left join ops.run as before on run.previous_run_id = before.run_id
where
    actions.case_id is not null
    and (
        actions.taken_at >= coalesce(before.as_of_at, '-infinity')
        or exists (
            select
            from landing.handling_actions as landed
            join ops.batch on landed._batch_id = batch.batch_id
            where batch.run_id = run.run_id and landed.customer_id = actions.customer_id
                and landed.action_id = actions.action_id
        )
    )
