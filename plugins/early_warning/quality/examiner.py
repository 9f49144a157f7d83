"""Rows against a suite: the only module that speaks to Great Expectations.

Passing is the normal case, so every suite first runs for its verdicts alone (one query for most of it); only what was
not met is run again for examples. Three things Great Expectations does quietly are loud here: an expectation it can't
build (it drops it), an expectation that raised (it takes the expectation's severity), and a failure that names nothing
but an expectation's type.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import great_expectations as gx
import psycopg
from great_expectations.core import ExpectationSuite, ExpectationValidationResult
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.datasource.fluent.sql_datasource import SQLDatasource
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.validator.v1_validator import Validator
from sqlalchemy.pool import StaticPool

from early_warning.problems import Problem
from early_warning.quality.subject import Subject
from early_warning.quality.verdict import Finding, broken
from early_warning.warehouse import Warehouse

_EXAMPLES = 3
_MOST_SUMMARY_ROWS = 50


@contextmanager
def examiner(warehouse: Warehouse) -> Iterator[Examiner]:
    """Open an examiner of rows in the warehouse. It writes no file, and leaves no connection that could hold up dbt."""
    context = gx.get_context(
        mode="ephemeral",
        project_config=DataContextConfig(
            store_backend_defaults=InMemoryStoreBackendDefaults(),
            progress_bars=ProgressBarsConfig(globally=False),
            analytics_enabled=False,
        ),
    )
    sources: Any = context.data_sources  # its stub lacks kwargs
    datasource: SQLDatasource = sources.add_postgres(
        "warehouse",
        connection_string="postgresql+psycopg://owner@warehouse/",  # only names the dialect: libpq knows how to connect
        # one connection, whose temporary tables the examiner sees
        kwargs={"creator": lambda: psycopg.connect(warehouse.dsn), "poolclass": StaticPool},
        # Otherwise it fetches all rows of a query, repeatedly, to learn its columns, and runs it for every expectation.
        create_temp_table=True,
    )
    try:
        yield Examiner(datasource)
    finally:
        datasource.get_execution_engine().close()
        datasource.get_engine().dispose()


class Examiner:
    """Examines one subject after the other over one connection."""

    def __init__(self, datasource: SQLDatasource) -> None:
        """Take the data source to read from; `examiner` is the way to get one."""
        self._datasource = datasource
        self._subjects = 0

    def examine(self, subject: Subject) -> list[Finding]:
        """Run a subject's suite on its rows.

        Returns one finding an expectation (several of a summary); what can't be checked is a critical one.
        """
        try:
            suite, findings = _load(subject)
            return findings + self._run(subject, suite)
        except Exception as error:  # whatever GX or the database say: not checked is not passed
            return [_unchecked(subject, "rows_can_be_checked", _line(error))]

    def _run(self, subject: Subject, suite: ExpectationSuite) -> list[Finding]:
        validator = self._validator(subject)
        quick = _validate(validator, suite, "BOOLEAN_ONLY")
        raised = [_exception(result) for result in quick]
        if quick and raised[0] and len(set(raised)) == 1:
            return [_unchecked(subject, "rows_can_be_checked", raised[0])]
        judged = list(zip(suite.expectations, quick, raised, strict=True))
        missed = [expectation for expectation, result, exception in judged if not result.success and not exception]
        details = iter(_validate(validator, _suite(subject, missed), _with_examples(subject, missed)) if missed else ())
        findings: list[Finding] = []
        for expectation, result, exception in judged:
            if exception:
                findings.append(_unchecked(subject, _name(expectation), exception))
            elif result.success:
                findings.append(_met(subject, expectation))
            else:
                findings += _unmet(subject, expectation, next(details))
        return findings

    def _validator(self, subject: Subject) -> Validator:
        """Make what validates a subject over and over: `Batch.validate` would read the rows anew each time."""
        self._subjects += 1
        asset = self._datasource.add_query_asset(name=f"{subject.suite.stem} {self._subjects}", query=subject.query)
        return Validator(asset.add_batch_definition_whole_table("rows"))


def _load(subject: Subject) -> tuple[ExpectationSuite, list[Finding]]:
    """Build the suite expectation by expectation: the suite's own constructor drops those it can't build."""
    described = json.loads(subject.suite.read_text(encoding="utf-8"))["expectations"]
    expectations: list[Expectation] = []
    findings: list[Finding] = []
    for number, configuration in enumerate(described, start=1):
        try:
            expectations.append(ExpectationConfiguration(**configuration).to_domain_obj())
        except Exception as error:  # unknown type, unknown or missing argument, wrong JSON type
            name = str(configuration.get("type", "expectation"))
            findings.append(_unchecked(subject, name, f"expectation {number} of the file: {_line(error)}"))
    suite = _suite(subject, expectations)
    if len(suite.expectations) + len(findings) != len(described):
        loaded = f"{len(suite.expectations)} of {len(described)} expectations were loaded"
        findings.append(_unchecked(subject, "suite_is_complete", loaded))
    return suite, findings


def _suite(subject: Subject, expectations: Sequence[Expectation]) -> ExpectationSuite:
    return ExpectationSuite(name=subject.suite.stem, expectations=expectations)


def _validate(validator: Validator, suite: ExpectationSuite, result_format: Any) -> list[ExpectationValidationResult]:
    """Validate, with the results in the order of the suite: Great Expectations puts those that raised first."""
    validator.result_format = result_format
    results = validator.validate_expectation_suite(suite).results
    by_configuration = {_identity(result.expectation_config): result for result in results}
    return [by_configuration[_identity(expectation.configuration)] for expectation in suite.expectations]


def _identity(configuration: Any) -> str:
    kwargs = {name: value for name, value in configuration.kwargs.items() if name != "batch_id"}
    return json.dumps([configuration.type, kwargs, configuration.meta], sort_keys=True, default=str)


def _with_examples(subject: Subject, expectations: Iterable[Expectation]) -> dict[str, Any]:
    """Ask for a few of the rows: the columns that name them, and those an expectation wants shown."""
    shown = [column for expectation in expectations for column in _meta(expectation).get("show", ())]
    return {
        "result_format": "COMPLETE",
        "partial_unexpected_count": _MOST_SUMMARY_ROWS if subject.is_summary else _EXAMPLES,
        "unexpected_index_column_names": list(dict.fromkeys((*subject.place, *shown))),
        "return_unexpected_index_query": False,
    }


def _unchecked(subject: Subject, name: str, exception: str) -> Finding:
    """Make a finding of something that could not be checked: critical, however mild the expectation."""
    problem = Problem(
        f"not checked ({name}): {exception}",
        f"mend {subject.file} or what it reads, then run the gate again",
        source=subject.source,
        data_set=subject.data_set,
    )
    return broken(name, problem)


def _met(subject: Subject, expectation: Expectation) -> Finding:
    return Finding(
        _name(expectation), subject.data_set, _is_critical(expectation), is_met=True, message=_description(expectation)
    )


def _unmet(subject: Subject, expectation: Expectation, result: ExpectationValidationResult) -> list[Finding]:
    """Say where an expectation was not met: once, or once a row of a summary."""
    outcome = result.result or {}
    rows = _rows(outcome)
    if subject.is_summary and rows:
        return [_finding(subject, expectation, _told(subject, expectation, row), [row]) for row in rows]
    rows = rows[:_EXAMPLES]
    examples = "; ".join(filter(None, dict.fromkeys(_example(subject, expectation, row) for row in rows)))
    failed, of = outcome.get("unexpected_count"), outcome.get("element_count")
    if failed is not None:
        share = f"{failed} of {of} rows"
        return [_finding(subject, expectation, f"{examples} ({share})" if examples else share, rows, failed)]
    if rows:
        return [_finding(subject, expectation, examples, rows, int(outcome["observed_value"]))]
    missing = ((outcome.get("details") or {}).get("mismatched") or {}).get("missing")
    found = f"no column {', '.join(missing)}" if missing else str(outcome.get("observed_value", "something else"))
    return [_finding(subject, expectation, found, rows)]


def _rows(outcome: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Find the offending rows, which stand elsewhere for map expectations, queries and compound keys."""
    rows = (
        outcome.get("unexpected_index_list")
        or (outcome.get("details") or {}).get("unexpected_rows")
        or outcome.get("partial_unexpected_list")
        or []
    )
    return [row for row in rows if isinstance(row, Mapping)]


def _finding(
    subject: Subject,
    expectation: Expectation,
    found: str,
    rows: Sequence[Mapping[str, Any]],
    failed: int | None = None,
) -> Finding:
    """Say what was found, then what was expected and why, and what to do."""
    meta = _meta(expectation)
    first = rows[0] if rows else {}
    data_set = first.get("data_set", subject.data_set) if subject.is_summary else subject.data_set
    problem = Problem(
        "; ".join(filter(None, (f"found {found}", f"expected: {_description(expectation)}", meta.get("reason")))),
        meta.get("remedy", f"see {subject.file}"),
        source=subject.source,
        data_set=data_set,
        file=first.get("_source_file"),
        row=first.get("_source_row"),
        column=None if subject.is_summary else _column(expectation),
        is_critical=_is_critical(expectation),
    )
    return Finding(
        _name(expectation), data_set, problem.is_critical, is_met=False, message=str(problem), failed_rows=failed
    )


def _told(subject: Subject, expectation: Expectation, row: Mapping[str, Any]) -> str:
    """What a row of a summary says: in the words that the expectation has for it (`found`), else column by column."""
    words = _meta(expectation).get("found")
    if not words:
        return _example(subject, expectation, row) or "otherwise"
    return str(words).format_map(defaultdict(lambda: "–", {name: _value(value) for name, value in row.items()}))


def _example(subject: Subject, expectation: Expectation, row: Mapping[str, Any]) -> str:
    """Show the columns an expectation is about, and which row it is."""
    kwargs = expectation.configuration.kwargs
    about = (*(kwargs.get(name) for name in ("column", "column_A", "column_B")), *kwargs.get("column_list", ()))
    names = dict.fromkeys((*filter(None, about), *_meta(expectation).get("show", ())))
    shown = [name for name in names if name in row and name not in subject.personal]
    if subject.is_summary:
        return ", ".join(f"{name} {_value(row[name])}" for name in shown if row[name] is not None)
    if row.get("_source_file"):
        return ", ".join([*(f"{name} {_value(row[name])}" for name in shown), _place(row)])
    shown += [name for name in subject.place if row.get(name) is not None and name not in shown]
    return ", ".join(f"{name} {_value(row[name])}" for name in shown)


def _place(row: Mapping[str, Any]) -> str:
    return f"{row['_source_file']} row {row['_source_row']}" if row.get("_source_row") else str(row["_source_file"])


def _value(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return f"{value:.10g}" if isinstance(value, float) else "null" if value is None else str(value)


def _column(expectation: Expectation) -> str | None:
    kwargs, meta = expectation.configuration.kwargs, _meta(expectation)
    column = kwargs.get("column") or kwargs.get("column_A") or meta.get("column")
    return column or ", ".join(kwargs.get("column_list", ())) or None


def _name(expectation: Expectation) -> str:
    column = _column(expectation)
    return f"{expectation.configuration.type}({column})" if column else str(expectation.configuration.type)


def _description(expectation: Expectation) -> str:
    return expectation.configuration.description or _name(expectation)


def _is_critical(expectation: Expectation) -> bool:
    return bool(expectation.severity == "critical")


def _meta(expectation: Expectation) -> dict[str, Any]:
    return expectation.configuration.meta or {}


def _exception(result: ExpectationValidationResult) -> str | None:
    """First line of what an expectation raised. exception_info is one record, or one a metric."""
    info = result.exception_info or {}
    records = [info] if "raised_exception" in info else [record for record in info.values() if isinstance(record, dict)]
    for record in records:
        if record.get("raised_exception"):
            return _line(record.get("exception_message"))
    return None


def _line(error: Any) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
