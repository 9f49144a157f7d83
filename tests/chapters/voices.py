"""Chapters of what customers say: complaints, questions, surveys, feedback, visits."""

from datetime import timedelta
from decimal import Decimal

from .pen import Pen, month_before


def complains(pen: Pen) -> None:
    """A burst of complaints around the edges of the 90 days, or one or more in every month."""
    if pen.random.random() < 1 / 2:
        for _ in range(pen.random.choice((1, 2, 3, 4))):
            pen.ticket("complaint", pen.instant(pen.day(pen.random.choice((0, 1, 45, 88, 89, 90)))), timedelta(hours=3))
        return
    for back in range(pen.random.choice((2, 3, 10))):
        first, last = month_before(pen.moment.as_of_date + timedelta(days=1), back + 1)
        for _ in range(pen.random.choice((0, 1, 1, 2))):
            pen.ticket("complaint", pen.instant(pen.random.choice((first, last))), timedelta(hours=1))


def asks_for_help(pen: Pen) -> None:
    """Tickets around the edges of the 30 days: answered exactly on the standard, late, after the cut-off or never."""
    for _ in range(pen.random.choice((1, 1, 2, 4))):
        opened_at = pen.instant(pen.day(pen.random.choice((0, 1, 3, 28, 29, 30))))
        hours = pen.random.choice((0, 4, 8, 24, 72, Decimal("4.8"), Decimal("28.8"), 31 * 24, None))
        kind = pen.random.choice(("inquiry", "complaint", "feedback"))
        pen.ticket(kind, opened_at, timedelta(hours=float(hours)) if hours is not None else None)


def answers_surveys(pen: Pen) -> None:
    """Scores on several scales, unexpired, expired, after the cut-off, two at the same instant, and an NPS."""
    for _ in range(pen.random.choice((1, 2, 2, 3))):
        answered_at = pen.instant(pen.day(pen.random.choice((-1, 0, 10, 90, 179, 180, 181, 300))))
        for _ in range(pen.random.choice((1, 1, 2))):
            pen.survey(answered_at)
    if pen.random.random() < 1 / 3:
        pen.survey(pen.instant(pen.day(1)), kind="nps")


def keeps_in_touch(pen: Pen) -> None:
    """So many contacts a month, then exactly a share of them or just less; a baseline at, just below the least one."""
    channels = pen.random.choice((("phone", "email", "visit", "social"), ("web",), ("web",), ("phone", "web", "other")))
    usual, fallen = pen.random.choice(((2, 1), (2, 0), (4, 2), (4, 1), (10, 7), (10, 5), (10, 6), (1, 0), (2, 2)))
    months, fallen_months = pen.random.choice((6, 7, 8)), pen.random.choice((1, 2, 3, 3, 3, 4))
    pen.live_since(months)
    for back in range(1, months + 1):
        one_less = back == months and pen.random.random() < 1 / 3
        for number in range(fallen if back <= fallen_months else usual - one_less):
            occurred_at = pen.instant(pen.random.choice(pen.month(back)))
            if number == 0 and pen.random.random() < 1 / 5:
                pen.ticket("inquiry", occurred_at, timedelta(hours=1))
            else:
                pen.write("sales.interactions", occurred_at=occurred_at, channel=pen.random.choice(channels))
    for seconds in (-1, 0):
        occurred_at = pen.moment.cutoff + timedelta(seconds=seconds)
        pen.write("sales.interactions", occurred_at=occurred_at, channel=channels[0])


def recommends_us(pen: Pen) -> None:
    """Recommendations at and between the limits on several scales, expired, unseen, two at the same instant."""
    pen.live_since(1)
    for _ in range(pen.random.choice((1, 2, 2, 3))):
        answered_at = pen.instant(pen.day(pen.random.choice((-1, 0, 1, 100, 364, 365, 366))))
        for _ in range(pen.random.choice((1, 1, 1, 2))):
            low, high = pen.random.choice(((0, 10), (0, 10), (0, 100), (1, 7), (0, 3), (-5, 5)))
            of_ten = Decimal(pen.random.choice(("6", "6", "7", "6.5", "6.01", "0", "10")))
            score = low + of_ten * (high - low) / 10
            numbers = {"score": score, "scale_min": Decimal(low), "scale_max": Decimal(high)}
            pen.write("service.surveys", answered_at=answered_at, kind="nps", **numbers)


def grumbles(pen: Pen) -> None:
    """Negative feedback at exactly a factor of the baseline, on a baseline of none, at the edges of the 30 days."""
    months = pen.random.choice((4, 5, 6, 8))
    usual = pen.random.choice((0, 0, 1, 2))
    pen.live_since(months)
    days = [pen.random.choice(pen.month(back)) for back in range(3, months + 1) for _ in range(usual)]
    for _ in range(pen.random.choice((0, 1, 2, 2, 2, 3, 3, 4, 5))):
        days.append(pen.day(pen.random.choice((0, 1, 29, 29, 30))))
    for day in days:
        sentiment = pen.random.choice(("negative",) * 30 + ("neutral", "positive", None))
        kind = pen.random.choice(("feedback",) * 19 + ("inquiry",))
        pen.ticket(kind, pen.instant(day), timedelta(hours=2), sentiment=sentiment)
