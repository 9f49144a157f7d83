"""How well past levels told who would be lost, beside "no order for 90 days"; fills in docs/levels-measured.md.

    python -m benchmarks.levels [demo] [marketplace_sellers] [wholesaler]

Judges each company as of month ends, one `early-warning run` after the other, then looks 90 days ahead. A company whose
data is not there keeps its section as it is.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median

from benchmarks import report
from benchmarks.measure import entered_home
from early_warning.embedded.postgres import remove_postgres, running_postgres
from early_warning.settings import PROJECT
from early_warning.warehouse import Warehouse

HORIZON_DAYS = 90
_SILENT_DAYS = 90  # of the rule compared with, whatever the horizon
_PAGE = PROJECT / "docs" / "levels-measured.md"
_SHARED = Path(os.environ.get("EARLY_WARNING_SHARED_DATA", PROJECT.parent / "shared" / "data"))


@dataclass(frozen=True)
class Company:
    """Whom to judge and when: `months` month ends from that of `first` on. Without `data` it makes its own."""

    name: str
    folder: Path
    first: date
    months: int
    data: Path | None = None

    @property
    def days(self) -> list[date]:
        """The as-of dates, oldest first."""
        after = (self.first.year * 12 + self.first.month + number for number in range(self.months))
        return [date(month // 12, month % 12 + 1, 1) - timedelta(days=1) for month in after]


COMPANIES = (
    Company("demo", PROJECT / "company", date(2026, 6, 30), 12),
    Company(
        "marketplace_sellers",
        PROJECT / "tests" / "companies" / "marketplace_sellers",
        date(2017, 6, 30),
        12,
        _SHARED / "marketplace_sellers",
    ),
    Company("wholesaler", PROJECT / "tests" / "companies" / "wholesaler", date(2011, 3, 31), 3, _SHARED / "wholesaler"),
)


@dataclass(frozen=True)
class Judged:
    """An active customer on a day: its raw level (4 = none), since when it is silent, and what became of it.

    `is_fluctuation`: its level is the rule service_fluctuation's alone.
    """

    customer_id: str
    as_of_date: date
    level: int
    is_fluctuation: bool
    silence_days: int
    revenue: Decimal
    is_lost: bool
    lapses_on: date


# Active customers of each as-of date, and what became of them in the horizon. It counts as lapsed as the policy says.
_JUDGED = """
with days as (
    select run_id, as_of_date from ops.publication where as_of_date = any(%(days)s)
),

orders as (
    select customer_id, ordered_on, amount from staging.stg_sales__orders where not is_cancelled
),

limits as (
    select
        max(value) filter (where parameter = 'inactive_days') as days,
        max(value) filter (where parameter = 'inactive_gap_multiple') as gaps
    from policy.hysteresis_and_budget
)

select
    customers.customer_id,
    days.as_of_date,
    coalesce(levels.raw_level, 4) as level,
    coalesce(levels.rule_codes = '{service_fluctuation}', false) as is_fluctuation,
    days.as_of_date - customers.last_ordered_on as silence_days,
    coalesce(customers.revenue_12m_amount, 0) as revenue,
    ahead.amount is null or coalesce(ahead.amount < 0.2 * indicators.baseline * %(months)s, false) as is_lost,
    coalesce(ahead.last_ordered_on, customers.last_ordered_on)
    + greatest(limits.days, limits.gaps * customers.usual_gap_days)::int as lapses_on
from marts.dim_customers as customers
inner join days on customers.run_id = days.run_id
cross join limits
left join marts.fct_customer_levels as levels
    on customers.run_id = levels.run_id and customers.customer_id = levels.customer_id
left join marts.fct_indicator_values as indicators
    on customers.run_id = indicators.run_id
    and customers.customer_id = indicators.customer_id
    and indicators.indicator_code = 'order_amount'
left join lateral (
    select sum(orders.amount) as amount, max(orders.ordered_on) as last_ordered_on
    from orders
    where orders.customer_id = customers.customer_id
        and orders.ordered_on > days.as_of_date
        and orders.ordered_on <= days.as_of_date + %(horizon)s
) as ahead on true
where customers.state = 'active'
"""


def main() -> None:
    """Measure the companies named, or all, and rewrite their sections of the page."""
    os.environ["EARLY_WARNING_SHARED_DATA"] = str(_SHARED)
    for company in COMPANIES:
        if sys.argv[1:] and company.name not in sys.argv[1:]:
            continue
        if company.data and not company.data.is_dir():
            print(f"{company.name}: no data in {company.data}, left out", file=sys.stderr)
            continue
        text = "\n".join(_section(judged(company), company))
        _PAGE.write_text(report.replaced(_PAGE.read_text(encoding="utf-8"), company.name, text), encoding="utf-8")
        print(text)


def judged(company: Company) -> list[Judged]:
    """Judge a company day by day in a home of its own, and look up what became of its customers."""
    with (
        tempfile.TemporaryDirectory(prefix="early-warning-levels-") as folder,
        entered_home(Path(folder) / "home") as home,
    ):
        try:
            for day in (*company.days, company.days[-1] + timedelta(days=HORIZON_DAYS)):
                early_warning = str(Path(sys.executable).with_name("early-warning"))
                command = [early_warning, "run", "--company", str(company.folder), "--as-of", day.isoformat()]
                subprocess.run(command, check=True, stdout=sys.stderr)
            truth = None if company.data else _ends(home / "demo" / "truth.csv")
            with running_postgres(home) as warehouse:
                return list(_read(warehouse, company, truth))
        finally:
            remove_postgres(home)


def _ends(truth: Path) -> dict[str, date]:
    """The day on which each customer of the demo whose fate it is leaves or defaults."""
    with truth.open(encoding="utf-8", newline="") as lines:
        ends = {row["customer_id"]: row["leaves_on"] or row["defaults_on"] for row in csv.DictReader(lines)}
    return {customer_id: date.fromisoformat(day) for customer_id, day in ends.items() if day}


def _read(warehouse: Warehouse, company: Company, truth: Mapping[str, date] | None) -> Iterator[Judged]:
    months = HORIZON_DAYS * 12 / Decimal("365.25")
    for row in warehouse.rows(_JUDGED, days=company.days, horizon=HORIZON_DAYS, months=months):
        if truth is not None:
            ahead = row["as_of_date"] + timedelta(days=HORIZON_DAYS)
            row["is_lost"] = truth.get(row["customer_id"], date.max) <= ahead
        yield Judged(**row)


def _section(everybody: Sequence[Judged], company: Company) -> Iterator[str]:
    lost = [one for one in everybody if one.is_lost]
    yield (
        f"{len(company.days)} month ends, {company.days[0]} to {company.days[-1]}: {len(everybody):,} times a customer"
        f" was judged active, {len(lost):,} of them it was lost ({len(lost) / len(everybody):.1%})."
    )
    yield from ("", "| | warned | precision | recall | revenue | lead time, median days |", "|---|---|---|---|---|---|")
    levels = {
        "level 1": [one for one in everybody if one.level == 1],
        "level 2": [one for one in everybody if one.level == 2],
        "level 3": [one for one in everybody if one.level == 3 and not one.is_fluctuation],
        "level 3, `service_fluctuation` alone": [one for one in everybody if one.is_fluctuation],
        "no level": [one for one in everybody if one.level == 4],
    }
    grave = levels["level 1"] + levels["level 2"]
    most = grave + levels["level 3"]
    as_many_silent = "… longest silent first, as many a day"
    compared = [
        ("levels 1 and 2", grave),
        (as_many_silent, _longest_silent(everybody, grave)),
        ("levels 1 to 3 without `service_fluctuation`", most),
        (as_many_silent, _longest_silent(everybody, most)),
        ("no order for 90 days", [one for one in everybody if one.silence_days > _SILENT_DAYS]),
    ]
    for name, warned in (*levels.items(), *compared):
        yield _line(name, warned, everybody, company.days)
    yield from ("", "<details><summary>Share lost on every date</summary>", "")
    yield from _dates(levels, company.days)
    yield from ("", "</details>")


def _longest_silent(everybody: Sequence[Judged], warned: Sequence[Judged]) -> list[Judged]:
    """On every day as many of those that are silent for longest as were warned."""
    count = Counter(one.as_of_date for one in warned)
    by_silence = sorted(everybody, key=lambda one: (-one.silence_days, one.customer_id))
    by_day = {day: [one for one in by_silence if one.as_of_date == day] for day in count}
    return [one for day, number in count.items() for one in by_day[day][:number]]


def _line(name: str, warned: Sequence[Judged], everybody: Sequence[Judged], days: Sequence[date]) -> str:
    if not warned:
        return f"| {name} | 0 | – | – | – | – |"
    caught = [one for one in warned if one.is_lost]
    lost = [one for one in everybody if one.is_lost]
    money = sum(one.revenue for one in caught) / sum(one.revenue for one in lost)
    lead = f"{median(_lead_days(warned, days)):.0f}" if caught and name != "no level" else "–"
    return (
        f"| {name} | {len(warned):,} ({len(warned) / len(everybody):.1%}) | {len(caught) / len(warned):.1%}"
        f" | {len(caught) / len(lost):.1%} | {money:.1%} | {lead} |"
    )


def _lead_days(warned: Sequence[Judged], days: Sequence[date]) -> Iterator[int]:
    """Days from the first of the unbroken days on which a lost customer was warned until it counts as lapsed."""
    by_customer: dict[str, set[date]] = defaultdict(set)
    for one in warned:
        by_customer[one.customer_id].add(one.as_of_date)
    for one in warned:
        if one.is_lost:
            place = days.index(one.as_of_date)
            while place and days[place - 1] in by_customer[one.customer_id]:
                place -= 1
            yield (one.lapses_on - days[place]).days


def _dates(levels: Mapping[str, Sequence[Judged]], days: Sequence[date]) -> Iterator[str]:
    yield "| | " + " | ".join(levels) + " |"
    yield "|---" * (len(levels) + 1) + "|"
    for day in days:
        cells = []
        for warned in levels.values():
            there = [one.is_lost for one in warned if one.as_of_date == day]
            cells.append(f"{sum(there) / len(there):.0%} of {len(there):,}" if there else "–")
        yield f"| {day} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
