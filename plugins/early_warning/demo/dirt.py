"""The few damaged rows that every real export has, so that quarantine is seen to work."""

from __future__ import annotations

from datetime import date

from early_warning.demo.timeline import export_periods
from early_warning.settings import SimulationPlan

_DUPLICATE = "T9000001,C000020,inquiry,P3,,,,{day}T02:14:09Z,{day}T03:20:41Z,{day}T06:02:30Z,{day}T06:02:30Z"
# Table, which export from the beginning on, line: year 0202, amount below zero, orphans, unknown words, a duplicate
_LINES = (
    ("orders", 3, "SO90000001,C000011,0202-{day:%m-%d} 10:12:00,18600,{day} 18:00:00,,,,{day} 10:12:00"),
    ("orders", 8, "SO90000002,C000015,{day} 11:40:00,-4300,{day} 18:00:00,,,,{day} 11:40:00"),
    ("orders", 12, "SO90000003,C999999,{day} 15:05:00,9200,{day} 18:00:00,,,,{day} 15:05:00"),
    ("returns", 9, "TH9000001,SO00000001,C999998,P006,{day} 10:00:00,120,质量问题,{day} 10:00:00"),
    ("interactions", 6, "HD90000001,C000012,{day} 09:30:00,传真,,{day} 09:30:00"),
    ("tickets", 10, _DUPLICATE),
    ("tickets", 10, _DUPLICATE),
    ("tickets", 11, "T9000002,C000021,feedback,P4,,furious,,{day}T03:20:00Z,{day}T05:01:00Z,,{day}T05:01:00Z"),
)


def lines(plan: SimulationPlan, table: str, first: date, last: date) -> list[str]:
    """Return the damaged lines of `table` in the exports that close with a day from `first` to `last`."""
    closing = [end for _, end in export_periods(plan)]
    return [
        line.format(day=closing[number])
        for name, number, line in _LINES
        if name == table and first <= closing[number] <= last
    ]
