-- One row: how many warnings an owner gets in a week at least, those that are new on each day but the first, and how
-- many of them were about customers that stayed. What came and went between two days is not seen.
with days as (
    select
        as_of_date,
        as_of_date - lag(as_of_date) over (order by as_of_date) as days
    from (select distinct as_of_date from scored) as dates
),

warned as (
    select
        scored.*,
        lag(scored.level) over (partition by scored.customer_id order by scored.as_of_date) < 4 as was_warned
    from scored
),

counted as (
    select
        days.days,
        count(*) filter (where warned.level < 4 and warned.was_warned is not true) as raised,
        count(*) filter (where warned.level < 4 and warned.was_warned is not true and not warned.is_lost) as false_alarms,
        count(distinct warned.owner_name) as owners
    from warned
    inner join days on warned.as_of_date = days.as_of_date
    where days.days is not null
    group by days.as_of_date, days.days
)

select
    sum(raised) * 7.0 / nullif(sum(owners * days), 0) as raised,
    sum(false_alarms) * 7.0 / nullif(sum(owners * days), 0) as false_alarms
from counted
