"""The oracle: the indicators, customer states and warning levels once more, straight from the written rules.

It is the reference the SQL is compared with, so it is written to be read: plain loops over rows, exact fractions, one
function a rule. Clauses are cited as D§n (the domain page) and 0002.n (the points of decision 0002).

    policy = Policy.read(Path("company/policy"))
    moment = Moment.midnight_after(date(2025, 6, 30), ZoneInfo("Asia/Shanghai"))
    run = judge(world, moment, policy)            # one run, no memory: states, indicators, raw levels
    held = follow([earlier_run, run], policy)     # consecutive runs: warning levels with hysteresis
    cases = follow_cases([earlier_run, run], held, policy)  # and the life of each warning
    settled = settle([earlier_run, run], held, cases, policy)  # what became of those warned and not warned
    health = company_health([earlier_run, run], policy)  # the company after each run
"""

from .cases import Case, follow_cases
from .customers import World
from .health import Health, company_health
from .hysteresis import Held, follow
from .indicators import IndicatorResult
from .kpis import kpis
from .moment import Moment
from .outcomes import Settled, settle
from .policy import Policy
from .run import CustomerResult, Run, judge
from .world import Batch, read_world, world_of

__all__ = [
    "Batch",
    "Case",
    "CustomerResult",
    "Health",
    "Held",
    "IndicatorResult",
    "Moment",
    "Policy",
    "Run",
    "Settled",
    "World",
    "company_health",
    "follow",
    "follow_cases",
    "judge",
    "kpis",
    "read_world",
    "settle",
    "world_of",
]
