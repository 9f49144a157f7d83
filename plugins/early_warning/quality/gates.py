"""Which rows face which suite at which gate."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, LiteralString

from psycopg import sql

from early_warning.contract import DATA_SETS, DataSet
from early_warning.problems import Problem
from early_warning.quality.subject import Subject
from early_warning.quality.verdict import Finding, Verdict, broken, conclude, store
from early_warning.settings import Source
from early_warning.warehouse import Warehouse

EXPECTATIONS = Path(__file__).parents[3] / "expectations"
"""The suites: landing/<data set>.json, landing/deliveries.json, landing/all_sources.json, marts/<table>.json."""


def check_source(warehouse: Warehouse, run_id: int, source: Source, *, suites: Path = EXPECTATIONS) -> Verdict:
    """Judge what one source delivered in this run: the delivery as a whole, its limits, and the rows of each batch."""
    findings = _reported_problems(warehouse, run_id, source.name)
    subjects = [
        Subject(
            suite=suites / "landing" / "deliveries.json",
            query=_deliveries(run_id, source),
            source=source.name,
            is_summary=True,
            place=("data_set",),
        )
    ]
    subjects += [
        Subject(
            suite=suites / "landing" / f"{data_set.name}.json",
            query=_filled(
                "select * from landing.{table} where _batch_id = {batch_id}",
                table=sql.Identifier(data_set.table),
                batch_id=batch_id,
            ),
            source=source.name,
            data_set=data_set.name,
            place=("_source_file", "_source_row"),
            personal=frozenset(column.name for column in data_set.columns if column.is_personal),
        )
        for data_set, delivered_by, batch_id in _landed(warehouse, run_id)
        if delivered_by == source.name
    ]
    return _judge(warehouse, run_id, source.name, findings, subjects)


def check_landing(
    warehouse: Warehouse, run_id: int, sources: Sequence[Source], *, suites: Path = EXPECTATIONS
) -> Verdict:
    """Judge what only all sources together can tell: whether there are customers, and rows of nobody's customer."""
    subject = Subject(
        suite=suites / "landing" / "all_sources.json",
        query=_all_sources(warehouse, run_id, sources),
        is_summary=True,
        place=("data_set",),
    )
    return _judge(warehouse, run_id, "landing", [], [subject])


def check_marts(warehouse: Warehouse, run_id: int, *, suites: Path = EXPECTATIONS) -> Verdict:
    """Judge what this run would publish: each mart by itself, and the population against the run before."""
    folder = suites / "marts"
    subjects = [
        Subject(
            suite=folder / f"{table}.json",
            query=_filled(_MARTS[table], run_id=run_id),
            data_set=f"marts.{table}",
            place=place,
        )
        for table, place in (
            ("dim_customers", ("customer_id",)),
            ("fct_customer_levels", ("customer_id",)),
        )
    ]
    subjects += [
        Subject(
            suite=folder / f"{suite}.json",
            query=_filled(_script(script), run_id=run_id),
            data_set=data_set,
            is_summary=True,
        )
        for suite, script, data_set in (
            ("fct_indicator_values", "indicator_values", "marts.fct_indicator_values"),
            ("run", "run", "marts"),
        )
    ]
    subjects.append(
        Subject(
            suite=folder / "people.json",
            query=_filled(_script("people"), run_id=run_id),
            place=("written_in", "customer_id", "case_id"),
        )
    )
    return _judge(warehouse, run_id, "marts", [], subjects)


_MARTS = {
    "dim_customers": "select * from marts.dim_customers where run_id = {run_id}",
    "fct_customer_levels": (
        "select mart.*, cardinality(mart.rule_codes) as fired_rules, run.as_of_date as run_as_of_date"
        " from marts.fct_customer_levels as mart join ops.run as run on mart.run_id = run.run_id"
        " where mart.run_id = {run_id}"
    ),
}


def _judge(
    warehouse: Warehouse, run_id: int, gate: str, findings: list[Finding], subjects: Sequence[Subject]
) -> Verdict:
    from early_warning.quality.examiner import examiner  # takes seconds to import

    with examiner(warehouse) as opened:
        findings = [*findings, *(finding for subject in subjects for finding in opened.examine(subject))]
    store(warehouse, run_id, gate, findings)
    return conclude(gate, findings)


def _reported_problems(warehouse: Warehouse, run_id: int, source: str) -> list[Finding]:
    """Take over, word for word, what the landing room wrote down about whole deliveries."""
    name = "delivery_is_usable"
    problems = warehouse.rows(
        "select message, remedy, source, data_set, file, row, column_name as column, is_critical from ops.problem"
        " where run_id = %s and source = %s order by problem_id",
        run_id,
        source,
    )
    if not problems:
        return [Finding(name, None, is_critical=True, is_met=True, message="the deliveries can be read as a whole")]
    return [broken(name, Problem(**problem)) for problem in problems]


def _landed(warehouse: Warehouse, run_id: int) -> list[tuple[DataSet, str, int]]:
    """List what landed in this run: data set, source and its (last) batch, unless that is empty."""
    batches = warehouse.rows(
        "select distinct on (data_set) data_set, source, batch_id, rows from ops.batch"
        " where run_id = %s and state in ('landed', 'accepted') order by data_set, batch_id desc",
        run_id,
    )
    return [(DATA_SETS[batch["data_set"]], batch["source"], batch["batch_id"]) for batch in batches if batch["rows"]]


def _deliveries(run_id: int, source: Source) -> str:
    promised = [
        (name, delivery.mode, str(delivery.max_quarantine_share)) for name, delivery in source.config.data_sets.items()
    ]
    row = "({}, {}, {}::numeric)"
    return _filled(_script("deliveries"), promised=_list(row, promised), run_id=run_id, source=source.name)


def _all_sources(warehouse: Warehouse, run_id: int, sources: Sequence[Source]) -> str:
    promised = [
        (name, str(delivery.max_quarantine_share))
        for source in sources
        for name, delivery in source.config.data_sets.items()
        if _has_customer(DATA_SETS[name])
    ]
    rows = sql.SQL("select {} as data_set, customer_id, _source_file, _source_row from landing.{} where _batch_id = {}")
    landed: list[sql.Composable] = [
        rows.format(data_set.name, sql.Identifier(data_set.table), batch_id)
        for data_set, _, batch_id in _landed(warehouse, run_id)
        if _has_customer(data_set)
    ]
    nothing = rows.format(None, sql.Identifier("sales_customers"), -1)
    return _filled(
        _script("all_sources"),
        promised=_list("({}, {}::numeric)", promised),
        landed_rows=sql.SQL(" union all ").join(landed or [nothing]),
        known_customers=sql.SQL(_KNOWN_CUSTOMERS).format(run_id=run_id),
    )


_KNOWN_CUSTOMERS = """
select customer_id
from landing.sales_customers
where
    _batch_id in (
        select batch_id
        from (
            select batch_id, max(batch_id) filter (where mode = 'snapshot') over () as newest_snapshot_id
            from ops.batch
            where data_set = 'sales.customers' and (state = 'accepted' or (state = 'landed' and run_id = {run_id}))
        ) as batch
        where batch_id >= coalesce(newest_snapshot_id, 0)
    )
"""


def _has_customer(data_set: DataSet) -> bool:
    return any(column.name == "customer_id" for column in data_set.columns)


def _script(name: str) -> str:
    """Read a query, without the comment it begins with: Great Expectations wants `select` as its first word."""
    lines = files(__package__).joinpath(f"sql/{name}.sql").read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith("--"))


def _list(row: LiteralString, values: Sequence[Sequence[Any]]) -> sql.Composed:
    return sql.SQL(", ").join(sql.SQL(row).format(*line) for line in values)


def _filled(query: LiteralString, **values: Any) -> str:
    """Fill in a query's {names}: values as literals, composed SQL as it is. A query asset takes no parameters."""
    return sql.SQL(query).format(**values).as_string(None)
