select
    客户编号 as customer_id,
    生效日期 as valid_from,
    信用额度 as credit_limit,
    账期天数 as payment_days,
    担保方式 as guarantee,
    限制交易 = '是' as is_restricted,
    _file,
    _row,
from credit_terms
