"""Chapters of what happens around a customer: competitors, policies, and what a model says."""

from decimal import Decimal

from .pen import Pen

INDUSTRIES = (None, "steel", "textile", "Steel")
"""What a customer's industry may be; policies name the same words, and one that nobody has."""


def is_courted(pen: Pen) -> None:
    """Signals of competitors exactly 60 days ago and a day less, today, tomorrow; with and without interest."""
    pen.live_since(1)
    for _ in range(pen.random.choice((1, 1, 2, 3))):
        pen.write(
            "sales.competitor_signals",
            observed_on=pen.day(pen.random.choice((-1, 0, 30, 59, 59, 60, 61))),
            has_customer_interest=pen.random.choice((True, False, None)),
        )


def is_regulated(pen: Pen) -> None:
    """Policies in force for exactly 180 days and a day more, since today, from tomorrow; seen later; not adverse."""
    pen.live_since(1)
    for _ in range(pen.random.choice((1, 1, 2))):
        effective = pen.random.choice((None, None, -1, 0, 90, 179, 180, 180, 181))
        pen.write(
            "sales.policy_signals",
            industry=pen.random.choice((*INDUSTRIES[1:], "mining")),
            observed_on=pen.day(pen.random.choice((-1, 0, 1, 180, 181, 400))),
            effective_on=None if effective is None else pen.day(effective),
            effect=pen.random.choice(("adverse", "adverse", "neutral", "favourable")),
        )


def is_modelled(pen: Pen) -> None:
    """Probabilities at the thresholds; exactly 90 days old, older, of tomorrow."""
    pen.live_since(1)
    for days_ago in pen.random.sample((-1, 0, 1, 90, 91, 200), pen.random.choice((1, 1, 2, 3))):
        probability = Decimal(pen.random.choice(("0.5", "0.500001", "0.3", "0.300001", "0.9", "0", "1")))
        values = {"probability": probability, "model_version": "1"}
        pen.write("model.churn_scores", scored_on=pen.day(days_ago), **values)
