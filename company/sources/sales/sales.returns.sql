select
    退货单号 as return_id,
    订单号 as order_id,
    产品编号 as product_id,
    客户编号 as customer_id,
    退货时间 as returned_at,
    金额 as amount,
    原因 as reason,
    更新时间 as updated_at
from 退货
