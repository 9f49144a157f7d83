"""Judge a day that has landed, in a process of its own as every daily run is one, and print what each part cost.

    python -m benchmarks.day 2026-06-29 [--from-scratch] [--staging-only]

uses the home and the warehouse of $EARLY_WARNING_HOME. With --staging-only dbt runs no more than the models in
staging/ and intermediate/ that come before the indicators, and nothing is published.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.generate import ZONE
from benchmarks.measure import measured
from early_warning import landing, runs, transform
from early_warning.embedded.postgres import running_postgres
from early_warning.settings import home
from early_warning.warehouse import Warehouse

_STAGING = ("path:models/staging", "path:models/intermediate", "--exclude", "path:models/indicators+")
_NOT_PARSED = "no changes found, skipping parsing"  # what dbt logs when it takes the parsed project as it is
_STARTED = "running dbt with arguments"


def judge(warehouse: Warehouse, run_id: int, *, from_scratch: bool) -> dict[str, Any]:
    """Transform, gate and publish a run; returns the cost of each, and what dbt did."""
    from early_warning import quality

    log = home() / "dbt" / "logs" / "dbt.log"
    logged = log.stat().st_size if log.exists() else 0
    with measured(warehouse) as of_transform:
        transform.build(warehouse, run_id, from_scratch=from_scratch)
    said = log.read_bytes()[logged:].decode()
    with measured(warehouse) as of_gate:
        verdict = quality.check_marts(warehouse, run_id)
    if verdict.verdict == "fail":
        raise RuntimeError("\n".join(verdict.messages))
    with measured(warehouse) as of_publish:
        runs.publish(warehouse, run_id)
    return {
        "run_id": run_id,
        "transform": asdict(of_transform),
        "gate_marts": asdict(of_gate),
        "publish": asdict(of_publish),
        "invocations": said.count(_STARTED),
        "parses": said.count(_STARTED) - said.count(_NOT_PARSED),
        "node_seconds": _node_seconds(),
    }


def stage(warehouse: Warehouse, run_id: int, *, from_scratch: bool) -> dict[str, Any]:
    """Run only what follows the changed data, staging and cells; returns its cost.

    A later judgement has to be from scratch: the indicators that are kept were left behind.
    """
    folder = home() / "dbt"
    command = [
        *(str(Path(sys.executable).with_name("dbt")), "--quiet", "run"),
        *("--project-dir", str(transform.DBT_PROJECT), "--profiles-dir", str(transform.DBT_PROJECT)),
        *("--target-path", str(folder / "target"), "--log-path", str(folder / "logs")),
        *(("--full-refresh",) if from_scratch else ()),
        *("--select", *_STAGING),
    ]
    with transform.brought(warehouse, run_id, from_scratch=from_scratch), measured(warehouse) as cost:
        subprocess.run(
            command, env=os.environ | transform.environment(warehouse, run_id), stdout=sys.stderr, check=True
        )
    return {"run_id": run_id, "transform": asdict(cost), "node_seconds": _node_seconds()}


def _node_seconds() -> dict[str, float]:
    """Seconds that dbt waited for the nodes of each folder of models, and for all tests together."""
    results = json.loads((home() / "dbt" / "target" / "run_results.json").read_text())["results"]
    manifest = json.loads((home() / "dbt" / "target" / "manifest.json").read_text())
    seconds: dict[str, float] = defaultdict(float)
    for result in results:
        kind = result["unique_id"].split(".")[0]
        node = manifest["nodes"].get(result["unique_id"])
        folder = Path(node["path"]).parts[0] if node and kind == "model" else f"{kind}s"
        seconds[folder] += result["execution_time"]
    return dict(seconds)


def main() -> None:
    """Judge a day and print what it cost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.day", description=main.__doc__)
    parser.add_argument("day", type=date.fromisoformat)
    parser.add_argument("--from-scratch", action="store_true", help="derive everything anew from what has landed")
    parser.add_argument("--staging-only", action="store_true", help="staging and intermediate, before the indicators")
    options = parser.parse_args()
    with running_postgres(home()) as warehouse:
        [policy] = warehouse.rows("select policy_hash from policy.policy")
        run_id = runs.open_run(warehouse, runs.Moment.of_day(options.day, ZONE), ZONE, policy["policy_hash"])
        landing.accept(warehouse, run_id)
        build = stage if options.staging_only else judge
        json.dump(build(warehouse, run_id, from_scratch=options.from_scratch), sys.stdout)


if __name__ == "__main__":
    main()
