-- One row a day and group of levels: those warned, and as many put first by silence and by money at risk.
select
    as_of_date,
    name,
    count(*) filter (where is_warned) as warned,
    count(*) filter (where is_warned and is_lost) as lost,
    coalesce(sum(revenue) filter (where is_warned and is_lost), 0) as revenue,
    count(*) filter (where is_recent and is_lost) as recency_lost,
    coalesce(sum(revenue) filter (where is_recent and is_lost), 0) as recency_revenue,
    coalesce(sum(revenue) filter (where is_dear and is_lost), 0) as dear_revenue,
    percentile_cont(0.5) within group (order by lead_days) filter (where is_warned and is_lost) as lead_days,
    percentile_cont(0.5) within group (order by lead_days) filter (where is_recent and is_lost) as recency_lead_days
from placed
group by as_of_date, name
order by as_of_date, name
