"""Rows that could not be used, as people look at them: which record, where it stood, what is wrong, what to do."""

from __future__ import annotations

from typing import Any

from early_warning.contract import DATA_SETS
from early_warning.warehouse import Warehouse

_ENTRIES = (
    "select quarantine_id as id, run_id, source, data_set, source_file as file, source_row as row,"
    " column_name as column, reason, remedy, row_data from ops.quarantine "
)


def quarantine_list(warehouse: Warehouse, run_id: int | None = None) -> list[dict[str, Any]]:
    """Rows in quarantine of a run; without one, of the newest run that has any."""
    rows = warehouse.rows(
        _ENTRIES  # noqa: S608 - both parts are written here
        + "where run_id = coalesce(%s, (select max(run_id) from ops.quarantine)) order by quarantine_id",
        run_id,
    )
    return [_with_key(row) for row in rows]


def quarantine_show(warehouse: Warehouse, quarantine_id: int) -> dict[str, Any] | None:
    """One of them; its `row_data` is the row as it was read. None if there is none of that id (any more)."""
    rows = warehouse.rows(_ENTRIES + "where quarantine_id = %s", quarantine_id)
    return _with_key(rows[0]) if rows else None


def _with_key(entry: dict[str, Any]) -> dict[str, Any]:
    """Say which record it is: its key by the contract; None where the row was unusable before it had the columns."""
    read = entry["row_data"] or {}
    values = [read.get(name) for name in DATA_SETS[entry["data_set"]].key]
    key = None if any(value is None for value in values) else ", ".join(map(str, values))
    return {"id": entry["id"], "data_set": entry["data_set"], "key": key, **entry}
