select
    线索编号 as signal_id,
    客户编号 as customer_id,
    发现日期 as observed_on,
    竞争对手 as competitor,
    case 客户意向 when '有意向' then true when '无意向' then false end as has_customer_interest,
    _file,
    _row,
from competitors
