"""`python -m early_warning.embedded COMMAND…`: run a command while a PostgreSQL runs for it.

Uses the home's server if $EARLY_WARNING_HOME is set, else one in a temporary folder that is deleted at the end. The
command finds it by libpq's variables (PGHOST, …) and by those that dbt_project/profiles.yml reads
(EARLY_WARNING_PGHOST, …).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from early_warning.embedded.postgres import remove_postgres, running_postgres
from early_warning.warehouse import Warehouse, migrate

_VARIABLES = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}


def main(command: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    if not command:
        print("usage: python -m early_warning.embedded COMMAND [ARGUMENT…]", file=sys.stderr)
        return 2
    with _home() as home, running_postgres(home) as warehouse:
        migrate(warehouse)
        return subprocess.run(command, env=os.environ | variables(warehouse), check=False).returncode  # noqa: S603


def variables(warehouse: Warehouse) -> dict[str, str]:
    """Environment variables that lead libpq and dbt to the warehouse."""
    plain = {name: warehouse.parameters[key] for key, name in _VARIABLES.items()}
    return plain | {f"EARLY_WARNING_{name}": value for name, value in plain.items()}


@contextmanager
def _home() -> Iterator[Path]:
    named = os.environ.get("EARLY_WARNING_HOME")
    if named:
        yield Path(named)
        return
    home = Path(tempfile.mkdtemp(prefix="early-warning-"))
    try:
        yield home
    finally:
        remove_postgres(home)
        shutil.rmtree(home)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
