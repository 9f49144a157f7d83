"""Every word a digest says, per language. Figures, names and sentences about customers come from the warehouse."""

from __future__ import annotations

from dataclasses import dataclass, replace


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
    held_back: str
    rest_where: str
    unknown_title: str
    unknown_note: str
    unknown_more: str
    footer: str
    products_title: str
    product_news: str
    product_kinds: dict[str, str]
    product_sentence: str
    product_sentence_first: str
    complaints: str
    returns: str
    more_products: str
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
    held_back="另有 {count} 位超出提醒名额，未在此列出：{levels}",
    rest_where="全部名单请在 BI 视图 bi.warnings 中查看，筛选条件：{condition}",
    unknown_title="暂时无法判断的指标",
    unknown_note="无法判断不等于正常，请勿据此认为客户没有风险。",
    unknown_more="另有 {count} 项指标",
    footer="本邮件由 {company} 客户预警平台自动发送，请勿直接回复 · 运行 {run_id}",
    products_title="投诉、退货明显增多的产品",
    product_news="问题产品",
    product_kinds={"product": "产品", "category": "品类"},
    product_sentence="近 {days} 天{problems}，订单明细 {lines} 行：每百行 {rate} 次，"
    "此前 {baseline_days} 天每百行 {baseline_rate} 次，是平时的 {ratio} 倍",
    product_sentence_first="近 {days} 天{problems}，订单明细 {lines} 行：每百行 {rate} 次，"
    "此前 {baseline_days} 天没有投诉和退货",
    complaints="投诉 {count} 次",
    returns="退货 {count} 次",
    more_products="另有 {count} 项，请在 BI 视图 bi.product_quality 中查看，筛选条件：is_conspicuous",
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
    held_back="Beyond what you are mailed at once, not listed here: {count} ({levels})",
    rest_where="See all of them in the BI view bi.warnings, where {condition}",
    unknown_title="What could not be judged",
    unknown_note="Unknown does not mean clear: these customers may be at risk all the same.",
    unknown_more="And {count} more indicators",
    footer="Sent automatically by the customer early-warning platform of {company}; please do not reply · run {run_id}",
    products_title="Products with clearly more complaints and returns",
    product_news="products to look at",
    product_kinds={"product": "product", "category": "category"},
    product_sentence="{problems} in {days} days, on {lines} order lines: {rate} in a hundred, "
    "against {baseline_rate} in the {baseline_days} days before ({ratio} times as many)",
    product_sentence_first="{problems} in {days} days, on {lines} order lines: {rate} in a hundred, "
    "and none in the {baseline_days} days before",
    complaints="complaints {count}",
    returns="returns {count}",
    more_products="And {count} more: see the BI view bi.product_quality, where is_conspicuous",
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

# Taiwan's usage, not the same words in other characters. What is not here reads as in 简体中文.
_ZH_TW = replace(
    _ZH_CN,
    language="zh-TW",
    locale="zh_TW",
    sender="客戶預警",
    title="客戶預警",
    subject="【客戶預警】{date}：{news} — {reader}",
    subject_update="【客戶預警·更新】{date}：{news} — {reader}",
    subject_new="新增{level} {count}",
    as_of="截至 {date}",
    greeting="{reader}，您好！",
    summary_owner="您負責的客戶中有 {total} 位需要處理。",
    summary_head="與{department}有關的預警客戶共 {total} 位。",
    total_money="風險金額合計 {money}",
    changes_title="與上次相比",
    since="自{date}起",
    money="風險金額 {money}",
    owner="負責人 {name}",
    also_owner="其他異常指標",
    also_head="其他部門的指標",
    silent="級別由此指標得出，目前沒有可列出的資料",
    more_sentences="另有 {count} 項指標未列出",
    rest="另有 {count} 位客戶的變化未在此列出：{levels}",
    persisting="另有持續預警 {count} 位：{levels}",
    held_back="另有 {count} 位超出提醒名額，未在此列出：{levels}",
    rest_where="全部名單請在 BI 檢視表 bi.warnings 中查看，篩選條件：{condition}",
    unknown_title="暫時無法判斷的指標",
    unknown_note="無法判斷不等於正常，請勿據此認為客戶沒有風險。",
    unknown_more="另有 {count} 項指標",
    footer="本郵件由 {company} 客戶預警平台自動寄送，請勿直接回覆 · 執行 {run_id}",
    products_title="客訴、退貨明顯增加的產品",
    product_news="問題產品",
    product_kinds={"product": "產品", "category": "品類"},
    product_sentence="近 {days} 天{problems}，訂單明細 {lines} 筆：每百筆 {rate} 次，"
    "此前 {baseline_days} 天每百筆 {baseline_rate} 次，是平時的 {ratio} 倍",
    product_sentence_first="近 {days} 天{problems}，訂單明細 {lines} 筆：每百筆 {rate} 次，"
    "此前 {baseline_days} 天沒有客訴和退貨",
    complaints="客訴 {count} 次",
    returns="退貨 {count} 次",
    more_products="另有 {count} 項，請在 BI 檢視表 bi.product_quality 中查看，篩選條件：is_conspicuous",
    levels={1: "一級", 2: "二級", 3: "三級"},
    gravity={1: "極高", 2: "較高", 3: "輕微"},
    act_within="請在 {time}內處理",
    hours="{count} 小時",
    changes={"new": "新增", "reopened": "再次", "escalated": "升級", "eased": "降級", "unchanged": "持續"},
    states={"serious": "嚴重", "watch": "關注", "clear": "已恢復", "unknown": "待判斷", "silent": "依據"},
    unknown_reasons={
        "no_data": "沒有資料",
        "stale": "資料過舊",
        "short_history": "歷史太短",
        "no_base": "沒有可比基數",
        "expired": "紀錄已過期",
    },
    departments={
        "sales": "業務部",
        "service": "客服部",
        "product": "產品部",
        "finance": "財務部",
        "analysis": "預警分析",
        "management": "管理層",
        "internal_audit": "內部稽核",
    },
)

_WORDS = {words.language: words for words in (_ZH_CN, _ZH_TW, _EN)}


def words_for(language: str) -> Words:
    """Words of a language, 简体中文 for one that has none."""
    return _WORDS.get(language, _ZH_CN)


@dataclass(frozen=True)
class ReviewWords:
    """The words of the quarterly review of the policy in one language."""

    language: str
    locale: str
    date: str
    colon: str
    sender: str
    title: str
    subject: str
    keep: str
    changed: str
    quarter: str
    greeting: str
    basis: str
    proposed_title: str
    proposed_keep: str
    proposed: str
    threshold: str
    level: str
    left_out: str
    expected_title: str
    expected_note: str
    not_expected: str
    in_sample_title: str
    in_sample_note: str
    in_force: str
    after: str
    difference: str
    interval: str
    span: str
    figures: dict[str, str]
    verdicts: dict[str, str]
    moved: str
    order: str
    adopt: str
    footer: str


_REVIEW_ZH_CN = ReviewWords(
    language="zh-CN",
    locale="zh_CN",
    date="y年M月d日",
    colon="：",
    sender="客户预警",
    title="预警规则季度复核",
    subject="【预警规则复核】{quarter}：{news}",
    keep="建议维持现行规则",
    changed="建议修改 {count} 处",
    quarter="{year}年第{number}季度",
    greeting="{reader}，您好！",
    basis="用现行规则重新判定了 {first}至{last}的 {days} 个月末，并核对了此后 {horizon} 天内哪些客户真正流失。"
    "共比较了 {tried} 种小幅修改，条件是一级、二级预警平均每天不超过 {budget} 位客户。",
    proposed_title="建议",
    proposed_keep="维持现行规则：没有哪种修改能在名额之内多识别流失客户，且超出偶然的程度。",
    proposed="以下修改只是建议，不会自动生效；是否采用由您决定。",
    threshold="{rule}：{measure} {operator} {before} 改为 {after}",
    level="{rule}：由{before}改为{after}",
    left_out="{rule}：停用",
    expected_title="预期效果",
    expected_note="只用当时已知的情况选定修改，再用之后的 {days} 个月末检验。",
    not_expected="目前无法预期：在之后的月末之前，还没有足够的情况可供选定修改。",
    in_sample_title="在选定所用的月末上",
    in_sample_note="修改正是按这些月末选定的，数字偏乐观，不能当作预期。",
    in_force="现行",
    after="修改后",
    difference="差",
    interval="95% 区间",
    span="{low} 至 {high}",
    figures={
        "precision": "预警客户中实际流失",
        "recall": "流失客户中事先预警",
        "revenue_caught": "流失金额中事先预警",
        "warnings_a_day": "每天预警客户数",
    },
    verdicts={
        "holds": "在之后的月末上同样有效：事先预警的流失客户更多。",
        "fails": "在之后的月末上无效：事先预警的流失客户反而更少，请维持现行规则。",
        "open": "在之后的月末上尚未证实有效：差异可能出于偶然。",
        "fewer": "按名额要求，预警客户减少；请看因此少识别了多少流失客户。",
    },
    moved="在全部月末上共增加 {added} 次一级、二级预警（其中 {added_lost} 次确已流失），"
    "减少 {dropped} 次（其中 {dropped_lost} 次确已流失）。",
    order="现行规则在这些月末上未做到级别越重流失越多，只能建议能纠正这一点的修改。",
    adopt="附件中的 proposal.diff 可直接用于规则文件，review.json 含全部数字。说明见 docs/proposals.md。",
    footer="本邮件由 {company} 客户预警平台自动发送，请勿直接回复",
)

_REVIEW_ZH_TW = replace(
    _REVIEW_ZH_CN,
    language="zh-TW",
    locale="zh_TW",
    sender="客戶預警",
    title="預警規則季度檢討",
    subject="【預警規則檢討】{quarter}：{news}",
    keep="建議維持現行規則",
    changed="建議修改 {count} 處",
    quarter="{year}年第{number}季",
    basis="以現行規則重新判定了 {first}至{last}的 {days} 個月底，並核對其後 {horizon} 天內哪些客戶真正流失。"
    "共比較了 {tried} 種小幅修改，條件是一級、二級預警平均每天不超過 {budget} 位客戶。",
    proposed_title="建議",
    proposed_keep="維持現行規則：沒有哪種修改能在名額之內多辨識流失客戶，且超出偶然的程度。",
    proposed="以下修改只是建議，不會自動生效；是否採用由您決定。",
    threshold="{rule}：{measure} {operator} {before} 改為 {after}",
    level="{rule}：由{before}改為{after}",
    left_out="{rule}：停用",
    expected_title="預期成效",
    expected_note="只用當時已知的情況選定修改，再用其後的 {days} 個月底檢驗。",
    not_expected="目前無法預期：在其後的月底之前，還沒有足夠的情況可供選定修改。",
    in_sample_title="在選定所用的月底上",
    in_sample_note="修改正是依這些月底選定的，數字偏樂觀，不能當作預期。",
    after="修改後",
    difference="差",
    interval="95% 區間",
    figures={
        "precision": "預警客戶中實際流失",
        "recall": "流失客戶中事先預警",
        "revenue_caught": "流失金額中事先預警",
        "warnings_a_day": "每天預警客戶數",
    },
    verdicts={
        "holds": "在其後的月底上同樣有效：事先預警的流失客戶更多。",
        "fails": "在其後的月底上無效：事先預警的流失客戶反而更少，請維持現行規則。",
        "open": "在其後的月底上尚未證實有效：差異可能出於偶然。",
        "fewer": "依名額要求，預警客戶減少；請看因此少辨識了多少流失客戶。",
    },
    moved="在全部月底上共增加 {added} 次一級、二級預警（其中 {added_lost} 次確已流失），"
    "減少 {dropped} 次（其中 {dropped_lost} 次確已流失）。",
    order="現行規則在這些月底上未做到級別越重流失越多，只能建議能修正這一點的修改。",
    adopt="附件中的 proposal.diff 可直接用於規則檔案，review.json 含全部數字。說明見 docs/proposals.md。",
    footer="本郵件由 {company} 客戶預警平台自動寄送，請勿直接回覆",
)

_REVIEW_EN = ReviewWords(
    language="en",
    locale="en",
    date="d MMMM y",
    colon=": ",
    sender="Customer warnings",
    title="Quarterly review of the warning rules",
    subject="[Warning rules] {quarter}: {news}",
    keep="keep them as they are",
    changed="changes proposed: {count}",
    quarter="Q{number} {year}",
    greeting="Dear {reader},",
    basis="{days} month ends from {first} to {last} were judged once more by the rules in force, and held against who "
    "was lost in the {horizon} days after each. {tried} ways to change the rules a little were looked at, with at most "
    "{budget} customers a day at levels 1 and 2.",
    proposed_title="Proposed",
    proposed_keep="Keep the rules: within that number no change warns of more lost customers than chance would show.",
    proposed="This is a proposal. Nothing changes by itself; you decide.",
    threshold="{rule}: {measure} {operator} {before} becomes {after}",
    level="{rule}: {before} becomes {after}",
    left_out="{rule}: left out",
    expected_title="What to expect",
    expected_note="Changes were chosen by what was known at the time, and judged on {days} later month ends.",
    not_expected="Not known: before none of the later month ends was enough known to choose a change.",
    in_sample_title="On the month ends it was chosen on",
    in_sample_note="The proposal was chosen by these very days, so the figures flatter it. They are no expectation.",
    in_force="in force",
    after="changed",
    difference="difference",
    interval="95 %",
    span="{low} to {high}",
    figures={
        "precision": "Lost, of those warned",
        "recall": "Warned, of those lost",
        "revenue_caught": "Warned, of the revenue lost",
        "warnings_a_day": "Customers warned a day",
    },
    verdicts={
        "holds": "It holds on later month ends: more of the lost are warned of.",
        "fails": "It does not hold on later month ends: fewer of the lost are warned of. Keep the rules.",
        "open": "It is not shown to hold on later month ends: the difference may be chance.",
        "fewer": "Fewer customers are warned, as the budget asks; see what of the lost that gives up.",
    },
    moved="Over all month ends it adds {added} warnings of levels 1 and 2 ({added_lost} lost) and drops {dropped} "
    "({dropped_lost} lost).",
    order="In force the share lost does not fall from level to level, so only what mends that can be proposed.",
    adopt="Attached: proposal.diff for the rule files, and review.json with all figures. See docs/proposals.md.",
    footer="Sent automatically by the customer early-warning platform of {company}; please do not reply",
)

_REVIEW_WORDS = {words.language: words for words in (_REVIEW_ZH_CN, _REVIEW_ZH_TW, _REVIEW_EN)}


def review_words_for(language: str) -> ReviewWords:
    """Words of the review in a language, 简体中文 for one that has none."""
    return _REVIEW_WORDS.get(language, _REVIEW_ZH_CN)
