"""How good the shipped policy is on the past of three companies; fills in docs/policy-quality.md.

    python -m benchmarks.policy_quality [demo] [marketplace_sellers] [wholesaler]

Each company's whole history lands in a home of its own, its days are back-tested by the shipped policy, and the last
third of them is told apart: the policy was chosen on days whose horizon ends before it. A company whose data is not
there keeps its section as it is.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

from psycopg.rows import dict_row

from benchmarks import report
from benchmarks.measure import entered_home
from early_warning import policy
from early_warning.backtest import backtest, month_ends, week_ends
from early_warning.backtest.report import as_json
from early_warning.embedded.postgres import remove_postgres, running_postgres
from early_warning.runs import Moment
from early_warning.settings import PROJECT, load_company
from early_warning.warehouse import Warehouse

HORIZONS = (90, 180)  # days
_PAGE = PROJECT / "docs" / "policy-quality.md"
_SHARED = Path(os.environ.get("EARLY_WARNING_SHARED_DATA", PROJECT.parent / "shared" / "data"))
_OTHERS = PROJECT / "tests" / "companies"
_GROUPS = {"1": "level 1", "2": "level 2", "3": "level 3", "none": "no level", "1-2": "levels 1 and 2"}
_ALL = {"1-3": "levels 1 to 3"}
_POINTS_ALLOWED = 2  # of precision, below the longest silent
_MORE_REVENUE = 1 / 3
_MOST = {"1": 0.04, "2": 0.15}  # of the active customers may hold the level

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Company:
    """Whose past is judged: from the month of `first` on, on all days of which the newest data tell what came of them.

    `begins` and `newest`: first and last day of the history. Without `data` it makes its own.
    """

    name: str
    folder: Path
    begins: date
    first: date
    newest: date
    is_weekly: bool = False
    data: Path | None = None

    @property
    def last_third(self) -> date:
        """The first day of the last third of the history."""
        return self.begins + (self.newest - self.begins) * 2 // 3

    def days(self, horizon_days: int) -> list[date]:
        """The as-of dates whose horizon is over, oldest first."""
        days = (week_ends if self.is_weekly else month_ends)(self.first, self.newest)
        return [day for day in days if day + timedelta(days=horizon_days) <= self.newest]

    def chosen_on(self, horizon_days: int) -> list[date]:
        """Those that the policy may be chosen on: their horizon ends before the last third begins."""
        return [day for day in self.days(horizon_days) if day + timedelta(days=horizon_days) < self.last_third]

    def held_out(self, horizon_days: int) -> list[date]:
        """Those of the last third."""
        return [day for day in self.days(horizon_days) if day >= self.last_third]


COMPANIES = (
    Company("demo", PROJECT / "company", date(2023, 7, 1), date(2024, 7, 1), date(2026, 6, 30)),
    Company(
        "marketplace_sellers",
        _OTHERS / "marketplace_sellers",
        date(2016, 10, 1),
        date(2017, 2, 1),
        date(2018, 8, 31),
        data=_SHARED / "marketplace_sellers",
    ),
    Company(
        "wholesaler",
        _OTHERS / "wholesaler",
        date(2010, 12, 1),
        date(2011, 3, 1),
        date(2011, 8, 31),
        is_weekly=True,  # nine months in all: month ends would be three
        data=_SHARED / "wholesaler",
    ),
)


def main() -> None:
    """Judge the companies named, or all, and rewrite their sections of the page."""
    os.environ["EARLY_WARNING_SHARED_DATA"] = str(_SHARED)
    for company in COMPANIES:
        if sys.argv[1:] and company.name not in sys.argv[1:]:
            continue
        if company.data and not company.data.is_dir():
            print(f"{company.name}: no data in {company.data}, left out", file=sys.stderr)
            continue
        text = "\n".join(_section(company))
        _PAGE.write_text(report.replaced(_PAGE.read_text(encoding="utf-8"), company.name, text), encoding="utf-8")
        print(text)


def _section(company: Company) -> Iterator[str]:
    with (
        tempfile.TemporaryDirectory(prefix="early-warning-policy-") as folder,
        entered_home(Path(folder) / "home") as home,
    ):
        try:
            early_warning = str(Path(sys.executable).with_name("early-warning"))
            command = [early_warning, "run", "--company", str(company.folder), "--as-of", company.newest.isoformat()]
            subprocess.run(command, check=True, stdout=sys.stderr)
            before = _policy_before(Path(folder) / "before")
            with running_postgres(home) as warehouse:
                for horizon in HORIZONS:
                    yield from _horizon(warehouse, company, horizon, before)
                if company.data is None:
                    yield from _truth(warehouse, company, home / "demo" / "truth.csv")
                    yield from _defaults(warehouse, company)
        finally:
            remove_postgres(home)


def _policy_before(folder: Path) -> Path:
    """The policy that was shipped before it was measured: a rhythm from the third order day on, and no caps."""
    shutil.copytree(PROJECT / "company" / "policy", folder)
    for name, was, now in (
        ("indicator_parameters", "days_since_last_order,min_order_days,3,", "days_since_last_order,min_order_days,1,"),
        ("hysteresis_and_budget", "level_1_cap,1", "level_1_cap,0.04"),
        ("hysteresis_and_budget", "level_2_cap,1", "level_2_cap,0.15"),
    ):
        path = folder / f"{name}.csv"
        text = path.read_text(encoding="utf-8")
        assert text.count(now) == 1, f"{name}.csv no longer says {now}"
        path.write_text(text.replace(now, was), encoding="utf-8")
    return folder


def _judged(
    warehouse: Warehouse, company: Company, days: Sequence[date], horizon: int, folder: Path | None = None
) -> Row:
    """The back-test of some days by a policy (the company's own, if none is named), as `backtest --json` tells it."""
    [in_force] = warehouse.rows("select policy_hash from ops.run order by run_id desc limit 1")
    trial = policy.load(folder or company.folder / "policy")
    policy.store(warehouse, trial)
    zone = load_company(company.folder).time_zone
    moments = [Moment.of_day(day, zone) for day in days]
    return as_json(
        backtest(
            warehouse,
            trial.policy_hash,
            moments,
            horizon_days=horizon,
            in_force=in_force["policy_hash"],
            tell=lambda line: print(line, file=sys.stderr),
        )
    )


def _horizon(warehouse: Warehouse, company: Company, horizon: int, before: Path) -> Iterator[str]:
    days, held_out, chosen_on = company.days(horizon), company.held_out(horizon), company.chosen_on(horizon)
    yield from (f"### {horizon} days ahead", "")
    if not days:
        yield from ("The history is too short: no date has its horizon behind it.", "")
        return
    if held_out:
        yield from _table_of(f"**The last third**, {_span(held_out)}", _judged(warehouse, company, held_out, horizon))
    else:
        yield from (f"No date of the last third, which begins on {company.last_third}, has its horizon behind it.", "")
    if chosen_on:
        now, then = (_judged(warehouse, company, chosen_on, horizon, folder) for folder in (None, before))
        yield from (f"**The dates it could be chosen on**, {_span(chosen_on)}: before and now", "")
        yield from _choice({"three order days, no caps": then, "shipped": now})
    everything = _judged(warehouse, company, days, horizon)
    yield from _table_of(f"**All dates**, {_span(days)}", everything)
    yield from _cohorts(everything)
    yield from _early_notice(everything)
    yield from _dates(everything, company.last_third)


def _span(days: Sequence[date]) -> str:
    return f"{days[0]} to {days[-1]} ({len(days)} date{'s' if len(days) > 1 else ''})"


def _table_of(title: str, told: Row) -> Iterator[str]:
    cells, pooled = told["cells"], told["pooled"]
    judged, churned = (sum(cell[name] for cell in cells) for name in ("judged", "churned"))
    yield (
        f"{title}: {judged:,} times a customer was judged active, {churned:,} of them it was lost"
        f" ({_of(churned, judged)})."
    )
    yield from ("", "| | warned | lost | 95 % | recall | revenue | … dearest first | lead days |", "|---" * 8 + "|")
    for name, words in (_GROUPS | _ALL).items():
        group = pooled[name]
        low_high = "–".join(f"{100 * bound:.0f}" for bound in group["interval"]) or "–"
        beside = group.get("same_count", {})
        yield _line(
            words,
            f"{group['warned']:,} ({_of(group['warned'], judged)})",
            _percent(group["precision"]),
            low_high,
            _percent(group["recall"]),
            _percent(beside.get("policy", {}).get("revenue_caught")),
            _percent(beside.get("policy", {}).get("revenue_caught_by_money_at_risk")),
            _days(group["lead_days_median"]["policy"] if name != "none" else None),
        )
        if name in ("1-2", "1-3"):
            silent, drawn = beside["recency"], beside["random"]
            yield _line(
                "… as many silent for longest",
                *("", _percent(silent["precision"]), "", "", _percent(silent["revenue_caught"]), ""),
                _days(group["lead_days_median"]["recency"]),
            )
            yield _line(
                "… as many by lot", "", _percent(drawn["precision"]), "", "", _percent(drawn["revenue_caught"]), "", ""
            )
    silent = [cell["silent_90_days"] for cell in cells]
    warned = sum(cell["warned"] for cell in silent)
    lost = sum(round((cell["precision"] or 0) * cell["warned"]) for cell in silent)
    yield _line(
        "no order for 90 days",
        f"{warned:,} ({_of(warned, judged)})",
        _of(lost, warned),
        "",
        _of(lost, churned),
        "",
        "",
        "",
    )
    yield from ("", *_verdict(told), "")


def _verdict(told: Row) -> Iterator[str]:
    """What the default policy has to hold, with its figures; what it misses is said as loudly."""
    pooled, cells = told["pooled"], told["cells"]
    difference = told["difference_to_recency"]
    if difference:
        points = 100 * difference["difference"]
        span = (
            "" if difference["low"] is None else f" ({100 * difference['low']:+.1f} to {100 * difference['high']:+.1f})"
        )
        is_held = _held(points >= -_POINTS_ALLOWED)
        yield f"- (a) precision against as many silent for longest: {points:+.1f} points{span}: {is_held}."
    shares = [share for name in ("1", "2", "3", "none") if (share := pooled[name]["precision"]) is not None]
    is_held = _held(all(one > other for one, other in pairwise(shares)))
    yield f"- (b) shares lost by level: {' > '.join(f'{100 * share:.1f}' for share in shares)}: {is_held}."
    aucs = [cell["auc"] for cell in cells if cell["auc"]["policy"] is not None]
    if aucs:
        ours, silence = (sum(float(each[name]) for each in aucs) / len(aucs) for name in ("policy", "recency"))
        is_held = _held(ours > silence)
        yield f"- (c) as a ranking, mean of dates: {ours:.3f} against {silence:.3f} by silence: {is_held}."
    beside = pooled["1-2"]["same_count"]
    dear, silent = beside["policy"]["revenue_caught_by_money_at_risk"], beside["recency"]["revenue_caught"]
    if dear and silent:
        more = dear / silent - 1
        is_held = _held(more >= _MORE_REVENUE)
        yield f"- (d) lost revenue caught, dearest first, against the longest silent: {100 * more:+.0f} %: {is_held}."
    fullest = {name: max(cell["levels"][name]["warned"] / cell["judged"] for cell in cells) for name in _MOST}
    told_sizes = ", ".join(f"level {name} {_percent(share)}" for name, share in fullest.items())
    is_held = _held(all(fullest[name] <= most for name, most in _MOST.items()))
    yield f"- size of a level on its fullest date: {told_sizes} of the active customers: {is_held}."


def _choice(told: Mapping[str, Row]) -> Iterator[str]:
    yield from (
        "| | level 1 | level 2 | level 3 | no level | levels 1 and 2 | … longest silent | ranking |",
        "|---" * 8 + "|",
    )
    for name, each in told.items():
        pooled = each["pooled"]
        aucs = [float(cell["auc"]["policy"]) for cell in each["cells"] if cell["auc"]["policy"] is not None]
        yield _line(
            name,
            *(
                f"{_percent(pooled[level]['precision'])} of {pooled[level]['warned']:,}"
                for level in (*"123", "none", "1-2")
            ),
            _percent(pooled["1-2"]["same_count"]["recency"]["precision"]),
            f"{sum(aucs) / len(aucs):.3f}" if aucs else "–",
        )
    yield ""


def _cohorts(told: Row) -> Iterator[str]:
    yield from ("<details><summary>By how often a customer has ordered</summary>", "")
    yield from ("| | judged | lost | in levels 1 and 2 | of those lost | … longest silent of them |", "|---" * 6 + "|")
    for row in told["cohorts"]:
        warned = row["warned"]
        yield _line(
            row["cohort"],
            f"{row['judged']:,}",
            _of(row["churned"], row["judged"]),
            f"{warned:,} ({_of(warned, row['judged'])})",
            _of(row["lost"], warned),
            _of(row["recency_lost"], warned),
        )
    yield from ("", "</details>", "")


def _early_notice(told: Row) -> Iterator[str]:
    """(e): what rhythm_break says earlier, and what it costs."""
    rule = next((part for part in told["parts"] if (part["kind"], part["name"]) == ("rule", "rhythm_broken")), None)
    if rule is None:
        yield from ("(e) rhythm_break: nobody on these dates.", "")
        return
    yield (
        f"(e) rhythm_break warned {rule['warned']:,} times, {_of(rule['lost'], rule['warned'])} were lost,"
        f" {_days(rule['lead_days'])} days before they counted as lapsed. Its price: {rule['alone']:,} warnings that no"
        f" other rule gives, {_of(rule['alone_lost'], rule['alone'])} of them lost."
    )
    yield ""


def _dates(told: Row, last_third: date) -> Iterator[str]:
    yield from ("<details><summary>Every date</summary>", "")
    heads = (
        "",
        "judged",
        "lost",
        "level 1",
        "level 2",
        "level 3",
        "no level",
        "levels 1 and 2",
        "longest silent",
        "silent > 90 days",
        "ranking",
        "by silence",
    )
    yield from (_line(*heads), "|---" * len(heads) + "|")
    for cell in told["cells"]:
        levels, both = cell["levels"], cell["cumulative"]["1-2"]
        yield _line(
            f"{cell['as_of_date']}{' *' if cell['as_of_date'] >= last_third else ''}",
            f"{cell['judged']:,}",
            _of(cell["churned"], cell["judged"]),
            *(_share_of(levels[name]) for name in ("1", "2", "3", "none")),
            _share_of(both),
            _percent(cell["same_count"]["1-2"]["recency"]["precision"]),
            _share_of(cell["silent_90_days"]),
            *(
                f"{float(value):.3f}" if (value := cell["auc"][name]) is not None else "–"
                for name in ("policy", "recency")
            ),
        )
    yield from ("", "\\* of the last third", "", "</details>", "")


_TRUTH = """
with judged as (
    select
        customers.customer_id,
        replay.as_of_date,
        customers.level,
        customers.silence_days > 90 as is_silent,
        truth.ends_on <= replay.as_of_date + %(horizon)s as is_lost,
        customers.last_ordered_on + floor(customers.inactivity_limit_days)::integer + 1 - replay.as_of_date as lead_days
    from ops.replayed_customer as customers
    inner join ops.replay as replay on customers.run_id = replay.run_id
    left join unnest(%(customers)s::text[], %(ends)s::date[]) as truth (customer_id, ends_on)
        on customers.customer_id = truth.customer_id
    where replay.as_of_date = any(%(days)s) and replay.policy_hash = %(policy_hash)s
),

groups (name, gravest, mildest) as (
    values ('level 1', 1, 1), ('level 2', 2, 2), ('level 3', 3, 3), ('no level', 4, 4), ('levels 1 to 3', 1, 3),
        ('no order for 90 days', null, null)
)

select
    groups.name,
    count(*) as warned,
    count(*) filter (where judged.is_lost) as lost,
    (select count(*) from judged where is_lost) as lost_in_all,
    percentile_cont(0.5) within group (order by judged.lead_days) filter (where judged.is_lost) as lead_days
from groups
inner join judged
    on judged.level between groups.gravest and groups.mildest or groups.gravest is null and judged.is_silent
group by groups.name, groups.gravest, groups.mildest
order by groups.gravest is null, groups.mildest - groups.gravest, groups.gravest
"""


def _truth(warehouse: Warehouse, company: Company, truth: Path) -> Iterator[str]:
    """The same levels against the fates that the simulation gave: it knows who decided to leave, or can't pay."""
    with truth.open(encoding="utf-8", newline="") as lines:
        ends = {row["customer_id"]: row["leaves_on"] or row["defaults_on"] for row in csv.DictReader(lines)}
    ends = {customer_id: day for customer_id, day in ends.items() if day}
    horizon = HORIZONS[0]
    days = company.days(horizon)
    trial = policy.load(company.folder / "policy").policy_hash
    rows = warehouse.rows(
        _TRUTH, horizon=horizon, customers=[*ends], ends=[*ends.values()], days=days, policy_hash=trial
    )
    yield from (f"### Against the simulation's truth, {horizon} days ahead", "")
    yield (
        f"{_span(days)}. Lost: the customer's fate is to leave or to default, and its last day with us lies before the"
        " end of the horizon."
    )
    yield from ("", "| | warned | precision | recall | lead days |", "|---" * 5 + "|")
    for row in rows:
        lead = row["lead_days"] if row["name"] != "no level" else None
        yield _line(
            row["name"],
            f"{row['warned']:,}",
            _of(row["lost"], row["warned"]),
            _of(row["lost"], row["lost_in_all"]),
            _days(lead),
        )
    yield ""


def _defaults(warehouse: Warehouse, company: Company) -> Iterator[str]:
    """(f): who owes and will not pay, by the rules on arrears and by "two months overdue"."""
    horizon = HORIZONS[0]
    days = company.days(horizon)
    trial = policy.load(company.folder / "policy").policy_hash
    script = files(__package__).joinpath("defaults.sql").read_bytes()
    with warehouse.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(script, {"horizon": horizon, "days": days, "policy_hash": trial}).fetchall()
    yield from (f"### Who will not pay, {horizon} days ahead", "")
    reached = [day for day in days if day + timedelta(days=horizon) <= days[-1] + timedelta(days=2)]
    yield (
        f"{_span(reached)}. Of active customers that are not in default yet, those of whom an invoice becomes more than"
        " 90 days past due, or is written off, within the horizon."
    )
    yield from ("", "| | warned | in default | recall |", "|---" * 4 + "|")
    for row in rows:
        yield _line(
            row["name"],
            f"{row['warned']:,}",
            _of(row["defaulted"], row["warned"]),
            _of(row["defaulted"], row["defaulted_in_all"]),
        )
    yield ""


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _of(part: int, whole: int) -> str:
    return _percent(part / whole if whole else None)


def _share_of(scores: Row) -> str:
    return f"{_percent(scores['precision'], 0)} of {scores['warned']:,}" if scores["warned"] else "–"


def _percent(share: float | None, digits: int = 1) -> str:
    return "–" if share is None else f"{100 * share:.{digits}f}%"


def _days(days: float | None) -> str:
    return "–" if days is None else f"{days:.0f}"


def _held(is_held: bool) -> str:
    return "held" if is_held else "**missed**"


if __name__ == "__main__":
    main()
