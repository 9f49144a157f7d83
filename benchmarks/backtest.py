"""Judge the newest month ends before the first published day once more, in one process as the command does it.

    python -m benchmarks.backtest 24

uses the home and the warehouse of $EARLY_WARNING_HOME and prints what judging and scoring them cost.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from datetime import timedelta

from benchmarks.generate import HISTORY_ENDS, ZONE
from benchmarks.measure import measured
from early_warning.backtest import backtest, month_ends
from early_warning.embedded.postgres import running_postgres
from early_warning.runs import Moment
from early_warning.settings import home

_HORIZON = 90  # days


def main() -> None:
    """Back-test the one stored policy and print what it cost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backtest", description=main.__doc__)
    parser.add_argument("dates", type=int, help="how many month ends")
    dates = parser.parse_args().dates
    ends = month_ends(HISTORY_ENDS - timedelta(days=31 * (dates + 1)), HISTORY_ENDS)[-dates - 1 : -1]
    moments = [Moment.of_day(day, ZONE) for day in ends]
    with running_postgres(home()) as warehouse:
        [policy] = warehouse.rows("select policy_hash from policy.policy")
        with measured(warehouse) as cost:
            result = backtest(
                warehouse,
                policy["policy_hash"],
                moments,
                horizon_days=_HORIZON,
                in_force=policy["policy_hash"],
                tell=lambda line: print(line, file=sys.stderr),
            )
    json.dump({"dates": len(result.days), **asdict(cost)}, sys.stdout)


if __name__ == "__main__":
    main()
