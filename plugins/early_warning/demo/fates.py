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


@dataclass(frozen=True)
class Fate:
    """One story. Its trouble lasts from the customer's start for `span` days (drawn between the two bounds).

    `demand` gives the factor on orders from (days since the start, span). During the trouble there are
    `complaints_per_day` more, answers take `slowness` times as long, scores lie around `score` of 10, and payments come
    `lateness` days after the due date (growing from 0 over the span if `is_lateness_growing`).
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


FATES = (
    Fate("decline", 0.065, "leaves", (150, 260), "订单逐月减少,最终停止合作", _falls_to(0.10, 0.9), score=7.6),
    Fate(
        "quarrel", 0.065, "leaves", (130, 190), "质量纠纷:密集投诉、答复迟缓、评分低,之后离开",
        _falls_to(0.22, 0.2), complaints_per_day=0.05, slowness=4.0, score=3.4,
    ),
    Fate(
        "insolvency", 0.060, "defaults", (140, 210), "资金链断裂:付款越来越晚,最终违约",
        _falls_to(0.25, 0.6), lateness=150, is_lateness_growing=True,
    ),
    Fate("competitor", 0.055, "leaves", (1, 12), "被竞争对手抢走,订单突然停止", _falls_to(0.5, 1.0)),
    Fate("seasonal", 0.030, "stays", (75, 110), "每年固定的淡季停单,之后恢复", _pauses_yearly),
    Fate("shutdown", 0.030, "stays", (35, 50), "春节前后停产检修,之后恢复", _pauses_yearly),
    Fate("bad_month", 0.050, "stays", (50, 95), "只有一段低谷,之后恢复", _pauses_once),
    Fate("late_payer", 0.040, "stays", (FOREVER, FOREVER), "一贯拖款,但每笔都付清", lateness=34),
    Fate(
        "complainer", 0.020, "stays", (FOREVER, FOREVER), "经常投诉,但一直留下",
        complaints_per_day=0.016, score=7.0,
    ),
    Fate("steady", 0.585, "stays", (FOREVER, FOREVER), "平稳合作"),
)  # fmt: skip
