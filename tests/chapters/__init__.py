"""What happens to customers in random worlds: every chapter aims at the edges of some rule."""

from collections.abc import Callable

from .around import INDUSTRIES, is_courted, is_modelled, is_regulated
from .demand import (
    cancels_orders,
    falls_out_with_us,
    orders_by_month,
    orders_in_rhythm,
    orders_much_and_pauses,
    orders_of_less_value,
    orders_on_odd_days,
    returns_goods,
    waits_for_deliveries,
)
from .goods import offer_products, sell_products
from .handling import is_looked_after
from .money import has_a_limit, is_scored, owes, owes_half_a_month, pays_ahead, pays_late, quarrels_over_invoices
from .pen import Pen
from .voices import answers_surveys, asks_for_help, complains, grumbles, keeps_in_touch, recommends_us

__all__ = ["DEMAND", "INDUSTRIES", "OTHER", "Chapter", "Pen", "is_looked_after", "offer_products", "sell_products"]

Chapter = Callable[[Pen], None]
DEMAND: tuple[Chapter, ...] = (
    orders_in_rhythm,
    orders_by_month,
    orders_on_odd_days,
    orders_of_less_value,
    orders_much_and_pauses,
    falls_out_with_us,
)
OTHER: tuple[Chapter, ...] = (
    owes,
    owes_half_a_month,
    quarrels_over_invoices,
    pays_ahead,
    pays_late,
    is_scored,
    has_a_limit,
    cancels_orders,
    waits_for_deliveries,
    returns_goods,
    complains,
    asks_for_help,
    answers_surveys,
    recommends_us,
    grumbles,
    keeps_in_touch,
    is_courted,
    is_regulated,
    is_modelled,
)
