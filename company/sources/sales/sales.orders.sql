select
    订单号 as order_id,
    客户编号 as customer_id,
    下单时间 as ordered_at,
    金额 as amount,
    承诺交期 as promised_at,
    实际交付 as fulfilled_at,
    取消时间 as cancelled_at,
    case 取消方 when '客户' then 'customer' when '我方' then 'us' else 取消方 end as cancelled_by,
    更新时间 as updated_at
from 订单
