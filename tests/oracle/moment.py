"""The moment a run judges: what is visible, which day it is and which months are closed (0002.1 to 0002.5)."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from typing import Self
from zoneinfo import ZoneInfo


def month_of(day: date) -> int:
    """The calendar month of a day as a running number, so that months can be added and compared."""
    return day.year * 12 + day.month - 1


def first_day(month: int) -> date:
    """The first day of a running month."""
    return date(month // 12, month % 12 + 1, 1)


def last_day(month: int) -> date:
    """The last day of a running month."""
    first = first_day(month)
    return first.replace(day=monthrange(first.year, first.month)[1])


def hours_between(start: datetime, end: datetime) -> Fraction:
    """Elapsed hours; by way of UTC, since Python subtracts wall clocks within one time zone."""
    return Fraction((end.astimezone(UTC) - start.astimezone(UTC)) // timedelta(microseconds=1), 3_600_000_000)


@dataclass(frozen=True)
class Moment:
    """As-of date, cut-off (UTC, exclusive) and the company's time zone."""

    as_of_date: date
    cutoff: datetime
    time_zone: ZoneInfo

    @classmethod
    def midnight_after(cls, as_of_date: date, time_zone: ZoneInfo) -> Self:
        """The moment of a daily run: the midnight after its date (0002.1)."""
        midnight = datetime.combine(as_of_date + timedelta(days=1), time(), time_zone)
        return cls(as_of_date, midnight.astimezone(UTC), time_zone)

    @classmethod
    def at(cls, cutoff: datetime, time_zone: ZoneInfo) -> Self:
        """The moment of an intraday run: its date is that of the last instant before the cut-off (0002.1)."""
        cutoff = cutoff.astimezone(UTC)
        return cls((cutoff - timedelta(microseconds=1)).astimezone(time_zone).date(), cutoff, time_zone)

    def has_seen(self, happened: date | datetime | None) -> bool:
        """Whether a timestamp or a date has happened and is visible (0002.2, 0002.5); null has not."""
        if isinstance(happened, datetime):
            return happened < self.cutoff
        return happened is not None and happened <= self.as_of_date

    def local_date(self, instant: datetime) -> date:
        """The day of an instant in the company's time zone."""
        return instant.astimezone(self.time_zone).date()

    def days_since(self, day: date) -> int:
        """Days from a date to the as-of date."""
        return (self.as_of_date - day).days

    def last_days(self, count: int) -> tuple[date, date]:
        """First and last local date of the last so many days, the as-of date included (0002.16, 0002.17)."""
        return self.as_of_date - timedelta(days=count - 1), self.as_of_date

    @property
    def day_of_cutoff(self) -> date:
        """The local date of the cut-off itself: after a daily run's as-of date, and not over within a day (0002.34)."""
        return self.cutoff.astimezone(self.time_zone).date()

    def closed_months(self, count: int, before: int = 0) -> range:
        """So many closed months, those that end `before` months before the month of the cut-off (0002.3)."""
        end = month_of(self.day_of_cutoff) - before
        return range(end - count, end)

    def months_up_to_now(self, count: int) -> tuple[date, date]:
        """First and last day of so many closed months and the open one up to the cut-off (0002.26)."""
        return first_day(month_of(self.day_of_cutoff) - count), self.as_of_date
