"""What people did about a customer, whether it was warned of or not."""

from datetime import timedelta

from .pen import Pen

OUTCOMES = ("contacted", "plan_agreed", "recovered", "lost", "false_alarm", "note")


def is_looked_after(pen: Pen) -> None:
    """Actions around the runs of the last weeks: notes, follow-up days, corrections, cases that are not there."""
    done: list[str] = []
    for _ in range(pen.random.choice((0, 1, 1, 2, 4))):
        day = pen.day(pen.random.choice((0, 0, 1, 2, 5, 6, 7, 8, 13, 20)))
        opened_on = pen.day(pen.random.choice((0, 1, 2, 6, 7, 8, 14)))
        done.append(
            pen.write(
                "handling.actions",
                case_id=pen.random.choice((None, None, f"{pen.customer_id}-{opened_on:%Y%m%d}")),
                taken_at=pen.instant(day),
                department="sales",
                actor="Lin",
                outcome=pen.random.choice(OUTCOMES),
                follow_up_on=pen.random.choice((None, None, day, day + timedelta(days=1), day + timedelta(days=30))),
                corrects_action_id=pen.random.choice((None, None, None, *done[-1:])),
            )
        )
