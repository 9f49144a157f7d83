-- Grain: day × judged customer × measure that some rule compares with a number, where it is known.
create temporary table measured on commit drop as
with asked as (
    select * from unnest(%(codes)s::text[], %(measures)s::text[]) as asked (indicator_code, measure)
),

facts as (
    select
        facts.customer_id,
        replay.as_of_date,
        asked.indicator_code,
        asked.measure,
        case asked.measure
            when asked.indicator_code
                then facts.measured_values[array_position(replay.indicator_codes, asked.indicator_code)]
            else
                (facts.measures[array_position(replay.indicator_codes, asked.indicator_code)] ->> asked.measure)::numeric
        end as value
    from ops.replayed_fact as facts
    inner join ops.replay as replay on facts.run_id = replay.run_id
    cross join asked
    where replay.run_id = any(%(run_ids)s)
)

select * from facts where value is not null
