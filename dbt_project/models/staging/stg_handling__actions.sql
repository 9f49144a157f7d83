-- Actions before the cut-off, but for those that another one of the customer corrects.
with run as (select * from {{ ref('stg_ops__run') }}),

actions as (
    select actions.*
    from {{ ref('base_handling__actions') }} as actions
    inner join run on actions.taken_at < run.as_of_at
    where not actions._is_deleted
)

select
    actions.customer_id,
    actions.action_id,
    actions.case_id,
    actions.taken_at,
    actions.taken_on,
    actions.outcome,
    actions.follow_up_on
from actions
left join actions as corrections
    on actions.customer_id = corrections.customer_id
    and actions.action_id = corrections.corrects_action_id
where corrections.action_id is null
