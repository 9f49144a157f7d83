select
    发票号 as invoice_id,
    客户编号 as customer_id,
    开票日期 as issued_on,
    到期日 as due_on,
    价税合计 as amount,
    争议日期 as disputed_on,
    核销日期 as written_off_on,
    _file,
    _row,
from invoices
