-- One row a day: how many were judged and lost, and how well policy and recency put the lost first. The area under the
-- curve is the chance that of a lost and a kept customer the lost one stands first (Mann and Whitney's statistic).
with days as (
    select
        as_of_date,
        count(*) as judged,
        count(*) filter (where is_lost) as churned,
        coalesce(sum(revenue) filter (where is_lost), 0) as revenue_lost,
        count(*) filter (where silence_days > 90) as silent_90,
        count(*) filter (where silence_days > 90 and is_lost) as silent_90_lost,
        sum(recency_rank) filter (where is_lost) as recency_ranks,
        sum(policy_rank) filter (where is_lost) as policy_ranks
    from scored
    group by as_of_date
)

select
    as_of_date,
    judged,
    churned,
    revenue_lost,
    silent_90,
    silent_90_lost,
    (recency_ranks - churned * (churned + 1) / 2.0) / nullif(churned * (judged - churned), 0) as recency_auc,
    (policy_ranks - churned * (churned + 1) / 2.0) / nullif(churned * (judged - churned), 0) as policy_auc
from days
order by as_of_date
