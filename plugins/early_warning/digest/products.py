"""Which products the head of the department product is told of, and what of it is news to whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from psycopg.rows import dict_row

from early_warning.digest.text import plain
from early_warning.warehouse import Connection

AUDIENCE = "head:product"


@dataclass(frozen=True)
class Product:
    """A product, or a category of products, that is complained about or returned clearly more often than it was.

    A count is None where nobody delivers it, `ratio` where there was nothing before; `category` is None for a category.
    `is_new`: the reader's last mail did not tell of it.
    """

    kind: Literal["product", "category"]
    item_id: str
    name: str
    category: str | None
    days: int
    baseline_days: int
    lines: int
    complaints: int | None
    returns: int | None
    rate: Decimal
    baseline_rate: Decimal
    ratio: Decimal | None
    is_new: bool


@dataclass(frozen=True)
class ProductNews:
    """The conspicuous products of a run, the worst first, and what each reader's last mail told, by kind and id."""

    conspicuous: Sequence[Product]
    told: Mapping[str, Set[tuple[str, str]]]

    def is_news_to(self, recipient: str) -> bool:
        """Whether the reader's last mail did not tell of all of them."""
        return any(product.is_new for product in self.to(recipient))

    def to(self, recipient: str) -> tuple[Product, ...]:
        """As a reader sees them: what is new first."""
        told = self.told.get(recipient, set())
        seen = [replace(each, is_new=(each.kind, each.item_id) not in told) for each in self.conspicuous]
        return tuple(sorted(seen, key=lambda product: not product.is_new))


def read_products(connection: Connection, run_id: int, as_of_at: datetime) -> ProductNews:
    """Read the run's conspicuous products, and those of the run that each reader's last mail was about."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            "select item_kind as kind, item_id, item_name as name,"
            " case item_kind when 'product' then category end as category,"
            " as_of_date - window_start + 1 as days, window_start - baseline_start as baseline_days,"
            " line_count as lines, complaint_count as complaints, return_count as returns, rate, baseline_rate, ratio"
            " from marts.fct_product_quality where run_id = %s and is_conspicuous"
            " order by ratio desc nulls first, rate desc, item_kind, item_id",
            (run_id,),
        ).fetchall()
        mailed = cursor.execute(
            "select recipient, item_kind, item_id from ("
            "  select distinct on (recipient) recipient, run_id from ops.outbox"
            "  where audience = %s and as_of_at < %s order by recipient, as_of_at desc, run_id desc"
            ") as mail"
            " join marts.fct_product_quality as quality on quality.run_id = mail.run_id and quality.is_conspicuous",
            (AUDIENCE, as_of_at),
        ).fetchall()
    told: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in mailed:
        told[row["recipient"]].add((row["item_kind"], row["item_id"]))
    return ProductNews([_product(row) for row in rows], told)


def _product(row: Mapping[str, Any]) -> Product:
    texts = {name: plain(row[name]) or None for name in ("name", "category")}
    return Product(**{**row, **texts, "name": texts["name"] or plain(row["item_id"]), "is_new": True})
