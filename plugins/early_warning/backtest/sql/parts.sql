-- One row a rule, serious indicator or segment over all days: how many it warned about, and how many of those were lost.
-- Alone: those that a single rule warned about, which is what that rule adds to the others.
with parts as (
    select
        'rule' as kind,
        rule.code as name,
        scored.*
    from scored
    cross join unnest(scored.rule_codes) as rule (code)
    union all
    select
        'indicator' as kind,
        indicator.code as name,
        scored.*
    from scored
    cross join unnest(scored.indicator_codes) as indicator (code)
    union all
    select
        'segment' as kind,
        scored.segment as name,
        scored.*
    from scored
    where scored.level < 4
)

select
    parts.kind,
    parts.name,
    count(*) as warned,
    count(*) filter (where parts.is_lost) as lost,
    count(*) filter (where cardinality(parts.rule_codes) = 1) as alone,
    count(*) filter (where cardinality(parts.rule_codes) = 1 and parts.is_lost) as alone_lost,
    coalesce(sum(parts.revenue) filter (where parts.is_lost), 0) as revenue,
    percentile_cont(0.5) within group (order by parts.lead_days) filter (where parts.is_lost) as lead_days
from parts
group by parts.kind, parts.name
order by parts.kind, lost desc, parts.name
