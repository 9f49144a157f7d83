"""What becomes of customers: those who leave or default, those who only look like it, and the steady ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from early_warning.demo.timeline import Floats

FOREVER = 10_000  # days, longer than any simulation


def _steady(since: Floats, span: Floats) -> Floats:
    return np.ones_like(since)


def _falls_to(level: float, within: float) -> Callable[[Floats, Floats], Floats]:
    """Orders fall in a straight line to `level` during the first share `within` of the span; after the span none."""

    def demand(since: Floats, span: Floats) -> Floats:
        fallen = 1 - (1 - level) * np.clip(since / (within * span), 0, 1)
        return np.where(since < span, fallen, 0)

    return demand


def _pauses_yearly(since: Floats, span: Floats) -> Floats:
    return np.where((since >= 0) & (since % 365 < span), 0.02, 1)


def _pauses_once(since: Floats, span: Floats) -> Floats:
    return np.where((since >= 0) & (since < span), 0.12, 1)


def _fades(before: int, within: int, level: float) -> Callable[[Floats, Floats], Floats]:
    """Contacts fall in a straight line to `level`, from `before` days before the trouble on, within `within` days."""

    def attention(since: Floats, span: Floats) -> Floats:
        return 1 - (1 - level) * np.clip((since + before) / within, 0, 1)

    return attention


@dataclass(frozen=True)
class Fate:
    """One story. Its trouble lasts from the customer's start for `span` days (drawn between the two bounds).

    `demand` gives the factor on orders, `attention` that on contacts and portal visits, both from (days since the
    start, span). During the trouble there are `complaints_per_day` more and `grumbles_per_day` more of negative
    feedback, answers take `slowness` times as long, scores lie around `score` of 10, orders are worth `order_value` of
    the usual, payments come `lateness` days after the due date (growing from 0 over the span if `is_lateness_growing`),
    and of the orders the customer cancels `cancelled`, returns `returned`, and gets `delivered_late`, as shares, more
    than others. `courted` is the chance that a competitor is seen courting the customer when its trouble begins.
    """

    name: str
    share: float
    outcome: Literal["stays", "leaves", "defaults"]
    span: tuple[int, int]
    note: str
    demand: Callable[[Floats, Floats], Floats] = _steady
    complaints_per_day: float = 0.0
    slowness: float = 1.0
    score: float | None = None
    lateness: float = 0.0
    is_lateness_growing: bool = False
    attention: Callable[[Floats, Floats], Floats] = _steady
    order_value: float = 1.0
    cancelled: float = 0.0
    returned: float = 0.0
    delivered_late: float = 0.0
    grumbles_per_day: float = 0.0
    courted: float = 0.0


FATES = (
    Fate(
        "decline", 0.065, "leaves", (150, 260), "订单逐月减少,最终停止合作", _falls_to(0.10, 0.9), score=7.6,
        attention=_fades(70, 100, 0.15), order_value=0.75, cancelled=0.05, courted=0.3,
    ),
    Fate(
        "quarrel", 0.065, "leaves", (130, 190), "质量纠纷:密集投诉、答复迟缓、评分低,之后离开",
        _falls_to(0.22, 0.2), complaints_per_day=0.05, slowness=4.0, score=3.4,
        returned=0.30, delivered_late=0.15, grumbles_per_day=0.06,
    ),
    Fate(
        "insolvency", 0.060, "defaults", (140, 210), "资金链断裂:付款越来越晚,最终违约",
        _falls_to(0.25, 0.6), lateness=150, is_lateness_growing=True, attention=_fades(0, 60, 0.35), cancelled=0.10,
    ),
    Fate(
        "competitor", 0.055, "leaves", (1, 12), "被竞争对手抢走,订单突然停止", _falls_to(0.5, 1.0),
        attention=_fades(90, 60, 0.15), courted=0.6,
    ),
    Fate("seasonal", 0.030, "stays", (75, 110), "每年固定的淡季停单,之后恢复", _pauses_yearly),
    Fate("shutdown", 0.030, "stays", (35, 50), "春节前后停产检修,之后恢复", _pauses_yearly),
    Fate("bad_month", 0.050, "stays", (50, 95), "只有一段低谷,之后恢复", _pauses_once),
    Fate("late_payer", 0.040, "stays", (FOREVER, FOREVER), "一贯拖款,但每笔都付清", lateness=34),
    Fate(
        "complainer", 0.020, "stays", (FOREVER, FOREVER), "经常投诉,但一直留下",
        complaints_per_day=0.016, score=7.0, grumbles_per_day=0.03,
    ),
    Fate("steady", 0.585, "stays", (FOREVER, FOREVER), "平稳合作"),
)  # fmt: skip
