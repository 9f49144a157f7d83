-- Row: what people have written down and this run goes by. Mutes in force, and what was done about a case by its id.
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
    coalesce(actions._source_file, 'handling.actions') as written_in,
    actions.customer_id,
    actions.case_id,
    null as is_known_customer,
    exists (
        select
        from marts.fct_warning_cases as cases
        where cases.customer_id = actions.customer_id and cases.case_id = actions.case_id
    )::integer as is_known_case
from landing.handling_actions as actions
join ops.batch on actions._batch_id = batch.batch_id
where batch.run_id = {run_id} and actions.case_id is not null and not actions._is_deleted
