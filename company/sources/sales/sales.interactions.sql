select
    互动编号 as interaction_id,
    客户编号 as customer_id,
    时间 as occurred_at,
    case 渠道
        when '电话' then 'phone'
        when '邮件' then 'email'
        when '拜访' then 'visit'
        when '官网' then 'web'
        when '微信' then 'social'
        when '其他' then 'other'
        else 渠道
    end as channel,
    纪要 as summary,
    登记时间 as updated_at
from 互动
