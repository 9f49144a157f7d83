"""The full rebuild in polars: the work of rebuild_duckdb.py as lazy frames, collected at the end of each part.

python -m benchmarks.rebuild_polars FOLDER AS_OF_DATE
"""

from __future__ import annotations

import json
import os
import sys
from datetime import date, timedelta
from pathlib import Path

import polars as pl
from polars import col

ZONE = "Asia/Shanghai"


class Landing:
    """The landing tables as of a date."""

    def __init__(self, folder: Path, day: date) -> None:
        self.folder, self.day = folder, day
        self.cut_off = (
            pl.lit(day + timedelta(days=1))
            .cast(pl.Datetime("us"))
            .dt.replace_time_zone(ZONE)
            .dt.convert_time_zone("UTC")
        )
        customers = pl.scan_parquet(folder / "sales_customers.parquet")
        self.customers = (
            customers.filter(col("_batch_id") == col("_batch_id").max())
            .select("customer_id", "segment")
            .collect()
            .lazy()
        )

    def newest(self, table: str, key: str, columns: list[str]) -> pl.LazyFrame:
        """The newest version of each record of a customer that is there."""
        rows = pl.scan_parquet(self.folder / f"{table}.parquet")
        return (
            rows.select("customer_id", key, *columns, "updated_at", "_batch_id", "_is_deleted")
            .join(self.customers, on="customer_id", how="semi")
            .with_columns((col(name) * 100).cast(pl.Int64) for name in columns if name == "amount")  # cents
            .sort("updated_at", "_batch_id", nulls_last=False)
            .unique(["customer_id", key], keep="last")
            .filter(~col("_is_deleted"))
        )


def local_day(moment: str) -> pl.Expr:
    """Day of a moment at the company."""
    return col(moment).dt.convert_time_zone(ZONE).dt.date()


def stage(landing: Landing) -> dict[str, pl.LazyFrame]:
    """Current orders, tickets, surveys, invoices and payments."""
    day, cut_off = pl.lit(landing.day), landing.cut_off
    staged = {
        "orders": landing.newest("sales_orders", "order_id", ["ordered_at", "amount", "cancelled_at"])
        .filter(col("ordered_at") < cut_off)
        .with_columns(
            local_day("ordered_at").alias("ordered_on"),
            (col("cancelled_at") < cut_off).fill_null(value=False).alias("is_cancelled"),
        ),
        "tickets": landing.newest(
            "service_tickets", "ticket_id", ["kind", "priority", "opened_at", "first_responded_at"]
        )
        .filter(col("opened_at") < cut_off)
        .with_columns(local_day("opened_at").alias("opened_on")),
        "surveys": landing.newest(
            "service_surveys", "survey_id", ["kind", "answered_at", "score", "scale_min", "scale_max"]
        )
        .filter(col("answered_at") < cut_off)
        .with_columns(
            local_day("answered_at").alias("answered_on"),
            (100 * (col("score") - col("scale_min")) / (col("scale_max") - col("scale_min"))).alias("score"),
        ),
        "invoices": landing.newest(
            "finance_invoices",
            "invoice_id",
            ["amount", "issued_on", "due_on", "disputed_on", "written_off_on", "voided_on"],
        )
        .filter(col("issued_on") <= day, (col("voided_on") > day).fill_null(value=True))
        .with_columns(
            (col("disputed_on") <= day).fill_null(value=False).alias("is_disputed"),
            (col("written_off_on") <= day).fill_null(value=False).alias("is_written_off"),
        ),
        "payments": landing.newest("finance_payments", "payment_id", ["invoice_id", "amount", "paid_on"]).filter(
            col("paid_on") <= day
        ),
    }
    return {name: frame.collect().lazy() for name, frame in staged.items()}


def cells(staged: dict[str, pl.LazyFrame], day: date) -> pl.LazyFrame:
    """Customer × month with an order or a complaint."""
    orders = staged["orders"].filter(~col("is_cancelled"))
    tickets = staged["tickets"].filter(col("kind") == "complaint")
    events = pl.concat(
        [
            orders.select(
                "customer_id", col("ordered_on").alias("day"), "amount", pl.lit(value=True).alias("is_order")
            ),
            tickets.select(
                "customer_id",
                col("opened_on").alias("day"),
                pl.lit(0, pl.Int64).alias("amount"),
                pl.lit(value=False).alias("is_order"),
            ),
        ]
    )
    order_day = col("day").filter(col("is_order"))
    open_month = day + timedelta(days=1)
    return (
        events.group_by("customer_id", col("day").dt.truncate("1mo").alias("month"))
        .agg(
            col("is_order").sum().cast(pl.Int64).alias("order_count"),
            col("amount").sum().alias("order_amount"),
            (~col("is_order")).sum().cast(pl.Int64).alias("complaint_count"),
            order_day.n_unique().cast(pl.Int64).alias("order_days"),
            order_day.min().alias("first_ordered_on"),
            order_day.max().alias("last_ordered_on"),
        )
        .with_columns(
            (
                (open_month.year * 12 + open_month.month)
                - (col("month").dt.year().cast(pl.Int64) * 12 + col("month").dt.month().cast(pl.Int64))
            ).alias("months_ago")
        )
        .collect()
        .lazy()
    )


def settled(staged: dict[str, pl.LazyFrame]) -> pl.LazyFrame:
    """What is unpaid of each invoice once every payment has found one."""
    key = ["customer_id", "invoice_id"]
    invoices = staged["invoices"]
    named = staged["payments"].group_by(key).agg(col("amount").sum().alias("paid"))
    matched = invoices.join(named, on=key, how="left").with_columns(
        (~col("is_disputed") & ~col("is_written_off")).alias("is_collectable"),
        (col("amount") - col("paid").fill_null(0)).clip(lower_bound=0).alias("open_amount"),
        (col("paid") - col("amount")).clip(lower_bound=0).alias("left_over"),
    )
    left_overs = pl.concat(
        [
            matched.select("customer_id", col("left_over").alias("pool")),
            named.join(invoices, on=key, how="anti").select("customer_id", col("paid").alias("pool")),
        ]
    )
    pools = left_overs.group_by("customer_id").agg(col("pool").sum())
    rest = col("open_through") - col("pool").fill_null(0)
    return (
        matched.sort("customer_id", "due_on", "issued_on", "invoice_id")
        .with_columns(
            pl.when("is_collectable")
            .then("open_amount")
            .otherwise(0)
            .cum_sum()
            .over("customer_id")
            .alias("open_through")
        )
        .join(pools, on="customer_id", how="left")
        .with_columns(
            pl.when("is_collectable")
            .then(pl.min_horizontal("open_amount", rest.clip(lower_bound=0)))
            .otherwise("open_amount")
            .alias("unpaid_amount")
        )
    )


def figures(landing: Landing, staged: dict[str, pl.LazyFrame], months: pl.LazyFrame) -> pl.LazyFrame:
    """One row a customer: the sums of its indicators."""
    parts = [
        _rhythms(landing, months),
        _arrears(staged, landing.day),
        _demand(months),
        _service(landing, staged),
    ]
    joined = landing.customers
    for part in (part for group in parts for part in group):
        joined = joined.join(part, on="customer_id", how="left")
    return joined


def _rhythms(landing: Landing, months: pl.LazyFrame) -> list[pl.LazyFrame]:
    day = pl.lit(landing.day)
    ordered = (
        months.filter(col("order_count") > 0)
        .group_by("customer_id")
        .agg(
            col("first_ordered_on").min(),
            col("last_ordered_on").max(),
            col("months_ago").max().alias("first_months_ago"),
            col("order_days").sum(),
        )
        .join(landing.customers, on="customer_id")
    )
    exposure = (day - col("first_ordered_on")).dt.total_days() + 1
    segments = ordered.group_by("segment").agg((2 * exposure.sum() / col("order_days").sum()).alias("pseudo_days"))
    span = (col("last_ordered_on") - col("first_ordered_on")).dt.total_days()
    return [
        ordered.join(segments, on="segment")
        .with_columns(
            (day - col("last_ordered_on")).dt.total_days().alias("silence_days"),
            ((span + col("pseudo_days")) / (col("order_days") + 1)).alias("usual_gap_days"),
        )
        .drop("segment")
    ]


def _arrears(staged: dict[str, pl.LazyFrame], day: date) -> list[pl.LazyFrame]:
    is_overdue = col("is_collectable") & (col("due_on") < day)
    unpaid = col("unpaid_amount")
    arrears = (
        settled(staged)
        .filter(unpaid > 0)
        .group_by("customer_id")
        .agg(
            unpaid.filter(col("is_collectable") | col("is_disputed")).sum().alias("open_balance_amount"),
            unpaid.filter(is_overdue).sum().alias("overdue_amount"),
            (pl.lit(day) - col("due_on").filter(is_overdue).min()).dt.total_days().alias("overdue_days"),
        )
    )
    revenue = (
        staged["orders"]
        .filter(~col("is_cancelled"), col("ordered_on") > day - timedelta(days=365))
        .group_by("customer_id")
        .agg(col("amount").sum().alias("revenue_12m_amount"))
    )
    return [arrears, revenue]


def _demand(months: pl.LazyFrame) -> list[pl.LazyFrame]:
    ago = col("months_ago")
    slope = (3.5 - ago) / 17.5
    rate = col("complaint_count") / pl.when(col("order_count") > 0).then("order_count")
    measures = []
    for figure in ("order_count", "order_amount"):
        value = col(figure)
        measures += [
            value.filter(ago <= 3).max().alias(f"{figure}_recent"),
            value.filter(ago <= 2).max().alias(f"{figure}_watched"),
            value.filter(ago > 3).sum().alias(f"{figure}_before"),
            (value * slope).filter(ago <= 6).sum().alias(f"{figure}_slope"),
        ]
    return [
        months.filter(ago.is_between(1, 15))
        .group_by("customer_id")
        .agg(
            *measures,
            col("order_amount").filter(ago <= 12).sum().alias("amount_12m"),
            rate.filter(ago <= 2).min().alias("complaint_rate"),
            ((ago <= 2) & (col("order_count") > 0)).sum().alias("complaint_months"),
            col("complaint_count").filter(ago > 2).sum().alias("complaints_before"),
            col("order_count").filter(ago > 2).sum().alias("orders_before"),
            (rate * slope).filter(ago <= 6).sum().alias("complaint_slope"),
        )
    ]


def _service(landing: Landing, staged: dict[str, pl.LazyFrame]) -> list[pl.LazyFrame]:
    day, tickets = landing.day, staged["tickets"]
    standards = pl.LazyFrame({"priority": ["urgent", "high", "normal", "low"], "hours": [4, 8, 24, 72]})
    responded_at = (
        pl.when(col("first_responded_at") < landing.cut_off).then("first_responded_at").otherwise(landing.cut_off)
    )
    hours = (responded_at - col("opened_at")).dt.total_microseconds() / 3.6e9
    complaints = tickets.filter(col("kind") == "complaint", col("opened_on") > day - timedelta(days=90))
    answers = (
        staged["surveys"]
        .filter(col("kind") == "csat")
        .sort("answered_at", "survey_id", descending=True)
        .group_by("customer_id", maintain_order=True)
        .head(2)
        .filter(col("answered_on") >= day - timedelta(days=180))
    )
    return [
        complaints.group_by("customer_id").agg(pl.len().alias("complaints_90d")),
        tickets.filter(col("opened_on") > day - timedelta(days=30))
        .join(standards, on="priority", how="left")
        .group_by("customer_id")
        .agg((hours / col("hours").fill_null(24)).mean().alias("response_ratio")),
        answers.group_by("customer_id").agg(
            col("score").max().alias("greatest_score"),
            col("score").first().alias("latest_score"),
            pl.len().alias("scores"),
        ),
    ]


def main(folder: Path, as_of_date: str) -> None:
    """Rebuild in memory and print what it took and what came out."""
    started, day = os.times(), date.fromisoformat(as_of_date)
    landing = Landing(folder, day)
    staged = stage(landing)
    months = cells(staged, day)
    customers = figures(landing, staged, months).collect()
    ended = os.times()
    counted = months.select(
        pl.len().alias("cells"), col("order_count", "order_days", "complaint_count").sum()
    ).collect()
    money = pl.concat(
        [
            months.select(col("order_amount").sum()).collect(),
            customers.select(col("revenue_12m_amount", "open_balance_amount").sum()),
        ],
        how="horizontal",
    )
    json.dump(
        {
            "cpu_seconds": sum(ended[:2]) - sum(started[:2]),
            "wall_seconds": ended.elapsed - started.elapsed,
            "totals": {name: float(value) for name, value in counted.row(0, named=True).items()}
            | {name: value / 100 for name, value in money.row(0, named=True).items()},
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
