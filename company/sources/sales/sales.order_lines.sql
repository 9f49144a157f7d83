select
    客户编号 as customer_id,
    订单明细.订单号 as order_id,
    行号 as line_no,
    产品编号 as product_id,
    数量 as quantity,
    订单明细.金额 as amount,
    录入时间 as updated_at
from 订单明细
inner join 订单 using (订单号)
