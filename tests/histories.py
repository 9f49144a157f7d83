"""Random small worlds in contract shape for property tests, thick with what rules and calendars easily get wrong.

A world is 10 to 40 customers; each lives through a few *chapters* (a rhythm of orders, a debt, a burst of complaints),
and every chapter aims at edges: exact thresholds, month ends, leap days, stamps near local midnight, things that
happened just after the cut-off.
Hypothesis draws the customers, chapters and a seed each, so a failing world shrinks to few customers with few chapters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from chapters import DEMAND, INDUSTRIES, OTHER, Chapter, Pen, is_looked_after, offer_products, sell_products
from oracle import Moment
from oracle.world import COLUMNS, row

SHANGHAI = ZoneInfo("Asia/Shanghai")

AS_OF_DATES = (
    date(2025, 6, 30),  # month end: June has just closed
    date(2025, 7, 1),
    date(2025, 5, 15),
    date(2024, 2, 29),  # leap day
    date(2024, 3, 1),
    date(2025, 2, 28),
    date(2024, 12, 31),
    date(2025, 3, 30),
)
REGIONS = ("north", "south", None)
ALL_CHAPTERS = (*DEMAND, *OTHER)
OPTIONAL_DATA_SETS = tuple(data_set for data_set in COLUMNS if data_set != "sales.customers")


@dataclass(frozen=True)
class History:
    """A world, the moment to judge and the earlier as-of dates whose runs came before it, oldest first."""

    world: Mapping[str, list[dict[str, Any]]]
    moment: Moment
    earlier_dates: tuple[date, ...]

    @property
    def moments(self) -> list[Moment]:
        """The moments of all runs of the chain, the last one included."""
        zone = self.moment.time_zone
        return [*(Moment.midnight_after(day, zone) for day in self.earlier_dates), self.moment]


@st.composite
def histories(
    draw: st.DrawFn,
    *,
    least_customers: int = 10,
    most_customers: int = 40,
    time_zones: tuple[ZoneInfo, ...] = (SHANGHAI,),
    with_intraday: bool = False,
    with_absent_data_sets: bool = True,
    with_orphans: bool = False,
) -> History:
    """A random history; `with_intraday` adds cut-offs within a day, `with_orphans` rows of unknown customers."""
    zone = draw(st.sampled_from(time_zones))
    moment = Moment.midnight_after(draw(st.sampled_from(AS_OF_DATES)), zone)
    if with_intraday and draw(st.booleans()):
        moment = Moment.at(moment.cutoff - timedelta(minutes=draw(st.integers(1, 24 * 60 - 1))), zone)
    rows: dict[str, list[dict[str, Any]]] = {data_set: [] for data_set in COLUMNS}
    segments = draw(
        st.sampled_from(((None,), ("retail",), ("retail", "retail", "retail", "retail", None), ("a", "b", None)))
    )
    first_chapter = draw(st.integers(0, len(ALL_CHAPTERS) - 1))
    count = draw(st.integers(least_customers, most_customers))
    for number in range(count):
        pen = Pen(f"C{number:02}", moment, Random(draw(st.integers(0, 2**32 - 1))), rows)
        rows["sales.customers"].append(
            row(
                "sales.customers",
                customer_id=pen.customer_id,
                name=f"Customer {number}",
                segment=pen.random.choice(segments),
                industry=pen.random.choice(INDUSTRIES),
                region=REGIONS[number % len(REGIONS)],
                customer_since=pen.random.choice((None, None, pen.day(700), pen.day(0), pen.day(-1))),
                owner_email=pen.random.choice((None, "lin@example.com", "lin@example.com", "wu@example.com")),
            )
        )
        _live(pen, draw(_lives(ALL_CHAPTERS[(first_chapter + number) % len(ALL_CHAPTERS)])))
        is_looked_after(pen)
    if with_orphans:
        _live(Pen("nobody", moment, Random(draw(st.integers(0, 2**32 - 1))), rows), list(ALL_CHAPTERS))
    offer_products(rows)
    sell_products(rows, Random(len(rows["sales.orders"])))
    return History(_delivered(draw, rows, with_absent_data_sets), moment, draw(_earlier_dates(moment.as_of_date)))


def _lives(alone: Chapter) -> st.SearchStrategy[list[Chapter]]:
    """One chapter alone, in turn, so that no edge is missing and none is blurred; or several that meet."""
    several = st.tuples(
        st.lists(st.sampled_from(DEMAND), max_size=2), st.lists(st.sampled_from(OTHER), min_size=1, max_size=3)
    ).map(lambda each: each[0] + each[1])
    return st.one_of(st.just([alone]), several)


def _live(pen: Pen, chapters: list[Chapter]) -> None:
    for chapter in chapters:
        chapter(pen)


def _delivered(
    draw: st.DrawFn, rows: dict[str, list[dict[str, Any]]], with_absent: bool
) -> Mapping[str, list[dict[str, Any]]]:
    """Most worlds deliver everything; in some a data set is empty or, if allowed, absent."""
    empty = draw(st.one_of(st.just(set[str]()), st.sets(st.sampled_from(OPTIONAL_DATA_SETS), max_size=1)))
    absent = draw(st.one_of(st.just(set[str]()), st.sets(st.sampled_from(OPTIONAL_DATA_SETS), max_size=2)))
    return {
        data_set: [] if data_set in empty else records
        for data_set, records in rows.items()
        if not (with_absent and data_set in absent)
    }


def _earlier_dates(as_of_date: date) -> st.SearchStrategy[tuple[date, ...]]:
    """Up to four earlier runs, some just inside and some just outside the cool-down of seven days."""
    days_ago = st.sets(st.sampled_from((1, 2, 6, 7, 8, 14)), max_size=4)
    return days_ago.map(lambda each: tuple(as_of_date - timedelta(days=days) for days in sorted(each, reverse=True)))
