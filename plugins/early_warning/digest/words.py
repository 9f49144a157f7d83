"""Every word a digest says, per language. Figures, names and sentences about customers come from the warehouse.

A language without words of its own (zh-TW until its reviewed catalogue is there) reads 简体中文.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """The words of one language. Texts with {names} are filled by `str.format`; date patterns are CLDR's."""

    language: str
    locale: str
    date: str
    short_date: str
    time: str
    comma: str
    colon: str
    sender: str
    title: str
    subject: str
    subject_update: str
    subject_new: str
    as_of: str
    greeting: str
    greeting_nameless: str
    summary_owner: str
    summary_head: str
    total_money: str
    changes_title: str
    since: str
    money: str
    owner: str
    also_owner: str
    also_head: str
    silent: str
    more_sentences: str
    rest: str
    persisting: str
    rest_where: str
    unknown_title: str
    unknown_note: str
    unknown_more: str
    footer: str
    levels: dict[int, str]
    gravity: dict[int, str]
    count: str
    counted: str
    act_within: str
    hours: str
    days: str
    changes: dict[str, str]
    states: dict[str, str]
    unknown_reasons: dict[str, str]
    departments: dict[str, str]


_ZH_CN = Words(
    language="zh-CN",
    locale="zh_CN",
    date="y年M月d日",
    short_date="M月d日",
    time="HH:mm",
    comma="、",
    colon="：",
    sender="客户预警",
    title="客户预警",
    subject="【客户预警】{date}：{news} — {reader}",
    subject_update="【客户预警·更新】{date}：{news} — {reader}",
    subject_new="新增{level} {count}",
    as_of="截至 {date}",
    greeting="{reader}，您好！",
    greeting_nameless="您好！",
    summary_owner="您负责的客户中有 {total} 位需要处理。",
    summary_head="与{department}有关的预警客户共 {total} 位。",
    total_money="风险金额合计 {money}",
    changes_title="与上次相比",
    since="自{date}起",
    money="风险金额 {money}",
    owner="负责人 {name}",
    also_owner="其他异常指标",
    also_head="其他部门的指标",
    silent="级别由此指标得出，目前没有可列出的数据",
    more_sentences="另有 {count} 项指标未列出",
    rest="另有 {count} 位客户的变化未在此列出：{levels}",
    persisting="另有持续预警 {count} 位：{levels}",
    rest_where="全部名单请在 BI 视图 bi.warnings 中查看，筛选条件：{condition}",
    unknown_title="暂时无法判断的指标",
    unknown_note="无法判断不等于正常，请勿据此认为客户没有风险。",
    unknown_more="另有 {count} 项指标",
    footer="本邮件由 {company} 客户预警平台自动发送，请勿直接回复 · 运行 {run_id}",
    levels={1: "一级", 2: "二级", 3: "三级"},
    gravity={1: "极高", 2: "较高", 3: "轻微"},
    count="{count} 位",
    counted="{what} {count}",
    act_within="请在 {time}内处理",
    hours="{count} 小时",
    days="{count} 天",
    changes={"new": "新增", "reopened": "再次", "escalated": "升级", "eased": "降级", "unchanged": "持续"},
    states={"serious": "严重", "watch": "关注", "clear": "已恢复", "unknown": "待判断", "silent": "依据"},
    unknown_reasons={
        "no_data": "没有数据",
        "stale": "数据过旧",
        "short_history": "历史太短",
        "no_base": "没有可比基数",
        "expired": "记录已过期",
    },
    departments={
        "sales": "销售部",
        "service": "客服部",
        "product": "产品部",
        "finance": "财务部",
        "analysis": "预警分析",
        "management": "管理层",
        "internal_audit": "内部审计",
    },
)

_EN = Words(
    language="en",
    locale="en",
    date="d MMMM y",
    short_date="d MMM",
    time="HH:mm",
    comma=", ",
    colon=": ",
    sender="Customer warnings",
    title="Customer warnings",
    subject="[Customer warnings] {date}: {news} — {reader}",
    subject_update="[Customer warnings, update] {date}: {news} — {reader}",
    subject_new="{level} new: {count}",
    as_of="as of {date}",
    greeting="Dear {reader},",
    greeting_nameless="Good day,",
    summary_owner="Your customers that need attention: {total}.",
    summary_head="Customers with warnings that concern {department}: {total}.",
    total_money="{money} at risk in all",
    changes_title="Since the last run",
    since="since {date}",
    money="{money} at risk",
    owner="owner {name}",
    also_owner="Other indicators out of line",
    also_head="Indicators of other departments",
    silent="the level came from this indicator; there are no figures to show at present",
    more_sentences="And {count} more indicators",
    rest="Changed but not listed here: {count} ({levels})",
    persisting="Warned as before: {count} ({levels})",
    rest_where="See all of them in the BI view bi.warnings, where {condition}",
    unknown_title="What could not be judged",
    unknown_note="Unknown does not mean clear: these customers may be at risk all the same.",
    unknown_more="And {count} more indicators",
    footer="Sent automatically by the customer early-warning platform of {company}; please do not reply · run {run_id}",
    levels={1: "Level 1", 2: "Level 2", 3: "Level 3"},
    gravity={1: "very high", 2: "high", 3: "slight"},
    count="{count}",
    counted="{what}: {count}",
    act_within="act within {time}",
    hours="{count} h",
    days="{count} days",
    changes={
        "new": "new",
        "reopened": "again",
        "escalated": "escalated",
        "eased": "eased",
        "unchanged": "unchanged",
    },
    states={"serious": "serious", "watch": "watch", "clear": "recovered", "unknown": "unknown", "silent": "basis"},
    unknown_reasons={
        "no_data": "no data",
        "stale": "data too old",
        "short_history": "history too short",
        "no_base": "nothing to compare with",
        "expired": "record expired",
    },
    departments={
        "sales": "Sales",
        "service": "Service",
        "product": "Product",
        "finance": "Finance",
        "analysis": "Analysis",
        "management": "Management",
        "internal_audit": "Internal audit",
    },
)

_WORDS = {words.language: words for words in (_ZH_CN, _EN)}


def words_for(language: str) -> Words:
    """Words of a language, 简体中文 for one that has none yet."""
    return _WORDS.get(language, _ZH_CN)
