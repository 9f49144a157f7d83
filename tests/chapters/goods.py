"""What was ordered, what came back and what complaints are about: written once a customer's chapters are."""

from random import Random
from typing import Any

from oracle.world import row

CATALOGUE = {"P1": "bolts", "P2": "bolts", "P3": "seals", "P4": None}
"""Products by id, with their category; P5 is sold, but the catalogue does not know it."""
_SOLD = ("P1", "P1", "P2", "P3", "P4", "P5")


def offer_products(rows: dict[str, list[dict[str, Any]]]) -> None:
    """Write the catalogue."""
    for product_id, category in CATALOGUE.items():
        name = f"Product {product_id}"
        rows["sales.products"].append(row("sales.products", product_id=product_id, name=name, category=category))


def sell_products(rows: dict[str, list[dict[str, Any]]], random: Random) -> None:
    """Give orders their lines, of one product or of several or none; say what complaints and returns are about.

    That is a product (of late mostly one), an order, both, or nothing; lines and complaints may name an order that is
    somebody else's or nobody's.
    """
    orders = rows["sales.orders"]
    for order in orders:
        wanders = random.random() < 1 / 20
        customer_id = random.choice(orders)["customer_id"] if wanders else order["customer_id"]
        product_id = random.choice(_SOLD)
        for line_no in range(random.choice((0, 1, 1, 1, 2, 3))):
            keys = {"customer_id": customer_id, "order_id": order["order_id"], "line_no": line_no + 1}
            rows["sales.order_lines"].append(
                row("sales.order_lines", **keys, product_id=product_id, quantity=1, amount=1)
            )
            product_id = random.choice((product_id, random.choice(_SOLD)))
    latest = max((order["ordered_at"] for order in orders), default=None)
    for problem in (*rows["service.tickets"], *rows["sales.returns"]):
        happened_at = problem.get("opened_at") or problem["returned_at"]
        is_late = latest is not None and (latest - happened_at).days < 100
        theirs = [order["order_id"] for order in orders if order["customer_id"] == problem["customer_id"]]
        if random.random() < 2 / 3:
            problem["product_id"] = random.choice(("P1", "P1", "P3") if is_late else _SOLD)
        if theirs and random.random() < 2 / 3:
            problem["order_id"] = random.choice((random.choice(theirs), random.choice(orders)["order_id"]))
