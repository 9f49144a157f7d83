"""The gates: a good delivery passes, everything else is said in a sentence that names place and remedy."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from psycopg import sql

from early_warning.contract import DATA_SETS
from early_warning.quality import EXPECTATIONS, Verdict, check_landing, check_marts, check_source
from early_warning.settings import FileSource, Source
from early_warning.warehouse import Warehouse

SUITES = sorted(EXPECTATIONS.glob("*/*.json"))
AS_OF = date(2026, 6, 1)
FILE = "export-2026-06-01.csv"

GOOD: dict[str, dict[str, Any]] = {
    "sales.customers": {"customer_id": "C1", "name": "Ames", "owner_name": "Li", "owner_email": "li@example.com"},
    "sales.orders": {
        "order_id": "O1",
        "ordered_at": "2026-05-02T10:00Z",
        "amount": 10,
        "promised_at": "2026-05-02T00:00Z",
    },
    "sales.order_lines": {"order_id": "O1", "line_no": 1, "product_id": "P1", "quantity": 2, "amount": 10},
    "sales.products": {"product_id": "P1", "name": "Pump"},
    "sales.returns": {"return_id": "R1", "order_id": "O1", "returned_at": "2026-05-09T10:00Z"},
    "sales.interactions": {"interaction_id": "N1", "occurred_at": "2026-05-09T10:00Z", "channel": "phone"},
    "sales.competitor_signals": {"signal_id": "G1", "observed_on": "2026-05-09", "has_customer_interest": True},
    "sales.policy_signals": {"signal_id": "G1", "industry": "steel", "observed_on": "2026-05-09", "effect": "adverse"},
    "service.tickets": {
        "ticket_id": "T1",
        "kind": "complaint",
        "priority": "high",
        "opened_at": "2026-05-03T10:00Z",
        "first_responded_at": "2026-05-03T11:00Z",
    },
    "service.surveys": {
        "survey_id": "S1",
        "answered_at": "2026-05-03T10:00Z",
        "kind": "csat",
        "score": 4,
        "scale_min": 1,
        "scale_max": 5,
    },
    "finance.invoices": {"invoice_id": "I1", "issued_on": "2026-05-02", "due_on": "2026-06-01", "amount": 10},
    "finance.payments": {"payment_id": "Y1", "invoice_id": "I1", "paid_on": "2026-05-20", "amount": 10},
    "finance.credit_terms": {"valid_from": "2026-01-01", "credit_limit": 100, "payment_days": 30},
    "finance.credit_ratings": {"rated_on": "2026-01-01", "agency": "A", "rating": "BBB"},
    "finance.statements": {"period_end": "2025-12-31", "revenue": 100, "assets": 50},
    "finance.legal_cases": {"case_id": "L1", "opened_on": "2026-01-01"},
    "finance.exchange_rates": {"currency": "USD", "valid_from": "2026-01-01", "rate": 7.1},
    "handling.actions": {
        "action_id": "A1",
        "taken_at": "2026-05-03T10:00Z",
        "department": "sales",
        "actor": "Li",
        "outcome": "contacted",
    },
    "model.churn_scores": {"scored_on": "2026-05-01", "probability": 0.2, "model_version": "1"},
}


def source(name: str, *data_sets: str, mode: str = "append", **limits: Any) -> Source:
    config = {
        "kind": "files",
        "path": "x",
        "tables": {"t": {"files": "*.csv", "columns": {"a": "text"}}},
        "data_sets": {data_set: {"mode": mode, **limits} for data_set in data_sets},
    }
    return Source(name, FileSource.model_validate(config), Path("x"), ZoneInfo("Asia/Shanghai"), {})


def open_run(warehouse: Warehouse, previous: int | None = None) -> int:
    row = warehouse.rows(
        "insert into ops.run"
        " (as_of_date, as_of_at, company_time_zone, policy_hash, state, is_backfill, previous_run_id)"
        " values (%s, '2026-06-02', 'Asia/Shanghai', 'x', 'running', false, %s) returning run_id",
        AS_OF,
        previous,
    )[0]
    return int(row["run_id"])


def land(warehouse: Warehouse, run_id: int, name: str, *changes: Mapping[str, Any], **batch: Any) -> None:
    """Land one row a mapping of changes to the good row (rows 2, 3, … of the file); `batch` overrides ops.batch."""
    rows = [{**GOOD[name], **change} for change in changes or ({},)]
    ledger = {
        "source": name.split(".")[0],
        "data_set": name,
        "mode": "append",
        "state": "landed",
        "rows": len(rows),
        "newest_file_date": AS_OF,
        **batch,
    }
    with warehouse.connect() as connection:
        batch_id = insert(connection, "ops", "batch", {"run_id": run_id, **ledger}, returning="batch_id")
        has_customer = any(column.name == "customer_id" for column in DATA_SETS[name].columns)
        for number, row in enumerate(rows, start=2):
            place = {"_batch_id": batch_id, "_source_file": FILE, "_source_row": number}
            customer = {"customer_id": "C1"} if has_customer else {}
            insert(connection, "landing", DATA_SETS[name].table, {**customer, **row, **place})


def insert(connection: Any, schema: str, table: str, row: Mapping[str, Any], returning: str = "") -> Any:
    statement = sql.SQL("insert into {} ({}) values ({}) {}").format(
        sql.Identifier(schema, table),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(sql.Placeholder() * len(row)),
        sql.SQL(f"returning {returning}" if returning else ""),
    )
    cursor = connection.execute(statement, list(row.values()))
    return cursor.fetchone()[0] if returning else None


def customers(count: int, **changes: Any) -> list[dict[str, Any]]:
    return [{"customer_id": f"C{number}", **changes} for number in range(1, count + 1)]


def judged(warehouse: Warehouse, name: str, *rows: Mapping[str, Any]) -> Verdict:
    """Verdict of a source that delivers just these rows of one data set."""
    run_id = open_run(warehouse)
    land(warehouse, run_id, name, *rows)
    return check_source(warehouse, run_id, source(name.split(".")[0], name))


# The suites themselves


@pytest.mark.parametrize("name", DATA_SETS)
def test_data_set_has_suite_with_required_columns_and_key(name: str) -> None:
    expectations = json.loads((EXPECTATIONS / "landing" / f"{name}.json").read_text())["expectations"]
    data_set = DATA_SETS[name]
    arguments = [expectation["kwargs"] for expectation in expectations]
    required = [column.name for column in data_set.columns if column.is_required]
    assert {"column_set": required, "exact_match": False} in arguments
    if data_set.storage_key != data_set.key:  # else the primary key of the landing table sees to it
        key = {"column_list": list(data_set.key)} if len(data_set.key) > 1 else {"column": data_set.key[0]}
        assert key in arguments


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_expectation_says_what_why_and_what_to_do(path: Path) -> None:
    for expectation in json.loads(path.read_text())["expectations"]:
        assert expectation["severity"] in ("critical", "warning"), expectation
        assert expectation["description"], expectation
        assert expectation["meta"]["reason"], expectation
        assert expectation["meta"]["remedy"], expectation


def test_suite_without_data_set_does_not_exist() -> None:
    landing = {path.stem for path in SUITES if path.parent.name == "landing"}
    assert landing == {*DATA_SETS, "deliveries", "all_sources"}


# What landed


@pytest.fixture(scope="module")
def shared(postgres: Any) -> Iterator[Warehouse]:
    """One warehouse for many tests: each opens a run of its own, and a gate looks at its run only."""
    fresh = postgres.create()
    yield fresh
    postgres.drop(fresh)


def test_good_batches_pass(shared: Warehouse) -> None:
    run_id = open_run(shared)
    for name in DATA_SETS:
        land(shared, run_id, name, source="all")
    assert check_source(shared, run_id, source("all", *DATA_SETS)) == Verdict("all", "pass", 0, 0, ())


@pytest.mark.parametrize(
    ("name", "rows", "verdict", "words"),
    [
        (
            "sales.customers",
            [*customers(2), {"customer_id": "C3", "owner_email": "nobody"}],
            "warn",
            [
                "source sales",
                "sales.customers",
                f"{FILE}, row 4",
                "column owner_email",
                "nobody",
                "→ correct the address",
            ],
        ),
        (
            "sales.customers",
            customers(3, owner_email=None),
            "warn",
            ["column owner_email", "3 of 3 rows", "assign owners"],
        ),
        ("sales.customers", [{"name": " "}], "warn", ["column name", "customer_id C1"]),
        (
            "sales.orders",
            [{}, {"customer_id": "C2"}],
            "fail",
            ["source sales, sales.orders", "column order_id", f"{FILE} row 3", "customer_id C2", "sales.orders.sql"],
        ),
        (
            "sales.orders",
            [{"order_id": str(number), "amount": 0} for number in range(20)],
            "fail",
            ["column amount", "rows 20", "→ check which column"],
        ),
        (
            "sales.orders",
            [{"order_id": str(number)} for number in range(9)] + [{"amount": 123456}],
            "warn",
            [f"{FILE}, row 11, column amount", "order_id O1", "amount 123456"],
        ),
        ("sales.orders", [{"cancelled_at": "2026-05-03T10:00Z"}], "warn", ["column cancelled_at"]),
        ("sales.orders", [{"promised_at": "2026-04-02T10:00Z"}], "warn", ["row 2, column promised_at", "2026-04-02"]),
        ("sales.orders", [{"fulfilled_at": "2026-04-02T10:00Z"}], "warn", ["column fulfilled_at"]),
        ("sales.order_lines", [{}, {"customer_id": "C2"}], "fail", ["column order_id, line_no"]),
        ("sales.order_lines", [{"quantity": -1}], "warn", ["column quantity", "quantity -1"]),
        ("sales.products", [{"name": ""}], "warn", ["column name", "product_id P1"]),
        ("sales.returns", [{"order_id": None}], "warn", ["column order_id", "return_id R1"]),
        ("sales.interactions", [{"channel": "other"}], "warn", ["column channel"]),
        ("sales.competitor_signals", [{"has_customer_interest": None}], "warn", ["has_customer_interest"]),
        ("sales.policy_signals", [{"industry": ""}], "warn", ["column industry"]),
        ("service.tickets", [{"priority": "P1"}], "warn", ["column priority", "priority P1", "response_standards.csv"]),
        ("service.tickets", [{"first_responded_at": "2026-05-03T09:00Z"}], "warn", ["column first_responded_at"]),
        ("service.tickets", [{"resolved_at": "2026-05-03T09:00Z"}], "warn", ["column resolved_at"]),
        ("service.surveys", [{"score": 9}], "warn", ["column score", "score 9", "scale_max 5"]),
        (
            "service.surveys",
            [{"survey_id": str(number), "score": 9} for number in range(20)],
            "fail",
            ["column score", "outside 20", "→ correct scale_min and scale_max"],
        ),
        ("service.surveys", [{"kind": "nps"}], "warn", ["column scale_max"]),
        ("finance.invoices", [{"due_on": "2026-04-01"}], "warn", ["column due_on", "2026-04-01"]),
        ("finance.invoices", [{"due_on": "2062-04-01"}], "warn", ["column due_on", "2062-04-01"]),
        ("finance.invoices", [{"voided_on": "2026-05-03"}], "warn", ["column voided_on"]),
        (
            "finance.payments",
            [{"payment_id": str(number), "amount": -1} for number in range(20)],
            "fail",
            ["column amount", "negative 20", "→ turn the sign in finance.payments.sql"],
        ),
        ("finance.payments", [{"invoice_id": None}], "warn", ["column invoice_id"]),
        ("finance.credit_terms", [{"credit_limit": -1}], "warn", ["column credit_limit"]),
        ("finance.credit_terms", [{"payment_days": 20260101}], "warn", ["column payment_days"]),
        ("finance.credit_ratings", [{"rating": ""}], "warn", ["column rating"]),
        ("finance.statements", [{"assets": -1}], "warn", ["column assets"]),
        ("finance.legal_cases", [{"closed_on": "2025-01-01"}], "warn", ["column closed_on"]),
        ("finance.exchange_rates", [{"rate": 0}], "fail", ["column rate", "currency USD"]),
        ("finance.exchange_rates", [{"currency": "dollar"}], "warn", ["column currency"]),
        ("handling.actions", [{"actor": ""}], "warn", ["column actor"]),
        (
            "model.churn_scores",
            [{"probability": 20}],
            "fail",
            ["column probability", "probability 20", "divide by 100"],
        ),
    ],
)
def test_bad_rows_are_named_with_remedy(
    shared: Warehouse, name: str, rows: list[dict[str, Any]], verdict: str, words: list[str]
) -> None:
    result = judged(shared, name, *rows)
    assert result.verdict == verdict
    assert (result.critical or result.warnings) == 1, result.messages
    for word in words:
        assert word in result.messages[0]


@pytest.mark.parametrize(
    ("batch", "limits", "verdict", "words"),
    [
        (
            {"rows": 90, "quarantined": 10},
            {},
            "fail",
            [
                "found 10 rows in quarantine beside 90 usable",
                "a share of 0.1, allowed 0.02",
                "max_quarantine_share in source",
            ],
        ),
        (
            {"rows": 90, "quarantined": 10},
            {"max_quarantine_share": 0.1},
            "warn",
            ["found 10 rows in quarantine", "`early-warning quarantine list`"],
        ),
        ({"rows": 60, "previous_rows": 100, "mode": "snapshot"}, {}, "warn", ["shrunk_share 0.4", "previous_rows 100"]),
        (
            {"rows": 40, "previous_rows": 100, "mode": "snapshot"},
            {},
            "fail",
            ["shrunk_share 0.6", "deliver the whole file"],
        ),
        ({"rows": 40, "previous_rows": 100}, {}, "pass", []),
        (
            {"rows": 0, "mode": "snapshot"},
            {},
            "fail",
            ["found 0 usable rows", "expected: a snapshot is not empty", "why the export is empty"],
        ),
        ({"rows": 0}, {}, "pass", []),
        (
            {"state": "rejected"},
            {},
            "fail",
            ["found no delivery of it", "delivered at least once", "check path and files in source.yml"],
        ),
    ],
)
def test_delivery_is_held_to_its_limits(
    warehouse: Warehouse, batch: dict[str, Any], limits: dict[str, Any], verdict: str, words: list[str]
) -> None:
    run_id = open_run(warehouse)
    land(warehouse, run_id, "sales.products", **batch)
    result = check_source(
        warehouse, run_id, source("sales", "sales.products", mode=batch.get("mode", "append"), **limits)
    )
    assert result.verdict == verdict, result.messages
    assert len(result.messages) == (verdict != "pass")
    for word in ["source sales, sales.products", *words] if words else []:
        assert word in result.messages[0]


def test_quarantine_over_limit_names_what_is_most_often_wrong(warehouse: Warehouse) -> None:
    run_id = open_run(warehouse)
    land(warehouse, run_id, "sales.orders", quarantined=3)
    with warehouse.connect() as connection:
        batch_id = connection.execute("select max(batch_id) from ops.batch").fetchone()
        for number, column in enumerate(("amount", "amount", "ordered_at"), start=5):
            row = {
                "batch_id": batch_id[0] if batch_id else None,
                "run_id": run_id,
                "source": "sales",
                "data_set": "sales.orders",
                "source_file": FILE,
                "source_row": number,
                "column_name": column,
                "reason": "not readable",
                "remedy": "correct it",
            }
            insert(connection, "ops", "quarantine", row)
    result = check_source(warehouse, run_id, source("sales", "sales.orders"))
    assert f"{FILE} row 5, column amount, not readable (and 1 more of this kind)" in result.messages[0]


@pytest.mark.parametrize(("is_critical", "verdict"), [(True, "fail"), (False, "warn")])
def test_problem_of_delivery_is_part_of_verdict(warehouse: Warehouse, is_critical: bool, verdict: str) -> None:
    run_id = open_run(warehouse)
    land(warehouse, run_id, "sales.orders")
    problem = {
        "run_id": run_id,
        "source": "sales",
        "data_set": "sales.orders",
        "file": FILE,
        "column_name": "net",
        "is_critical": is_critical,
        "message": "the column is missing",
        "remedy": "export it again",
    }
    with warehouse.connect() as connection:
        insert(connection, "ops", "problem", problem)
    result = check_source(warehouse, run_id, source("sales", "sales.orders"))
    assert result.verdict == verdict
    assert result.messages == (
        f"source sales, sales.orders, {FILE}, column net: the column is missing → export it again",
    )


def test_other_sources_and_runs_do_not_count(warehouse: Warehouse) -> None:
    earlier = open_run(warehouse)
    land(warehouse, earlier, "finance.exchange_rates", {"rate": 0})
    run_id = open_run(warehouse)
    land(warehouse, run_id, "finance.exchange_rates", {"rate": 0}, source="bank")
    land(warehouse, run_id, "finance.invoices")
    assert check_source(warehouse, run_id, source("finance", "finance.invoices")).verdict == "pass"


def test_personal_values_are_not_shown(warehouse: Warehouse, tmp_path: Path) -> None:
    suites = own_suites(
        tmp_path, "landing/sales.customers", type="expect_column_values_to_be_null", column="contact_email"
    )
    run_id = open_run(warehouse)
    land(warehouse, run_id, "sales.customers", {"contact_email": "secret@example.com"})
    result = check_source(warehouse, run_id, source("sales", "sales.customers"), suites=suites)
    assert result.verdict == "fail"
    assert f"{FILE}, row 2, column contact_email" in result.messages[0]
    assert "secret" not in result.messages[0]


# What only all sources together can tell


def test_landing_of_known_customers_passes(warehouse: Warehouse) -> None:
    run_id = open_run(warehouse)
    land(warehouse, run_id, "sales.customers")
    land(warehouse, run_id, "finance.invoices")
    sources = [source("sales", "sales.customers"), source("finance", "finance.invoices", "finance.exchange_rates")]
    assert check_landing(warehouse, run_id, sources) == Verdict("landing", "pass", 0, 0, ())


@pytest.mark.parametrize(
    ("limit", "verdict", "words"),
    [
        (
            0.4,
            "fail",
            ["found 1 of 2 rows", "a share of 0.5, allowed 0.4", f"C9 in {FILE} row 3", "→ deliver these customers"],
        ),
        (0.5, "warn", ["found 1 of 2 rows", f"such as C9 in {FILE} row 3", "→ deliver these customers"]),
    ],
)
def test_orphans_are_held_to_the_limit(warehouse: Warehouse, limit: float, verdict: str, words: list[str]) -> None:
    run_id = open_run(warehouse)
    land(warehouse, run_id, "sales.customers", {"customer_id": "C9"}, mode="snapshot")
    land(warehouse, run_id, "sales.customers", mode="snapshot")
    land(warehouse, run_id, "finance.invoices", {}, {"customer_id": "C9", "invoice_id": "I2"})
    sources = [
        source("sales", "sales.customers", mode="snapshot"),
        source("finance", "finance.invoices", max_quarantine_share=limit),
    ]
    result = check_landing(warehouse, run_id, sources)
    assert result.verdict == verdict
    assert len(result.messages) == 1
    for word in ["finance.invoices", *words]:
        assert word in result.messages[0]


def test_customers_of_earlier_batches_are_known(warehouse: Warehouse) -> None:
    land(warehouse, open_run(warehouse), "sales.customers", state="accepted")
    run_id = open_run(warehouse)
    land(warehouse, run_id, "sales.orders")
    sources = [source("sales", "sales.customers", "sales.orders")]
    assert check_landing(warehouse, run_id, sources).verdict == "pass"


def test_landing_without_customers_fails(warehouse: Warehouse) -> None:
    result = check_landing(warehouse, open_run(warehouse), [source("sales", "sales.customers", "sales.orders")])
    assert result.verdict == "fail"
    assert "sales.customers: found 0 customers; expected: sales.customers holds customers" in result.messages[0]


def test_customers_alone_are_told(warehouse: Warehouse) -> None:
    run_id = open_run(warehouse)
    land(warehouse, run_id, "sales.customers")
    result = check_landing(warehouse, run_id, [source("sales", "sales.customers")])
    assert (result.verdict, result.warnings) == ("warn", 1)
    assert "found 1" in result.messages[0]


# What would be published

INDICATOR = {"indicator_code": "order_amount", "state": "clear", "value": 1}
ARRAYS = {
    "state": "states",
    "unknown_reason": "unknown_reasons",
    "value": "measured_values",
    "trend": "trends",
    "window_start": "window_starts",
    "window_end": "window_ends",
}
WARNING = {
    "customer_id": "C1",
    "warning_level": 3,
    "raw_level": 3,
    "level_since": AS_OF,
    "rule_codes": ["silent"],
    "indicator_codes": ["order_amount"],
    "money_at_risk_amount": 5,
}
NO_WARNING = {**WARNING, "warning_level": None, "raw_level": None, "level_since": None, "rule_codes": []}


@pytest.fixture(scope="module")
def marts(shared: Warehouse) -> Warehouse:
    """The marts that dbt builds, as far as the gate reads them."""
    with shared.connect() as connection:
        connection.execute(
            """
            create schema marts;
            create table marts.dim_customers (customer_id text, run_id bigint, state text);
            create table marts.fct_customer_indicators (
                customer_id text, run_id bigint, states text[], unknown_reasons text[],
                measured_values numeric[], trends text[], window_starts date[], window_ends date[]
            );
            create table marts.fct_customer_levels (
                customer_id text, run_id bigint, as_of_date date, warning_level integer, raw_level integer,
                level_since date, rule_codes text[], indicator_codes text[], money_at_risk_amount numeric
            );
            create table marts.fct_warning_cases (customer_id text, run_id bigint, case_id text);
            create schema staging;
            create view staging.stg_handling__actions as
            select customer_id, action_id, case_id, taken_at from landing.handling_actions;
            """
        )
    return shared


def build(
    marts: Warehouse,
    run_id: int,
    levels: list[dict[str, Any]] | None = None,
    indicators: list[dict[str, Any]] | None = None,
    states: Mapping[str, str] | None = None,
) -> None:
    """Put a run into the marts: 30 active customers without a level, and what the caller says of some of them."""
    active = {f"C{number}": "active" for number in range(1, 31)}
    known = {**active, **(states or {})}
    ruled = levels if levels is not None else [WARNING]
    unruled = [
        {**NO_WARNING, "customer_id": each} for each in active if each not in {row["customer_id"] for row in ruled}
    ]
    with marts.connect() as connection:
        for customer_id, state in known.items():
            row = {"customer_id": customer_id, "run_id": run_id, "state": state}
            insert(connection, "marts", "dim_customers", row)
        judged = indicators or [INDICATOR]
        arrays = {array: [row.get(column) for row in judged] for column, array in ARRAYS.items()}
        insert(connection, "marts", "fct_customer_indicators", {"run_id": run_id, "customer_id": "C1", **arrays})
        codes = [row["indicator_code"] for row in judged]
        connection.execute("update ops.run set indicator_codes = %s where run_id = %s", (codes, run_id))
        for row in [*ruled, *unruled]:
            insert(connection, "marts", "fct_customer_levels", {"run_id": run_id, **row})


def test_good_marts_pass(marts: Warehouse) -> None:
    first = open_run(marts)
    build(marts, first)
    run_id = open_run(marts, previous=first)
    build(marts, run_id)
    assert check_marts(marts, run_id) == Verdict("marts", "pass", 0, 0, ())


@pytest.mark.parametrize(
    ("changes", "verdict", "words"),
    [
        ({"indicators": [{**INDICATOR, "state": "fine"}]}, "fail", ["state fine", "order_amount", "customer_id C1"]),
        (
            {"indicators": [INDICATOR, {**INDICATOR, "indicator_code": "x", "state": "unknown"}]},
            "fail",
            ["an unknown indicator says why", "indicator_code x"],
        ),
        ({"indicators": [{**INDICATOR, "unknown_reason": "stale"}]}, "fail", ["unknown_reason stale"]),
        ({"indicators": [{**INDICATOR, "state": "serious", "value": None}]}, "warn", ["has its value"]),
        ({"indicators": [{**INDICATOR, "trend": "up"}]}, "warn", ["trend up"]),
        (
            {"indicators": [{**INDICATOR, "window_start": AS_OF, "window_end": date(2026, 5, 1)}]},
            "warn",
            ["window_end 2026-05-01"],
        ),
        ({"levels": [WARNING, WARNING]}, "fail", ["marts.fct_customer_levels, column customer_id"]),
        ({"levels": [{**WARNING, "warning_level": 4}]}, "fail", ["column warning_level", "customer_id C1"]),
        ({"levels": [{**WARNING, "raw_level": 0}]}, "fail", ["column raw_level"]),
        ({"levels": [{**WARNING, "level_since": None}]}, "fail", ["column level_since"]),
        ({"levels": [{**NO_WARNING, "level_since": AS_OF}]}, "fail", ["column level_since"]),
        ({"levels": [{**WARNING, "level_since": date(2026, 6, 2)}]}, "fail", ["level_since 2026-06-02"]),
        ({"levels": [{**WARNING, "rule_codes": []}]}, "fail", ["column fired_rules"]),
        ({"levels": [{**WARNING, "money_at_risk_amount": -1}]}, "fail", ["money_at_risk_amount -1"]),
        ({"levels": [{**WARNING, "money_at_risk_amount": None}]}, "fail", ["column money_at_risk_amount"]),
        ({"levels": [WARNING, {**WARNING, "customer_id": "C99"}]}, "fail", ["strangers 1"]),
        ({"states": {"C31": "active"}}, "fail", ["found 1 of 31 active customers not judged"]),
        ({"states": {"C31": "gone"}}, "fail", ["marts.dim_customers, column state", "customer_id C31"]),
        (
            {"levels": [{**WARNING, "customer_id": f"C{number}", "warning_level": 1} for number in (1, 2)]},
            "warn",
            ["found a share of 0.0667 of 30 active customers with level 1", "lower level_1_cap"],
        ),
        (
            {"levels": [{**WARNING, "customer_id": f"C{number}", "warning_level": 2} for number in range(1, 6)]},
            "warn",
            ["found a share of 0.1667 of 30 active customers"],
        ),
        ({"indicators": [{**INDICATOR, "state": "unknown", "unknown_reason": "no_data"}]}, "warn", ["unknown_share 1"]),
    ],
)
def test_bad_marts_are_named(marts: Warehouse, changes: dict[str, Any], verdict: str, words: list[str]) -> None:
    run_id = open_run(marts)
    build(marts, run_id, **changes)
    result = check_marts(marts, run_id)
    assert result.verdict == verdict
    assert len(result.messages) == 1, result.messages
    for word in ["marts", *words]:
        assert word in result.messages[0]


def test_mutes_and_actions_that_name_nobody_are_told(marts: Warehouse) -> None:
    run_id = open_run(marts)
    build(marts, run_id)
    for customer_id in ("C1", "C1000"):
        marts.execute(
            "insert into ops.mute values (%s, %s, %s, %s, 'lawsuit', 'Wu')", customer_id, run_id, AS_OF, AS_OF
        )
    with marts.connect() as connection:
        insert(connection, "marts", "fct_warning_cases", {"customer_id": "C1", "run_id": run_id, "case_id": "C1-1"})
    named = {"A1": "C1-1", "A2": "C1-l", "A3": None}
    land(marts, run_id, "handling.actions", *({"action_id": key, "case_id": case} for key, case in named.items()))
    result = check_marts(marts, run_id)
    marts.execute("delete from landing.handling_actions")  # other tests' runs would hear of them
    assert (result.verdict, len(result.messages)) == ("warn", 2)
    mute, case = result.messages
    assert "customer_id C1000" in mute
    assert "company/mutes.csv" in mute
    assert "1 of " in mute
    assert "case_id C1-l" in case
    assert "1 of " in case


@pytest.mark.parametrize(("extra", "verdict"), [(5, "pass"), (15, "warn"), (35, "fail")])
def test_customers_lost_since_the_run_before_are_noticed(marts: Warehouse, extra: int, verdict: str) -> None:
    first = open_run(marts)
    build(marts, first, states={f"L{number}": "lapsed" for number in range(extra)})
    run_id = open_run(marts, previous=first)
    build(marts, run_id)
    result = check_marts(marts, run_id)
    assert result.verdict == verdict
    assert all(f"found 30 customers, {30 + extra} in the run before" in message for message in result.messages)


def test_run_that_judges_nobody_fails(marts: Warehouse) -> None:
    run_id = open_run(marts)
    with marts.connect() as connection:
        insert(connection, "marts", "dim_customers", {"customer_id": "C1", "run_id": run_id, "state": "lapsed"})
    result = check_marts(marts, run_id)
    assert (result.verdict, result.critical) == ("fail", 1)
    assert "did the export stand still?" in result.messages[0]


# What goes wrong with the check itself


def own_suites(folder: Path, suite: str, **expectation: Any) -> Path:
    """A copy of the suites in which one holds just this expectation, a warning unless said otherwise."""
    suites = folder / "expectations"
    shutil.copytree(EXPECTATIONS, suites)
    type_, severity = expectation.pop("type"), expectation.pop("severity", "critical")
    (suites / f"{suite}.json").write_text(
        json.dumps({"expectations": [{"type": type_, "kwargs": expectation, "severity": severity, "meta": {}}]})
    )
    return suites


@pytest.mark.parametrize(
    ("expectation", "words"),
    [
        ({"type": "expect_column_values_to_be_nul", "column": "name"}, ["expect_column_values_to_be_nul"]),
        ({"type": "expect_column_values_to_be_null", "colum": "name"}, ["expectation 1 of the file"]),
        ({"type": "expect_column_values_to_be_null", "column": "nickname"}, ["nickname"]),
        (
            {"type": "unexpected_rows_expectation", "unexpected_rows_query": "select nickname from {batch}"},
            ["nickname", "does not exist"],
        ),
    ],
)
def test_expectation_that_cannot_be_checked_is_critical(
    warehouse: Warehouse, tmp_path: Path, expectation: dict[str, Any], words: list[str]
) -> None:
    suites = own_suites(tmp_path, "landing/sales.customers", severity="warning", **expectation)
    run_id = open_run(warehouse)
    land(warehouse, run_id, "sales.customers")
    result = check_source(warehouse, run_id, source("sales", "sales.customers"), suites=suites)
    assert (result.verdict, result.critical) == ("fail", 1)
    for word in ["source sales, sales.customers", "expectations/landing/sales.customers.json", *words]:
        assert word in result.messages[0]


def test_one_unreadable_column_leaves_the_rest_checked(warehouse: Warehouse, tmp_path: Path) -> None:
    suites = own_suites(tmp_path, "landing/sales.customers", type="expect_column_values_to_be_null", column="nickname")
    path = suites / "landing" / "sales.customers.json"
    real = json.loads((EXPECTATIONS / "landing" / "sales.customers.json").read_text())["expectations"]
    path.write_text(json.dumps({"expectations": [*json.loads(path.read_text())["expectations"], *real]}))
    run_id = open_run(warehouse)
    land(warehouse, run_id, "sales.customers", {"name": ""})
    result = check_source(warehouse, run_id, source("sales", "sales.customers"), suites=suites)
    assert (result.critical, result.warnings) == (1, 1)


def test_missing_suite_is_critical(warehouse: Warehouse, tmp_path: Path) -> None:
    shutil.copytree(EXPECTATIONS, tmp_path / "expectations")
    (tmp_path / "expectations" / "landing" / "sales.products.json").unlink()
    run_id = open_run(warehouse)
    land(warehouse, run_id, "sales.products")
    result = check_source(warehouse, run_id, source("sales", "sales.products"), suites=tmp_path / "expectations")
    assert result.verdict == "fail"
    assert "landing/sales.products.json" in result.messages[0]


def test_missing_mart_is_one_critical_finding(warehouse: Warehouse) -> None:
    result = check_marts(warehouse, open_run(warehouse))
    assert result.verdict == "fail"
    assert result.critical == len(list(EXPECTATIONS.glob("marts/*.json")))
    assert 'relation "marts.dim_customers" does not exist' in result.messages[0]


# What is kept


def test_results_are_stored_and_replaced_by_the_next_attempt(warehouse: Warehouse) -> None:
    def stored() -> list[dict[str, Any]]:
        return warehouse.rows("select * from ops.gate_result where run_id = %s order by gate, result_no", run_id)

    run_id = open_run(warehouse)
    land(warehouse, run_id, "sales.orders", {}, {"customer_id": "C2"}, {"customer_id": "C3"})
    orders = source("sales", "sales.orders")
    assert check_source(warehouse, run_id, orders).verdict == "fail"
    first = stored()
    failed = [row for row in first if row["verdict"] == "fail"]
    assert [
        (row["gate"], row["expectation"], row["data_set"], row["severity"], row["failed_rows"]) for row in failed
    ] == [("sales", "expect_column_values_to_be_unique(order_id)", "sales.orders", "critical", 3)]
    assert {"delivery_is_usable"} < {row["expectation"] for row in first if row["verdict"] == "pass"}
    warehouse.execute("delete from landing.sales_orders where customer_id <> 'C1'")
    assert check_source(warehouse, run_id, orders).verdict == "pass"
    assert [row["verdict"] for row in stored()] == ["pass"] * len(first)


def test_no_connection_outlives_a_gate(warehouse: Warehouse) -> None:
    check_landing(warehouse, open_run(warehouse), [source("sales", "sales.customers")])
    others = warehouse.rows(
        "select application_name from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    )
    assert others == []
