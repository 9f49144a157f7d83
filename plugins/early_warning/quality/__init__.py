"""The two gates: what must hold of the rows that landed, and of the rows that would be published.

What is expected stands in `expectations/`, one native Great Expectations suite a data set or table; this room decides
which rows face which suite and turns the results into one verdict a gate. A critical finding fails the gate, a warning
is told. Nothing here raises for bad data: the caller stops the run when `verdict == "fail"`.

Importing this package is cheap; the first check of a process loads Great Expectations (about 4 s).
"""

import os

from early_warning.quality.gates import EXPECTATIONS, check_landing, check_marts, check_source
from early_warning.quality.verdict import Verdict

os.environ["GX_ANALYTICS_ENABLED"] = "False"  # read when Great Expectations is imported, which is later

__all__ = ["EXPECTATIONS", "Verdict", "check_landing", "check_marts", "check_source"]
