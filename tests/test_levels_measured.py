"""What docs/levels-measured.md says of levels, on a company small enough to count by hand."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from benchmarks.levels import Company, Judged, _section

COMPANY = Company("shop", Path("shop"), date(2026, 1, 31), 2)
JANUARY, FEBRUARY = COMPANY.days


def judged(
    customer_id: str, day: date, level: int, *, silence: int, revenue: int, lost: bool, fluctuates: bool = False
) -> Judged:
    """A customer that counts as lapsed 60 days after January's end."""
    return Judged(customer_id, day, level, fluctuates, silence, Decimal(revenue), lost, JANUARY + timedelta(days=60))


EVERYBODY = [
    judged("stays warned", JANUARY, 1, silence=30, revenue=900, lost=True),
    judged("stays warned", FEBRUARY, 1, silence=58, revenue=900, lost=True),
    judged("false alarm", JANUARY, 2, silence=40, revenue=500, lost=False),
    judged("silent", JANUARY, 4, silence=95, revenue=100, lost=True),
    judged("silent", FEBRUARY, 3, silence=123, revenue=100, lost=True),
    judged("only complains", FEBRUARY, 3, silence=5, revenue=700, lost=False, fluctuates=True),
    judged("calm", JANUARY, 4, silence=3, revenue=300, lost=False),
    judged("calm", FEBRUARY, 4, silence=90, revenue=300, lost=False),
]


def lines() -> dict[str, list[list[str]]]:
    """Cells of the tables' lines by their first one, in order."""
    found: dict[str, list[list[str]]] = {}
    for line in _section(EVERYBODY, COMPANY):
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        found.setdefault(name, []).append(cells)
    return found


def test_days_are_month_ends() -> None:
    assert [date(2026, 1, 31), date(2026, 2, 28)] == [JANUARY, FEBRUARY]


def test_levels_are_counted_with_precision_recall_revenue_and_lead_time() -> None:
    told = lines()
    assert "8 times a customer was judged active, 4 of them it was lost (50.0%)." in next(iter(told))
    assert told["level 1"] == [["2 (25.0%)", "100.0%", "50.0%", "90.0%", "60"]], "both ends from January's on"
    assert told["level 2"] == [["1 (12.5%)", "0.0%", "0.0%", "0.0%", "–"]]
    assert told["level 3"] == [["1 (12.5%)", "100.0%", "25.0%", "5.0%", "32"]], "not warned in January"
    assert told["level 3, `service_fluctuation` alone"] == [["1 (12.5%)", "0.0%", "0.0%", "0.0%", "–"]]
    assert told["no level"] == [["3 (37.5%)", "33.3%", "25.0%", "5.0%", "–"]]


def test_levels_stand_beside_as_many_of_the_longest_silent_of_the_same_day() -> None:
    told = lines()
    assert told["levels 1 and 2"] == [["3 (37.5%)", "66.7%", "50.0%", "90.0%", "60"]]
    assert told["levels 1 to 3 without `service_fluctuation`"] == [["4 (50.0%)", "75.0%", "75.0%", "95.0%", "60"]]
    # January: silent and false alarm. February: silent; for the second number calm too.
    beside = told["… longest silent first, as many a day"]
    assert [cells[:4] for cells in beside] == [
        ["3 (37.5%)", "66.7%", "50.0%", "10.0%"],
        ["4 (50.0%)", "50.0%", "50.0%", "10.0%"],
    ]
    assert told["no order for 90 days"] == [["2 (25.0%)", "100.0%", "50.0%", "10.0%", "60"]], "90 days are not enough"


def test_share_lost_is_told_for_every_date() -> None:
    told = lines()
    assert told["2026-01-31"] == [["100% of 1", "0% of 1", "–", "–", "50% of 2"]]
    assert told["2026-02-28"] == [["100% of 1", "–", "100% of 1", "0% of 1", "0% of 1"]]
