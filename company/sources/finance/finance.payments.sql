select
    收款单号 as payment_id,
    客户编号 as customer_id,
    发票号 as invoice_id,
    收款日期 as paid_on,
    金额 as amount,
    if(红字 is null, 'payment', 'credit_note') as kind,
    _file,
    _row,
from payments
