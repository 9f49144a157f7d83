-- One row a group of levels over all days: how long before they counted as lapsed the lost customers were warned about.
select
    name,
    percentile_cont(0.5) within group (order by lead_days) filter (where is_warned and is_lost) as lead_days,
    percentile_cont(0.5) within group (order by lead_days) filter (where is_recent and is_lost) as recency_lead_days
from placed
group by name
