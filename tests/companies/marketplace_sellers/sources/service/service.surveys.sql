-- An order can be reviewed more than once; its answers are numbered, so that two of the same moment stay apart too.
select
    concat_ws(
        '-', order_id, customer_id, row_number() over (partition by order_id, customer_id order by answered_at, score)
    ) as survey_id,
    customer_id,
    answered_at,
    'csat' as kind,
    score,
    1 as scale_min,
    5 as scale_max,
    _file,
    _row,
from surveys
