"""The full rebuild in polars: the work of rebuild_duckdb.py, where every figure is explained, part by part.

    python -m benchmarks.rebuild_polars FOLDER AS_OF_DATE

Frames are lazy and collected at the end of each part. Money is in cents, so that it is exact, until it is a figure.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import polars.selectors as cs
from polars import col

ZONE = "Asia/Shanghai"
MONEY = ("amount", "credit_limit")
NOTHING = pl.lit(None, pl.Int64)


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

    def customers(self) -> pl.LazyFrame:
        """The newest snapshot."""
        customers = pl.scan_parquet(self.folder / "sales_customers.parquet")
        return customers.filter(col("_batch_id") == col("_batch_id").max()).select("customer_id", "segment")

    def newest(self, table: str, record: str, columns: list[str]) -> pl.LazyFrame:
        """The newest version of each record; money in cents."""
        rows = pl.scan_parquet(self.folder / f"{table}.parquet")
        return (
            rows.select("customer_id", record, *columns, "updated_at", "_batch_id", "_is_deleted")
            .with_columns((col(name) * 100).cast(pl.Int64) for name in columns if name in MONEY)
            .sort("updated_at", "_batch_id", nulls_last=False)
            .unique(["customer_id", record] if record == "valid_from" else [record], keep="last")
            .filter(~col("_is_deleted"))
        )

    def day_of(self, moment: str) -> pl.Expr:
        """Day of a moment at the company; null when it is still to come."""
        return pl.when(col(moment) < self.cut_off).then(local_day(moment))

    def month_start(self, months: int) -> pl.Expr:
        """First day of the month so many months before that of the cut-off."""
        return pl.lit(self.day + timedelta(days=1)).dt.truncate("1mo").dt.offset_by(f"-{months}mo")


Frames = dict[str, pl.LazyFrame]


def local_day(moment: str) -> pl.Expr:
    """Day of a moment at the company."""
    return col(moment).dt.convert_time_zone(ZONE).dt.date()


def days(span: pl.Expr) -> pl.Expr:
    """Length of a stretch of time in days."""
    return span.dt.total_days()


def share(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    """Their ratio; null when there is nothing to have a share of."""
    return pl.when(whole != 0).then(part / whole)


def known(condition: pl.Expr, *names: str) -> list[pl.Expr]:
    """These columns where the condition holds, null elsewhere."""
    return [pl.when(condition).then(name).alias(name) for name in names]


def joined(frame: pl.LazyFrame, *parts: pl.LazyFrame) -> pl.LazyFrame:
    """A frame by customer with the columns of others beside it."""
    for part in parts:
        frame = frame.join(part, on="customer_id", how="left")
    return frame


def stage(landing: Landing) -> Frames:
    """What is known as of the cut-off."""
    day, cut_off = pl.lit(landing.day), landing.cut_off
    is_cancelled = (col("cancelled_at") < cut_off).fill_null(value=False)
    is_negative = (col("kind") == "feedback") & (col("sentiment") == "negative")
    scale = pl.when(col("kind") == "nps").then(10.0).otherwise(100.0)
    staged = {
        "customers": landing.customers(),
        "orders": landing.newest(
            "sales_orders",
            "order_id",
            ["amount", "ordered_at", "promised_at", "fulfilled_at", "cancelled_at", "cancelled_by"],
        )
        .filter(col("ordered_at") < cut_off)
        .select(
            *("customer_id", "amount"),
            local_day("ordered_at").alias("ordered_on"),
            local_day("promised_at").alias("promised_on"),
            landing.day_of("fulfilled_at").alias("fulfilled_on"),
            is_cancelled.alias("is_cancelled"),
            (is_cancelled & (col("cancelled_by") == "customer")).fill_null(value=False).alias("is_customers_choice"),
        ),
        "interactions": landing.newest("sales_interactions", "interaction_id", ["channel", "occurred_at"])
        .filter(col("occurred_at") < cut_off)
        .select("customer_id", "channel", local_day("occurred_at").alias("occurred_on")),
        "returned": landing.newest("sales_returns", "return_id", ["returned_at"])
        .filter(col("returned_at") < cut_off)
        .select("customer_id", local_day("returned_at").alias("returned_on")),
        "tickets": landing.newest(
            "service_tickets", "ticket_id", ["kind", "priority", "sentiment", "opened_at", "first_responded_at"]
        )
        .filter(col("opened_at") < cut_off)
        .select(
            *("customer_id", "kind", "priority", "opened_at", "first_responded_at"),
            local_day("opened_at").alias("opened_on"),
            is_negative.fill_null(value=False).alias("is_negative_feedback"),
        ),
        "surveys": landing.newest(
            "service_surveys", "survey_id", ["kind", "answered_at", "score", "scale_min", "scale_max"]
        )
        .filter(col("answered_at") < cut_off)
        .with_columns(col("score", "scale_min", "scale_max").cast(pl.Float64))
        .select(
            *("customer_id", "survey_id", "kind", "answered_at"),
            local_day("answered_at").alias("answered_on"),
            (scale * (col("score") - col("scale_min")) / (col("scale_max") - col("scale_min"))).alias("score"),
        ),
        "invoices": landing.newest(
            "finance_invoices",
            "invoice_id",
            ["amount", "issued_on", "due_on", "disputed_on", "written_off_on", "voided_on"],
        )
        .filter(col("issued_on") <= day, (col("voided_on") > day).fill_null(value=True))
        .select(
            *("customer_id", "invoice_id", "amount", "issued_on", "due_on"),
            (col("disputed_on") <= day).fill_null(value=False).alias("is_disputed"),
            (col("written_off_on") <= day).fill_null(value=False).alias("is_written_off"),
        ),
        "payments": landing.newest("finance_payments", "payment_id", ["invoice_id", "amount", "paid_on"])
        .filter(col("paid_on") <= day)
        .select("customer_id", "invoice_id", "amount", "paid_on"),
        "credit_terms": landing.newest("finance_credit_terms", "valid_from", ["credit_limit"])
        .filter(col("valid_from") <= day)
        .sort("valid_from")
        .unique("customer_id", keep="last")
        .select("customer_id", *known(col("credit_limit") > 0, "credit_limit")),
    }
    return {name: frame.collect().lazy() for name, frame in staged.items()}


def cells(landing: Landing, staged: Frames) -> pl.LazyFrame:
    """Customer × month in which something happened that is counted."""
    kinds = ("order", "cancelled", "interaction", "web_visit", "return", "complaint", "negative_feedback")
    is_order, is_web = ~col("is_cancelled"), col("channel") == "web"
    ticket_kind = col("kind").replace({"inquiry": "interaction", "feedback": "negative_feedback"})
    open_month = landing.day + timedelta(days=1)

    def events(of: str, day: str, kind: pl.Expr, amount: pl.Expr = NOTHING) -> pl.LazyFrame:
        return staged[of].select(
            "customer_id", col(day).alias("day"), kind.cast(pl.Enum(kinds)).alias("kind"), amount.alias("amount")
        )

    staged = staged | {
        "orders": staged["orders"].filter(is_order | col("is_customers_choice")),
        "interactions": staged["interactions"].filter(col("channel") != "other"),
        "tickets": staged["tickets"].filter(col("kind").is_in(["complaint", "inquiry"]) | col("is_negative_feedback")),
    }
    order_kind = pl.when(is_order).then(pl.lit("order")).otherwise(pl.lit("cancelled"))
    contact_kind = pl.when(is_web).then(pl.lit("web_visit")).otherwise(pl.lit("interaction"))
    happened = pl.concat(
        [
            events("orders", "ordered_on", order_kind, pl.when(is_order).then("amount")),
            events("interactions", "occurred_on", contact_kind),
            events("returned", "returned_on", pl.lit("return")),
            events("tickets", "opened_on", ticket_kind),
        ]
    )
    order_day = col("day").filter(col("kind") == "order")
    return (
        happened.group_by("customer_id", col("day").dt.truncate("1mo").alias("month"))
        .agg(
            *((col("kind") == kind).sum().cast(pl.Int64).alias(f"{kind}_count") for kind in kinds),
            col("amount").sum().alias("order_amount"),
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


def settled(staged: Frames) -> pl.LazyFrame:
    """What is unpaid of each invoice once every payment has found one."""
    key = ["customer_id", "invoice_id"]
    invoices, paid_on_time = staged["invoices"], col("paid_on") <= col("due_on")
    named = (
        staged["payments"]
        .join(invoices.select(*key, "due_on"), on=key, how="left")
        .group_by(key)
        .agg(col("amount").sum().alias("paid"), col("amount").filter(paid_on_time).sum().alias("paid_in_time"))
    )
    matched = (
        invoices.join(named, on=key, how="left")
        .with_columns(col("paid", "paid_in_time").fill_null(0))
        .with_columns(
            (~col("is_disputed") & ~col("is_written_off")).alias("is_collectable"),
            (col("amount") - col("paid")).clip(lower_bound=0).alias("open_amount"),
        )
    )
    left_overs = pl.concat(
        [
            matched.select("customer_id", (col("paid") - col("amount")).clip(lower_bound=0).alias("pool")),
            named.join(invoices, on=key, how="anti").select("customer_id", col("paid").alias("pool")),
        ]
    )
    pools = left_overs.group_by("customer_id").agg(col("pool").sum())
    queued = pl.when("is_collectable").then("open_amount").otherwise(0)
    rest = (col("open_through") - col("pool").fill_null(0)).clip(lower_bound=0)
    return (
        matched.sort("customer_id", "due_on", "issued_on", "invoice_id")
        .with_columns(queued.cum_sum().over("customer_id").alias("open_through"))
        .join(pools, on="customer_id", how="left")
        .select(
            *("customer_id", "due_on", "is_collectable"),
            (col("is_disputed") & ~col("is_written_off")).alias("is_disputed"),
            ((col("paid") >= col("amount")) & (col("paid_in_time") < col("amount"))).alias("is_paid_late"),
            pl.when("is_collectable")
            .then(pl.min_horizontal("open_amount", rest))
            .otherwise("open_amount")
            .alias("unpaid_amount"),
        )
        .collect()
        .lazy()
    )


def states(landing: Landing, staged: Frames, months: pl.LazyFrame, invoices: pl.LazyFrame) -> pl.LazyFrame:
    """Customers as of the day, whoever they are: active, owing, lapsed."""
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
        .join(staged["customers"], on="customer_id")
        .with_columns((days(day - col("first_ordered_on")) + 1).alias("exposure_days"))
    )
    exposure, order_days = col("exposure_days").sum(), col("order_days").sum()
    company = 2 * exposure / order_days
    pseudo_days = pl.when(pl.len().over("segment") >= 30).then(company.over("segment")).otherwise(company)
    rhythms = ordered.with_columns(pseudo_days.alias("pseudo_days")).select(
        *("customer_id", "first_months_ago", "order_days"),
        days(day - col("last_ordered_on")).alias("silence_days"),
        ((days(col("last_ordered_on") - col("first_ordered_on")) + col("pseudo_days")) / (col("order_days") + 1)).alias(
            "usual_gap_days"
        ),
    )
    revenues = (
        staged["orders"]
        .filter(~col("is_cancelled"), col("ordered_on") > day - timedelta(days=365))
        .group_by("customer_id")
        .agg(col("amount").sum().alias("revenue_12m_amount"))
    )
    unpaid, is_overdue = col("unpaid_amount"), col("is_collectable") & (col("due_on") < day)
    arrears = (
        invoices.filter(unpaid > 0)
        .group_by("customer_id")
        .agg(
            unpaid.filter(col("is_collectable") | col("is_disputed")).sum().alias("open_balance_amount"),
            unpaid.filter(is_overdue).sum().alias("overdue_amount"),
            days(day - col("due_on").filter(is_overdue).min()).alias("oldest_overdue_days"),
        )
    )
    revenue = col("revenue_12m_amount")
    limit = pl.max_horizontal(180, (3 * col("usual_gap_days")).round(6))
    is_active = (col("silence_days") <= limit).fill_null(value=False)
    return (
        joined(staged["customers"], rhythms, revenues, arrears)
        .with_columns(col("revenue_12m_amount", "open_balance_amount", "overdue_amount").fill_null(0))
        .sort(["revenue_12m_amount", "customer_id"], descending=[True, False])
        .with_columns(
            is_active.alias("is_active"),
            (is_active | (col("open_balance_amount") > 0)).alias("is_judged"),
            ((revenue > 0) & (revenue.cum_sum() - revenue < 0.8 * revenue.sum())).cast(pl.Int64).alias("is_class_a"),
        )
        .collect()
        .lazy()
    )


ago, first = col("months_ago"), col("first_months_ago")


def last(figure: str, months: int) -> pl.Expr:
    """A monthly figure in those of the last closed months that have a cell."""
    return col(figure).filter(ago <= months)


def before(figure: str, months: int) -> pl.Expr:
    """Its sum over the twelve months before these, as far as the customer goes back."""
    return col(figure).filter((ago > months) & (ago <= pl.min_horizontal(first, months + 12))).sum()


def usual(figure: str, months: int) -> pl.Expr:
    """Its mean over them; null when they are too few."""
    return before(figure, months) / pl.when(first >= months + 3).then(pl.min_horizontal(first - months, 12)).first()


def slope(figure: pl.Expr) -> pl.Expr:
    """Least-squares slope over the last six months; nothing for younger customers."""
    return (figure * (3.5 - ago) / 17.5).filter(ago <= 6, first >= 6).sum()


def decline(indicator: str, figure: str, months: int) -> list[pl.Expr]:
    """What is compared when each of the last months has to lie below a share of the baseline."""
    return [
        last(figure, months).max().fill_null(0).alias(indicator),
        usual(figure, months).alias(f"{indicator}_baseline"),
        slope(col(figure)).alias(f"{indicator}_slope"),
    ]


def ratio(indicator: str, numerator: str, denominator: str) -> list[pl.Expr]:
    """What is compared when a ratio of the last three months is set against the same of the months before."""
    return [
        share(last(numerator, 3).sum(), last(denominator, 3).sum()).alias(indicator),
        share(before(numerator, 3), before(denominator, 3)).alias(f"{indicator}_baseline"),
        slope(col(numerator) / col(denominator)).alias(f"{indicator}_slope"),
    ]


def told(indicator: str, of_two: str) -> pl.Expr:
    """The greatest figure of three months, or that of two if only this is low."""
    limit = (0.4 * col(f"{indicator}_baseline")).round(6)
    return pl.when(col(of_two) < limit, col(indicator) >= limit).then(of_two).otherwise(indicator).alias(indicator)


def is_base(usual: pl.Expr, counted: str) -> pl.Expr:
    """Whether a baseline can be compared with; one of nothing can where there is still hardly anything."""
    return (usual > 0) | ((usual == 0) & (col(counted).fill_null(0) < 2))


def monthly(customers: pl.LazyFrame, months: pl.LazyFrame) -> pl.LazyFrame:
    """Figures of closed months."""
    complaint_rate = col("complaint_count") / col("order_count")
    windows = (
        customers.select("customer_id", "first_months_ago")
        .drop_nulls()
        .join(months.filter(ago.is_between(1, 15)), on="customer_id", how="left")
        .with_columns(col("order_amount") / 100, *known(col("order_count") > 0, "order_count"))  # to divide by
    )
    compared = windows.group_by("customer_id", "first_months_ago").agg(
        *decline("order_frequency", "order_count", 3),
        *decline("order_amount", "order_amount", 3),
        *decline("interaction_frequency", "interaction_count", 3),
        *decline("web_activity", "web_visit_count", 2),
        *ratio("average_order_value", "order_amount", "order_count"),
        *ratio("return_rate", "return_count", "order_count"),
        last("order_count", 2).max().fill_null(0).alias("most_orders_of_two"),
        last("order_amount", 2).max().fill_null(0).alias("most_amount_of_two"),
        last("order_count", 3).sum().alias("orders"),
        last("return_count", 3).sum().alias("return_count"),
        complaint_rate.filter(ago <= 2).min().alias("complaint_rate"),
        share(before("complaint_count", 2), before("order_count", 2)).alias("complaint_rate_baseline"),
        slope(complaint_rate).alias("complaint_rate_slope"),
        usual("negative_feedback_count", 2).alias("negative_feedback_baseline"),
        slope(col("negative_feedback_count")).alias("negative_feedback_slope"),
        usual("order_amount", 0).alias("overdue_ratio_baseline"),
        last("order_count", 2).count().alias("rated_months"),
        last("order_count", 6).count().alias("sloped_months"),
    )
    has_baseline, has_returns = first >= 6, is_base(col("return_rate_baseline"), "return_count")
    return (
        compared.with_columns(told("order_frequency", "most_orders_of_two"), told("order_amount", "most_amount_of_two"))
        .with_columns(
            *known(col("order_frequency_baseline") > 0, "order_frequency"),
            *known(col("order_amount_baseline") > 0, "order_amount"),
            *known(
                has_baseline & (col("orders") >= 3) & (col("average_order_value_baseline") > 0),
                *("average_order_value", "average_order_value_baseline"),
            ),
            *known(
                col("interaction_frequency_baseline") >= 2,
                *("interaction_frequency", "interaction_frequency_baseline"),
            ),
            *known(col("web_activity_baseline") >= 2, "web_activity", "web_activity_baseline"),
            *known(
                has_baseline & (col("orders") > 0) & has_returns,
                *("return_rate", "return_rate_baseline"),
            ),
            *known(col("rated_months") == 2, "complaint_rate"),
            *known(
                col("sloped_months") == 6,
                *("average_order_value_slope", "return_rate_slope", "complaint_rate_slope"),
            ),
        )
        .drop("first_months_ago", "most_orders_of_two", "most_amount_of_two", "orders", "rated_months", "sloped_months")
        .collect()
        .lazy()
    )


def active(landing: Landing, staged: Frames, customers: pl.LazyFrame, by_month: pl.LazyFrame) -> pl.LazyFrame:
    """Figures of active customers, which are judged on everything."""
    silence, gap = col("silence_days"), col("usual_gap_days")
    rhythms = customers.filter(col("order_days") >= 3).select(
        *("customer_id", silence, gap, (silence / gap).alias("silence_ratio")),
        *(silence.alias(indicator) for indicator in ("days_since_last_order", "rhythm_break")),
        *(gap.alias(f"{indicator}_baseline") for indicator in ("days_since_last_order", "rhythm_break")),
    )
    has_feedback = is_base(col("negative_feedback_baseline"), "negative_feedback")
    return joined(
        customers.filter("is_active").select("customer_id", "is_class_a"),
        *(by_month.drop("overdue_ratio_baseline"), rhythms, _deliveries(landing, staged["orders"])),
        *(_tickets(landing, staged["tickets"]), _scores(landing, staged["surveys"])),
    ).with_columns(*known(has_feedback, "negative_feedback"))


def _deliveries(landing: Landing, orders: pl.LazyFrame) -> pl.LazyFrame:
    promised, late = col("promised_on"), col("late_orders")
    return (
        orders.filter(~col("is_cancelled"), promised >= landing.month_start(3), promised <= landing.day)
        .group_by("customer_id")
        .agg(pl.len().alias("due"), (col("fulfilled_on") > promised).fill_null(value=True).sum().alias("late_orders"))
        .with_columns((1 - late / col("due")).alias("delivery_punctuality"))
        .select("customer_id", "late_orders", *known(col("due") >= 3, "delivery_punctuality"))
    )


def _tickets(landing: Landing, tickets: pl.LazyFrame) -> pl.LazyFrame:
    age_days = days(pl.lit(landing.day) - col("opened_on"))
    standards = pl.LazyFrame({"priority": ["urgent", "high", "normal", "low"], "hours": [4, 8, 24, 72]})
    responded_at = (
        pl.when(col("first_responded_at") < landing.cut_off).then("first_responded_at").otherwise(landing.cut_off)
    )
    hours = (responded_at - col("opened_at")).dt.total_microseconds() / 3.6e9
    is_new = age_days < 30
    return (
        tickets.filter(age_days < 90)
        .join(standards, on="priority", how="left")
        .group_by("customer_id")
        .agg(
            (col("kind") == "complaint").sum().alias("complaints_90d"),
            (col("is_negative_feedback") & is_new).sum().alias("negative_feedback"),
            (hours / col("hours").fill_null(24)).filter(is_new).mean().alias("response_time"),
            is_new.any().cast(pl.Int64).alias("response_time_baseline"),
        )
    )


def _scores(landing: Landing, surveys: pl.LazyFrame) -> pl.LazyFrame:
    score, is_satisfaction = col("score"), col("kind") == "csat"
    expires_days = pl.when(is_satisfaction).then(180).otherwise(365)
    satisfaction, recommendation = score.filter(is_satisfaction), score.filter(~is_satisfaction)
    return (
        surveys.sort("answered_at", "survey_id", descending=True)
        .group_by("customer_id", "kind", maintain_order=True)
        .head(2)
        .filter(days(pl.lit(landing.day) - col("answered_on")) <= expires_days)
        .group_by("customer_id", maintain_order=True)
        .agg(
            satisfaction.first().alias("latest_score"),
            pl.when(satisfaction.count() == 2).then(satisfaction.max()).alias("satisfaction"),
            recommendation.first().alias("net_promoter"),
            recommendation.slice(1).first().alias("net_promoter_baseline"),
        )
    )


def owing(
    landing: Landing,
    staged: Frames,
    customers: pl.LazyFrame,
    by_month: pl.LazyFrame,
    months: pl.LazyFrame,
    invoices: pl.LazyFrame,
) -> pl.LazyFrame:
    """Figures of what is owed, also of customers that are no longer active."""
    due = col("due_on").is_between(landing.month_start(6), landing.day, closed="left")
    habits = (
        invoices.filter("is_collectable", due)
        .group_by("customer_id")
        .agg(
            pl.len().alias("due_invoices"),
            ((col("unpaid_amount") > 0) | col("is_paid_late")).sum().alias("late_invoices"),
        )
    )
    cancelled = (
        months.filter(ago.is_between(0, 6))
        .group_by("customer_id")
        .agg(col("cancelled_count").sum().alias("cancelled_orders"), col("order_count").sum().alias("kept_orders"))
    )
    overdue, late, cancelled_orders = col("overdue_amount"), col("late_invoices"), col("cancelled_orders")
    usual_amount, limit = col("overdue_ratio_baseline"), col("credit_limit")
    return joined(
        customers.filter("is_judged"),
        *(by_month.select("customer_id", usual_amount), habits, cancelled, staged["credit_terms"]),
    ).select(
        *("customer_id", overdue / 100, late, cancelled_orders, limit / 100, usual_amount),
        pl.when(overdue > 100).then("oldest_overdue_days").alias("overdue_days"),
        share(overdue / 100, usual_amount).alias("overdue_ratio"),
        pl.when(col("due_invoices") >= 3).then(late / col("due_invoices")).alias("late_payment_rate"),
        (col("open_balance_amount") / limit).alias("credit_utilization"),
        share(cancelled_orders, cancelled_orders + col("kept_orders")).alias("order_fulfilment"),
    )


def sums(frame: pl.DataFrame) -> dict[str, float]:
    """Every number of a frame added up."""
    added = frame.select(cs.numeric().sum())
    return {name: float(total) for name, total in added.row(0, named=True).items()}


def main(folder: Path, as_of_date: str) -> None:
    """Rebuild in memory and print what it took and what came out."""
    started, landing = os.times(), Landing(folder, date.fromisoformat(as_of_date))
    staged = stage(landing)
    months, invoices = cells(landing, staged), settled(staged)
    customers = states(landing, staged, months, invoices)
    by_month = monthly(customers, months)
    figures_of_active = active(landing, staged, customers, by_month).collect()
    figures_of_owing = owing(landing, staged, customers, by_month, months, invoices).collect()
    ended = os.times()
    money = cs.ends_with("_amount") / 100
    counted = (
        months.with_columns(money).select(cs.ends_with("_count", "_days", "_amount").name.prefix("cells.")).collect()
    )
    of_all = customers.with_columns(money).select("revenue_12m_amount", "open_balance_amount").collect()
    sizes = {
        "cells": float(counted.height),
        "active_customers": float(figures_of_active.height),
        "judged_customers": float(figures_of_owing.height),
    }
    json.dump(
        {
            "cpu_seconds": sum(ended[:2]) - sum(started[:2]),
            "wall_seconds": ended.elapsed - started.elapsed,
            "totals": sizes | sums(counted) | sums(of_all) | sums(figures_of_active) | sums(figures_of_owing),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
