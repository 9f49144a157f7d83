-- One row a day: levels 1 and 2 before and after, how many of those were lost, and who comes and goes.
select
    as_of_date,
    count(*) filter (where level_before <= 2) as warned_before,
    count(*) filter (where level_before <= 2 and is_lost) as lost_before,
    count(*) filter (where level <= 2) as warned,
    count(*) filter (where level <= 2 and is_lost) as lost,
    count(*) filter (where level <= 2 and level_before > 2) as added,
    count(*) filter (where level <= 2 and level_before > 2 and is_lost) as added_lost,
    count(*) filter (where level > 2 and level_before <= 2) as dropped,
    count(*) filter (where level > 2 and level_before <= 2 and is_lost) as dropped_lost
from compared
group by as_of_date
order by as_of_date
