-- One row a data set that a source promises: what it delivered in this run, what was known before, and its limits.
-- A share of fewer than 20 earlier rows says nothing about shrinking. What follows from a problem that is reported
-- anyway (no file, no rows, no new file) is not said a second time.
select
    promised.data_set,
    promised.mode,
    case when not reported.is_unusable then batch.rows end as rows,
    batch.quarantined,
    batch.previous_rows,
    batch.present,
    batch.deleted,
    promised.max_quarantine_share,
    batch.quarantined_share,
    case
        when batch.quarantined_share <= promised.max_quarantine_share then batch.quarantined
    end as quarantined_within_limit,
    damage.most_often,
    case
        when promised.mode = 'snapshot' and batch.previous_rows >= 20
            then round(1 - batch.rows::numeric / batch.previous_rows, 4)
        when promised.mode = 'append' and batch.present + batch.deleted >= 20
            then round(batch.deleted::numeric / (batch.present + batch.deleted), 4)
    end as shrunk_share,
    case when not reported.is_unusable then delivered.times end as times_delivered
from (values {promised}) as promised (data_set, mode, max_quarantine_share)
left join lateral (
    select
        batch_id,
        rows,
        quarantined,
        previous_rows,
        present,
        deleted,
        round(quarantined::numeric / nullif(rows + quarantined, 0), 6) as quarantined_share
    from ops.batch
    where run_id = {run_id} and source = {source} and data_set = promised.data_set and state in ('landed', 'accepted')
    order by batch_id desc
    limit 1
) as batch on true
cross join lateral (
    select count(*) as times
    from ops.batch
    where
        source = {source}
        and data_set = promised.data_set
        and (state = 'accepted' or (state = 'landed' and run_id = {run_id}))
) as delivered
cross join lateral (
    select coalesce(bool_or(is_critical), false) as is_unusable
    from ops.problem
    where run_id = {run_id} and source = {source} and data_set = promised.data_set
) as reported
left join lateral (
    select
        concat_ws(
            ', ',
            (array_agg(source_file || coalesce(' row ' || source_row, '') order by source_file, source_row))[1],
            'column ' || column_name,
            min(reason)
        ) || case when count(*) > 1 then ' (and ' || count(*) - 1 || ' more of this kind)' else '' end as most_often
    from ops.quarantine
    where quarantine.batch_id = batch.batch_id
    group by remedy, column_name -- a reason names the value, a remedy the kind of damage
    order by count(*) desc
    limit 1
) as damage on true
