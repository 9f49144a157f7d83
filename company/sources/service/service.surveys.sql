select
    response_id as survey_id,
    customer_code as customer_id,
    answered_at,
    survey as kind,
    score_of_10 as score,
    if(survey = 'nps', 0, 1) as scale_min,
    10 as scale_max,
    _file,
    _row,
from surveys
