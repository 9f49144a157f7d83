"""The indicators, a module a family: the function of each, and the data sets it can't do without (D§3, 0002.19)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .arrears import late_payment_rate, overdue_days, overdue_ratio
from .credit import credit_score, credit_utilization, order_fulfilment
from .demand import average_order_value, days_since_last_order, order_amount, order_frequency, rhythm_break
from .engagement import interaction_frequency, web_activity
from .market import churn_probability, competitor_activity, policy_change
from .quality import delivery_punctuality, return_rate
from .reading import Facts, IndicatorResult, Reading, decide
from .satisfaction import negative_feedback, net_promoter, satisfaction
from .service import complaint_rate, response_time

__all__ = ["ARREARS", "DEFINITIONS", "Definition", "Facts", "IndicatorResult", "decide"]


@dataclass(frozen=True)
class Definition:
    """An indicator's function, the data sets it can't do without, and its measures, all null without them (0002.19)."""

    read: Callable[[Facts], Reading]
    needs: frozenset[str]
    measures: tuple[str, ...] = ()


NOTHING: frozenset[str] = frozenset()
"""The platform's own scores, if there are none: no_data all the same (0002.41)."""
ORDERS, RETURNS = frozenset({"sales.orders"}), frozenset({"sales.returns"})
INTERACTIONS = frozenset({"sales.interactions"})
COMPETITORS, POLICIES = frozenset({"sales.competitor_signals"}), frozenset({"sales.policy_signals"})
TICKETS, SURVEYS = frozenset({"service.tickets"}), frozenset({"service.surveys"})
ARREARS = frozenset({"finance.invoices", "finance.payments"})
CREDIT_TERMS = frozenset({"finance.credit_terms"})
CHURN_SCORES = frozenset({"model.churn_scores"})

DEFINITIONS: Mapping[str, Definition] = {
    "order_frequency": Definition(order_frequency, ORDERS),
    "order_amount": Definition(order_amount, ORDERS),
    "average_order_value": Definition(average_order_value, ORDERS),
    "days_since_last_order": Definition(
        days_since_last_order, ORDERS, ("silence_days", "usual_gap_days", "silence_ratio")
    ),
    "rhythm_break": Definition(rhythm_break, ORDERS, ("is_class_a",)),
    "interaction_frequency": Definition(interaction_frequency, INTERACTIONS),
    "web_activity": Definition(web_activity, INTERACTIONS),
    "overdue_days": Definition(overdue_days, ARREARS, ("overdue_days",)),
    "overdue_ratio": Definition(overdue_ratio, ARREARS | ORDERS, ("overdue_ratio",)),
    "late_payment_rate": Definition(late_payment_rate, ARREARS, ("late_invoices",)),
    "credit_score": Definition(credit_score, NOTHING),
    "credit_utilization": Definition(credit_utilization, ARREARS | CREDIT_TERMS, ("credit_limit",)),
    "order_fulfilment": Definition(order_fulfilment, ORDERS, ("cancelled_orders",)),
    "delivery_punctuality": Definition(delivery_punctuality, ORDERS, ("late_orders",)),
    "return_rate": Definition(return_rate, RETURNS | ORDERS, ("return_count",)),
    "complaint_rate": Definition(complaint_rate, TICKETS | ORDERS, ("complaints_90d",)),
    "response_time": Definition(response_time, TICKETS),
    "satisfaction": Definition(satisfaction, SURVEYS, ("latest_score",)),
    "net_promoter": Definition(net_promoter, SURVEYS),
    "negative_feedback": Definition(negative_feedback, TICKETS),
    "competitor_activity": Definition(competitor_activity, COMPETITORS),
    "policy_change": Definition(policy_change, POLICIES),
    "churn_probability": Definition(churn_probability, CHURN_SCORES),
}
