"""The table rules of ../shared/spec/distributed.md, as far as catalog, manifest and SQL show them.

They cost nothing on one PostgreSQL and let the same project run on many machines. A name in one of the lists of
exceptions below needs its reason beside it.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from early_warning import transform
from early_warning.settings import home
from early_warning.warehouse import Warehouse
from judged_by_sql import judge_by_sql, land, read_run
from oracle import Moment, read_world
from test_worked_example import EXAMPLE, RUN_DATES, TIME_ZONE

pytestmark = pytest.mark.slow

TABLES_WITHOUT_CUSTOMER = {
    "landing.finance_exchange_rates": "a rate is the same for everybody; small",
    "landing.sales_policy_signals": "about an industry; small",
    "landing.sales_products": "the catalogue; small",
    "intermediate.int_health_counted": "one row a segment",
    "intermediate.int_product_days": "products by day, whoever bought them",
    "intermediate.int_product_months_changed": "some months",
    "intermediate.int_runs_in_chain": "runs",
    "intermediate.int_scope_parameters": "a policy's parameters, once a scope; small",
    "intermediate.int_segment_rhythms": "one row a segment",
    "marts.fct_company_health": "segments",
    "marts.fct_indicator_associations": "pairs of indicators",
    "marts.fct_product_quality": "products",
    "staging.stg_ops__batches": "one row a batch",
    "staging.stg_ops__run": "one row",
}
"""Tables of facts that have no customer_id: small ones that every machine holds whole."""

BY_RECORD = "a record is known by its source's id: a newer version may name another customer"
PARTED_BY_OTHERS = {
    "base_finance__invoices": BY_RECORD,
    "base_finance__payments": BY_RECORD,
    "base_sales__competitor_signals": BY_RECORD,
    "base_sales__interactions": BY_RECORD,
    "base_sales__order_lines": BY_RECORD,
    "base_sales__orders": BY_RECORD,
    "base_handling__actions": BY_RECORD,
    "base_sales__returns": BY_RECORD,
    "base_service__surveys": BY_RECORD,
    "base_service__tickets": BY_RECORD,
    "stg_sales__products": "no customer: the catalogue, small enough to be a reference table",
    "stg_sales__policy_signals": "no customer: an industry's, small enough to be a reference table",
    "stg_ops__batches": "ops.batch is a reference table",
    "audit_policy_changes": "ops.policy_change and ops.run are reference tables",
    "int_rules_fired": "policy.level_conditions is a reference table",
    "int_levels_capped": "a cap is a share of all customers; only those with a level are ranked",
    "int_warnings": "a budget is an owner's; only those with a level are ranked",
    "int_runs_in_chain": "ops.run is a reference table",
    "int_scope_parameters": "policy.indicator_parameters is a reference table",
}
"""Models whose windows or `distinct on` don't begin with customer_id."""

FORBIDDEN = {
    "merge": r"\bmerge\s+into\b",
    "grouping sets": r"\b(grouping\s+sets|rollup|cube)\s*\(",
    "skip locked": r"\bskip\s+locked\b",
    "materialized CTE": r"\bas\s+(not\s+)?materialized\s*\(",
    "temporary table": r"\bcreate\s+(local\s+|global\s+)?temp(orary)?\s+table\b",
    "varchar": r"\b(varchar|character\s+varying|char\s*\()",
    "trigger": r"\bcreate\s+(or\s+replace\s+)?(constraint\s+)?trigger\b",
    "detach concurrently": r"\bdetach\s+partition\b.*\bconcurrently\b",
}
IN_MODELS_TOO = {
    "limit": r"\blimit\s+\d",
    "values": r"\bvalues\s*\(",
    "customer_id not plain": r"\bcoalesce\(\s*[\w.]*customer_id\b",
}

EXCEPTIONS = {
    # both sides of its full join carry the customer; it is the join's own column
    "int_invoice_balances": ["customer_id not plain"],
    # the scores of a back-test and what a search tries are one session's own
    "beside.sql": ["temporary table"],
    "breached.sql": ["temporary table"],
    "compared.sql": ["temporary table"],
    "measured.sql": ["temporary table"],
    "placed.sql": ["temporary table"],
    "room.sql": ["temporary table"],
    "scored.sql": ["temporary table"],
}


@dataclass(frozen=True)
class Built:
    """A warehouse with two published days, and what dbt says of the project that built them, each day."""

    warehouse: Warehouse
    runs: tuple[int, int]
    manifests: tuple[dict[str, Any], dict[str, Any]]

    @property
    def nodes(self) -> list[dict[str, Any]]:
        """Models, seeds, tests and operations of the first day, on which everything was built."""
        return list(self.manifests[0]["nodes"].values())

    @property
    def models(self) -> list[dict[str, Any]]:
        return [node for node in self.nodes if node["resource_type"] == "model"]

    @property
    def compiled(self) -> Iterator[tuple[str, str]]:
        """Name and SQL of each model, as made on the first day and as brought up to date on the second."""
        for manifest in self.manifests:
            for node in manifest["nodes"].values():
                if node["resource_type"] == "model" and "compiled_code" in node:
                    yield node["name"], without_comments(node["compiled_code"])

    def hook(self, call: str) -> str:
        """What a hook's macro says."""
        called = re.search(r"\w+", call)
        macro = self.manifests[0]["macros"].get(f"macro.early_warning.{called and called[0]}")
        return str(macro["macro_sql"]) if macro else call

    def catalog(self, query: str) -> list[dict[str, Any]]:
        """Rows of a query over the catalog; `ours` in it is the condition that schema.nspname isn't PostgreSQL's."""
        ours = "schema.nspname not in ('information_schema', 'public') and schema.nspname not like 'pg\\_%'"
        return self.warehouse.rows(query.replace("{ours}", ours))


@pytest.fixture(scope="module")
def built(postgres: Any) -> Iterator[Built]:
    warehouse = postgres.create()
    land(warehouse, read_world(EXAMPLE), TIME_ZONE)
    days = []
    for day in RUN_DATES[1:]:
        run_id = judge_by_sql(warehouse, Moment.midnight_after(day, TIME_ZONE), TIME_ZONE)
        days.append((run_id, json.loads((home() / "dbt" / "target" / "manifest.json").read_text(encoding="utf-8"))))
    (first, made), (second, kept) = days
    built = Built(warehouse, (first, second), (made, kept))
    assert {name for name, _ in built.compiled} == {model["name"] for model in built.models}
    yield built
    postgres.drop(warehouse)


# --- rules 1 and 2: the customer first -----------------------------------------------------------------------------


def test_customer_id_is_the_first_column_wherever_it_is_one(built: Built) -> None:
    others = built.catalog(
        "select schema.nspname || '.' || relname as relation, attnum from pg_attribute"
        " inner join pg_class on attrelid = pg_class.oid"
        " inner join pg_namespace as schema on relnamespace = schema.oid"
        " where attname = 'customer_id' and attnum > 1 and relkind in ('r', 'p', 'v', 'm') and {ours}"
    )
    assert others == []


def test_every_table_of_facts_has_customer_id_text_not_null(built: Built) -> None:
    tables = built.catalog(
        "select schema.nspname || '.' || relname as name, format_type(atttypid, atttypmod) as type, attnotnull"
        " from pg_class inner join pg_namespace as schema on relnamespace = schema.oid"
        " left join pg_attribute on attrelid = pg_class.oid and attname = 'customer_id'"
        " where relkind in ('r', 'p') and {ours}"
    )
    references = {"ops", "policy", "words"}
    columns = {table["name"]: (table["type"], table["attnotnull"]) for table in tables}
    without = {name for name, (type_, _) in columns.items() if not type_ and name.split(".")[0] not in references}
    assert {column for column in columns.values() if column[0]} == {("text", True)}, columns
    assert without - TABLES_WITHOUT_CUSTOMER.keys() == set(), "a fact without customer_id, or a reason is missing above"


def test_every_table_has_a_primary_key(built: Built) -> None:
    without = built.catalog(
        "select schema.nspname || '.' || relname as name from pg_class"
        " inner join pg_namespace as schema on relnamespace = schema.oid"
        " where relkind in ('r', 'p') and {ours} and not relispartition"
        " and not exists (select from pg_constraint where conrelid = pg_class.oid and contype = 'p')"
    )
    assert without == []


def test_customer_id_comes_first_in_every_key_and_is_part_of_every_reference(built: Built) -> None:
    keys = built.catalog(
        "select indexrelid::regclass::text as name from pg_index"
        " inner join pg_class on indrelid = pg_class.oid"
        " inner join pg_namespace as schema on relnamespace = schema.oid"
        " inner join pg_attribute on attrelid = indrelid and attname = 'customer_id'"
        " where indisunique and indkey[0] <> attnum and {ours}"
    )
    references = built.catalog(
        "select conname as name from pg_constraint"
        " inner join pg_class on conrelid = pg_class.oid"
        " inner join pg_namespace as schema on relnamespace = schema.oid"
        " inner join pg_attribute on attrelid = conrelid and attname = 'customer_id'"
        " where contype = 'f' and attnum <> all(conkey) and {ours}"
    )
    assert keys + references == []


# --- rules 3 to 8: what SQL may say --------------------------------------------------------------------------------


def without_comments(code: str) -> str:
    """Lower-case SQL without its comments, Jinja's included."""
    return re.sub(r"\{#.*?#\}|/\*.*?\*/|--[^\n]*", " ", code, flags=re.DOTALL).lower()


def found(code: str, rules: dict[str, str]) -> list[str]:
    return [name for name, pattern in rules.items() if re.search(pattern, without_comments(code))]


def test_rows_are_parted_by_customer(built: Built) -> None:
    parted = re.compile(r"(?:distinct\s+on\s*\(|partition\s+by)\s*(?:\w+\.)?(\w+)")
    others = {name: columns for name, code in built.compiled if (columns := {*parted.findall(code)} - {"customer_id"})}
    assert others.keys() - PARTED_BY_OTHERS.keys() == set(), others


def test_models_are_made_in_ways_that_a_distributed_warehouse_knows(built: Built) -> None:
    for model in built.models:
        config = model["config"]
        assert config["materialized"] in ("table", "view", "incremental"), model["name"]
        if config["materialized"] != "incremental":
            continue
        assert config["incremental_strategy"] in ("append", "delete+insert"), model["name"]
        if config["incremental_strategy"] == "append":
            hooks = [built.hook(hook["sql"]) for hook in config["pre-hook"]]
            assert any("delete from" in hook for hook in hooks), f"{model['name']} may append rows twice"


def test_sql_of_dbt_keeps_to_what_a_distributed_warehouse_can(built: Built) -> None:
    for name, code in built.compiled:
        assert found(code, FORBIDDEN | IN_MODELS_TOO) == EXCEPTIONS.get(name, []), name
    log = (home() / "dbt" / "logs" / "dbt.log").read_text(encoding="utf-8")
    assert "insert into" in log
    assert found(log, FORBIDDEN) == [], "in what dbt made of it"
    files = [path for path in transform.DBT_PROJECT.rglob("*.sql") if "target" not in path.parts]
    assert files
    for path in files:
        assert found(path.read_text(encoding="utf-8"), FORBIDDEN) == [], path.name


def test_hooks_are_one_statement_each(built: Built) -> None:
    for node in built.nodes:
        for hook in (*node["config"].get("pre-hook", ()), *node["config"].get("post-hook", ())):
            assert ";" not in hook["sql"].strip().rstrip(";"), node["name"]


def test_sql_of_the_platform_keeps_to_what_a_distributed_warehouse_can() -> None:
    package = Path(transform.__file__).parent
    scripts = [*package.rglob("*.sql")]
    assert scripts
    for script in scripts:
        assert found(script.read_text(encoding="utf-8"), FORBIDDEN) == EXCEPTIONS.get(script.name, []), script.name
    for module in package.rglob("*.py"):
        if module.relative_to(package).parts[0] in ("demo", "extract"):  # speak to DuckDB and to sources' databases
            continue
        for statement in executed(ast.parse(module.read_text(encoding="utf-8"))):
            assert found(statement, FORBIDDEN) == [], f"{module.name}: {statement}"
            assert ";" not in statement.strip().rstrip(";"), f"{module.name}: two statements in one: {statement}"


def executed(tree: ast.AST) -> Iterator[str]:
    """Literal SQL that a module hands over; the variable parts of an f-string are left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            is_sql = node.func.attr in ("execute", "executemany", "rows", "copy", "SQL")
            for argument in node.args[:1] if is_sql else ():
                parts = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
                yield "".join(
                    part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)
                )


def test_tables_have_neither_triggers_nor_limited_texts(built: Built) -> None:
    triggers = built.catalog(
        "select tgname as name from pg_trigger inner join pg_class on tgrelid = pg_class.oid"
        " inner join pg_namespace as schema on relnamespace = schema.oid where not tgisinternal and {ours}"
    )
    texts = built.catalog(
        "select attrelid::regclass || '.' || attname as name from pg_attribute"
        " inner join pg_class on attrelid = pg_class.oid inner join pg_namespace as schema on relnamespace = schema.oid"
        " where atttypid in ('varchar'::regtype, 'bpchar'::regtype) and relkind in ('r', 'p', 'v', 'm') and {ours}"
    )
    assert triggers + texts == []


# --- rule 9: publish in two transactions ---------------------------------------------------------------------------


def rows_of_run(built: Built, run_id: int) -> set[tuple[Any, ...]]:
    """Where each row of a run lies in the marts and which transaction wrote it."""
    tables = [row["name"] for row in built.warehouse.rows(_TABLES_BY_RUN)]
    assert len(tables) >= 3
    return {
        (table, *row.values())
        for table in tables
        for row in built.warehouse.rows(
            f"select ctid::text, xmin::text::bigint as written_by, xmax::text from {table} where run_id = %s", run_id
        )
    }


_TABLES_BY_RUN = (
    "select attrelid::regclass::text as name from pg_attribute inner join pg_class on attrelid = pg_class.oid"
    " where attname = 'run_id' and relkind in ('r', 'p') and relnamespace = 'marts'::regnamespace"
)


def test_pointer_moves_in_a_later_transaction_than_the_rows(built: Built) -> None:
    for run_id in built.runs:
        [pointer] = built.warehouse.rows(
            "select xmin::text::bigint as moved_by from ops.publication where run_id = %s", run_id
        )
        writers = {row[2] for row in rows_of_run(built, run_id)}
        assert writers
        assert max(writers) < pointer["moved_by"]


def test_rows_that_the_pointer_shows_are_never_written_again(built: Built) -> None:
    first, _ = built.runs
    before = rows_of_run(built, first)
    judge_by_sql(built.warehouse, Moment.midnight_after(RUN_DATES[1], TIME_ZONE), TIME_ZONE)
    assert rows_of_run(built, first) == before


# --- rule 10: distribution -----------------------------------------------------------------------------------------

STAND_IN = """
create table public.placed (relation regclass, by_column text, rows bigint);
create function public.create_distributed_table(relation regclass, by_column text) returns void language plpgsql as $$
declare
    rows bigint;
begin
    execute format('select count(*) from %s', relation) into rows;
    insert into public.placed values (relation, by_column, rows);
end
$$;
create function public.create_reference_table(relation regclass) returns void language sql as
'select public.create_distributed_table(relation, null)';
"""
"""What the extension offers, as far as dbt calls it: it remembers what it was asked to place, and when."""


def test_tables_are_placed_before_their_rows_come_where_the_extension_is(built: Built, warehouse: Warehouse) -> None:
    warehouse.execute(STAND_IN)
    land(warehouse, read_world(EXAMPLE), TIME_ZONE)
    first, second = (judge_by_sql(warehouse, Moment.midnight_after(day, TIME_ZONE), TIME_ZONE) for day in RUN_DATES[1:])

    by_dbt = {f"{node['schema']}.{node['alias']}" for node in built.models if node["config"]["materialized"] != "view"}
    with_customer = {
        row["name"]
        for row in warehouse.rows(
            "select attrelid::regclass::text as name from pg_attribute where attname = 'customer_id'"
        )
    }
    placed = warehouse.rows(
        "select relation::text as name, by_column, rows from public.placed"
        " where exists (select from pg_class where oid = relation)"
    )
    assert {row["name"] for row in placed} == by_dbt, "each table once, no temporary one"
    assert len(placed) == len(by_dbt)
    assert {row["name"] for row in placed if row["by_column"] == "customer_id"} == by_dbt & with_customer
    assert {row["by_column"] for row in placed} <= {"customer_id", None}
    assert warehouse.rows("select relation from public.placed where rows > 0") == []

    for plain, spread in zip(built.runs, (first, second), strict=True):
        assert figures(warehouse, spread) == figures(built.warehouse, plain)
    assert shapes(warehouse) == shapes(built.warehouse)


def figures(warehouse: Warehouse, run_id: int) -> dict[str, list[dict[str, Any]]]:
    """A run's rows without their run id, in order of their key."""
    return {
        table: [
            {name: value for name, value in row.items() if name != "run_id"}
            for _, row in sorted(rows.items(), key=lambda entry: entry[0])
        ]
        for table, rows in read_run(warehouse, run_id).items()
    }


def shapes(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Columns, keys and indexes of the marts."""
    return warehouse.rows(
        "select attrelid::regclass::text as relation, attname, format_type(atttypid, atttypmod) as type, attnotnull,"
        " array(select pg_get_constraintdef(oid) from pg_constraint where conrelid = attrelid order by 1) as keys,"
        " (select count(*) from pg_index where indrelid = attrelid) as indexes"
        " from pg_attribute inner join pg_class on attrelid = pg_class.oid"
        " where relnamespace = 'marts'::regnamespace and attnum > 0 and relkind = 'r' order by 1, attnum"
    )
