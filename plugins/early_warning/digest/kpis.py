"""The figures that management reads: how the company's customers and its warnings did, month by month."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from psycopg.rows import class_row

from early_warning.warehouse import Connection

_MONTHS = 12


@dataclass(frozen=True)
class MonthOfKpis:
    """A month as bi.company_health and bi.warning_kpis know it by now (docs/kpis.md); None: not known yet.

    Counts are of customers; ratios lie between 0 and 1; money in the company's currency. `lost` of the month's active
    customers went within the horizon, `caught` of them were warned of before. Without data on handling nobody
    knows who acted.
    """

    month: date
    active: int | None
    churn_ratio: Decimal | None
    csat_mean: Decimal | None
    nps: Decimal | None
    dso_days: Decimal | None
    overdue_over_90_amount: Decimal | None
    warned: int | None
    timely_handling_ratio: Decimal | None
    win_back_ratio: Decimal | None
    adjusted_accuracy_ratio: Decimal | None
    lost: int | None
    caught: int | None


def read_kpis(connection: Connection) -> Sequence[MonthOfKpis]:
    """Read the last twelve months, oldest first, up to the newest that was published."""
    with connection.cursor(row_factory=class_row(MonthOfKpis)) as cursor:
        months = cursor.execute(
            "select month, health.active_count as active, health.churn_ratio, health.csat_mean, health.nps,"
            " health.dso_days, health.overdue_over_90_amount, kpis.warned_count as warned,"
            " case when handling.is_known then kpis.timely_handling_ratio end as timely_handling_ratio,"
            " case when handling.is_known then kpis.win_back_ratio end as win_back_ratio,"
            " kpis.adjusted_accuracy_ratio,"
            " case when kpis.matured_count > 0 then kpis.lost_count end as lost,"
            " case when kpis.matured_count > 0 then kpis.caught_count end as caught"
            " from (select * from bi.company_health where dimension = 'all') as health"
            " full join (select * from bi.warning_kpis where dimension = 'all') as kpis using (month)"
            " cross join (select exists (select from ops.batch where data_set = 'handling.actions'"
            "  and state = 'accepted') as is_known) as handling"
            " order by month desc limit %s",
            (_MONTHS,),
        ).fetchall()
    return months[::-1]
