-- Grain: day × judged customer × indicator in state serious or watch.
create temporary table breached on commit drop as
select
    facts.customer_id,
    replay.as_of_date,
    judged.indicator_code,
    judged.state
from ops.replayed_fact as facts
inner join ops.replay as replay on facts.run_id = replay.run_id
cross join lateral unnest(replay.indicator_codes, facts.states) as judged (indicator_code, state)
where replay.run_id = any(%(run_ids)s) and judged.state in ('serious', 'watch')
