select
    客户编号 as customer_id,
    客户名称 as name,
    客户分级 as segment,
    行业 as industry,
    地区 as region,
    规模 as size,
    建档日期 as customer_since,
    客户经理 as owner_name,
    客户经理邮箱 as owner_email,
    联系人 as contact_name,
    联系电话 as contact_phone,
    联系邮箱 as contact_email
from 客户
