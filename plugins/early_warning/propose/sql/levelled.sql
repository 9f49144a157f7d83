-- Grain: day × judged customer × variant not judged before, where a rule fires by which it differs. The gravest rule's level.
insert into levelled (customer_id, as_of_date, variant, level, is_fluctuation_alone)
with variants as (select * from tried_variants where variant >= %(first)s),

touched as (
    select distinct
        fired.customer_id,
        fired.as_of_date,
        variants.variant
    from variants
    inner join fired on variants.rule_number = fired.rule_number
    where variants.is_changed
)

select
    touched.customer_id,
    touched.as_of_date,
    touched.variant,
    coalesce(min(rules.warning_level) filter (where fired.rule_number is not null), 4) as level,
    coalesce(
        bool_and(rules.rule_code = 'service_fluctuation') filter (where fired.rule_number is not null), false
    ) as is_fluctuation_alone
from touched
inner join variants on touched.variant = variants.variant and variants.is_held
inner join tried_rules as rules on variants.rule_number = rules.rule_number
left join fired
    on touched.customer_id = fired.customer_id
    and touched.as_of_date = fired.as_of_date
    and variants.rule_number = fired.rule_number
group by touched.customer_id, touched.as_of_date, touched.variant
