"""Building blocks of invented names: companies, people, and what a customer record says about them."""

from __future__ import annotations

from itertools import product

import numpy as np

CITIES = {
    "华东": ["上海", "苏州", "无锡", "南京", "杭州", "宁波", "合肥", "济南", "青岛"],
    "华南": ["广州", "深圳", "佛山", "东莞", "厦门"],
    "华北": ["北京", "天津", "石家庄", "太原"],
    "华中": ["武汉", "长沙", "郑州", "南昌"],
    "西南": ["成都", "重庆", "昆明", "贵阳"],
    "西北": ["西安", "兰州", "银川"],
    "东北": ["沈阳", "大连", "长春", "哈尔滨"],
}
INDUSTRIES = {
    "机械制造": (("机械", "精密机械", "机床", "重工"), "Machinery"),
    "汽车零部件": (("汽车零部件", "汽配", "车桥", "底盘系统"), "Autoparts"),
    "电子电气": (("电子", "电气", "自动化", "光电"), "Electronics"),
    "化工": (("化工", "新材料", "涂料", "橡塑"), "Chemicals"),
    "食品饮料": (("食品", "饮料", "乳业", "粮油"), "Foods"),
    "建筑工程": (("建工", "钢构", "装饰工程", "建材"), "Building Materials"),
    "医疗器械": (("医疗器械", "医疗科技", "康复器材", "生物"), "Medical"),
}
SEGMENTS = ("重点客户", "普通客户", "小客户")
SIZES = ("大型", "中型", "小型", "微型")

_MARKS = ("恒 瑞 泰 盛 宏 鑫 佳 远 明 卓 启 嘉 锦 凯 润 弘", "达 丰 源 信 诚 隆 博 航 辉 翔 腾 旭 宇 联 创 茂")
_FORMS = ("有限公司", "股份有限公司", "实业有限公司", "科技有限公司", "集团有限公司", "贸易有限公司")
_ENGLISH = ("North East Silver Blue Green Grand Bright Harbour Summit River", "gate bridge field stone wood ford point")
_ENGLISH_FORMS = ("Ltd", "Co., Ltd", "GmbH", "Inc", "Asia Pte Ltd", "(China) Co., Ltd")
_FAMILY_NAMES = "王wang 李li 张zhang 刘liu 陈chen 杨yang 赵zhao 黄huang 周zhou 吴wu 徐xu 孙sun"
_GIVEN_NAMES = (
    "伟wei 芳fang 敏min 静jing 磊lei 洋yang 艳yan 勇yong 杰jie 娟juan 涛tao 明ming 超chao 霞xia 平ping 刚gang"
)


def companies(random: np.random.Generator, regions: list[str], industries: list[str]) -> list[str]:
    """Invent one unique company name a customer, about one in eight of them English."""
    chinese = list(product(_MARKS[0].split(), _MARKS[1].split(), _FORMS))
    english = list(product(*(part.split() for part in _ENGLISH), _ENGLISH_FORMS))
    picks = random.integers(0, 1 << 30, (len(regions), 3))
    is_english = random.random(len(regions)) < 0.12
    taken: set[str] = set()
    names = []
    for region, industry, pick, foreign in zip(regions, industries, picks.tolist(), is_english, strict=True):
        trades, english_trade = INDUSTRIES[industry]
        for attempt in range(pick[0], pick[0] + len(chinese)):
            if foreign:
                first, second, form = english[attempt % len(english)]
                name = f"{first}{second} {english_trade} {form}"
            else:
                city = CITIES[region][pick[1] % len(CITIES[region])]
                first, second, form = chinese[attempt % len(chinese)]
                name = f"{city}{first}{second}{trades[pick[2] % len(trades)]}{form}"
            if name not in taken:
                break
        else:
            raise ValueError("there are more customers than names; add building blocks to demo/names.py")
        taken.add(name)
        names.append(name)
    return names


def people(random: np.random.Generator, count: int) -> list[tuple[str, str]]:
    """Invent people: name and the local part of a mail address. Unique up to 192, then they repeat."""
    everyone = [
        (family[0] + given[0], f"{given[1:]}.{family[1:]}")
        for family, given in product(_FAMILY_NAMES.split(), _GIVEN_NAMES.split())
    ]
    order = random.permutation(len(everyone))
    return [everyone[order[number % len(everyone)]] for number in range(count)]
