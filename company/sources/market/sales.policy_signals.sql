select
    编号 as signal_id,
    行业 as industry,
    发布日期 as observed_on,
    施行日期 as effective_on,
    case 影响
        when '不利' then 'adverse'
        when '中性' then 'neutral'
        when '有利' then 'favourable'
        else 影响
    end as effect,
    内容 as note,
    _file,
    _row,
from policies
