"""The policy CSVs at the door: every mistake told with its place, one hash for one meaning, stored once."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from early_warning import policy
from early_warning.problems import ConfigurationError, Problem
from early_warning.settings import PROJECT
from early_warning.warehouse import Warehouse, migrate
from exceptions import with_exceptions

SHIPPED = PROJECT / "company" / "policy"
Row = dict[str, str]
Mistake = Callable[[list[Row]], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped policy."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "policy"))


def edit(folder: Path, table: str, change: Mistake) -> None:
    """Let a function change the rows of a CSV, and write them back."""
    path = folder / f"{table}.csv"
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    change(rows)
    with path.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def problems(folder: Path) -> tuple[Problem, ...]:
    with pytest.raises(ConfigurationError) as caught:
        policy.load(folder)
    return caught.value.problems


def put(row: int, **cells: str) -> Mistake:
    """Write cells of a row, counted as in the file (the header is row 1)."""
    return lambda rows: rows[row - 2].update(cells)


def repeat(row: int) -> Mistake:
    return lambda rows: rows.append(dict(rows[row - 2]))


def drop(**cells: str) -> Mistake:
    """Leave out the rows that hold these cells."""
    return lambda rows: rows.__setitem__(
        slice(None), [row for row in rows if any(row[name] != cell for name, cell in cells.items())]
    )


def row_of(table: str, **cells: str) -> int:
    """Number of the first row of the shipped policy that holds these cells."""
    with (SHIPPED / f"{table}.csv").open(encoding="utf-8", newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines), start=2):
            if cells.items() <= row.items():
                return number
    raise LookupError(f"{table}.csv has no row {cells}")


ALL_OF = row_of("level_rules", kind="all_of")
COUNT_OF = row_of("level_rules", kind="count_of")
BY_STATE = row_of("level_conditions", measure="state")
BY_MEASURE = row_of("level_conditions", measure="silence_days")
PARAMETER = row_of("indicator_parameters", indicator_code="overdue_days", parameter="days")
WATCH_ONLY = row_of("indicator_parameters", indicator_code="rhythm_break", parameter="days")
MONTHS = row_of("indicator_parameters", indicator_code="order_amount", parameter="months")
SHARED = row_of("indicator_parameters", parameter="baseline_months")
NORMAL = row_of("response_standards", priority="normal")
FREQUENCY = row_of("indicators", indicator_code="order_frequency")
COOLDOWN = row_of("hysteresis_and_budget", parameter="cooldown_days")
CAP = row_of("hysteresis_and_budget", parameter="level_1_cap")
DEADLINE = row_of("hysteresis_and_budget", parameter="level_2_deadline_hours")
MEASURE = row_of("playbook", department="finance", subject="arrears", warning_level="", step="1")
NEXT_MEASURE = row_of("playbook", department="finance", subject="arrears", step="2")
FACTOR = row_of("hysteresis_and_budget", parameter="product_factor")
WINDOW = row_of("hysteresis_and_budget", parameter="product_window_days")
HORIZON = row_of("outcomes", parameter="horizon_days")
COLLAPSED = row_of("outcomes", parameter="collapsed_share")
NUMBERED = len((SHIPPED / "response_standards.csv").read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize(
    ("table", "mistake", "row", "column", "message", "remedy"),
    [
        # a cell that can't be read
        (
            "indicators",
            put(FREQUENCY, indicator_code="order_rate"),
            FREQUENCY,
            "indicator_code",
            "'order_rate' is unknown; use one of average_order_value",
            "correct",
        ),
        (
            "indicators",
            put(FREQUENCY, family="orders"),
            FREQUENCY,
            "family",
            "'orders' is unknown; use one of demand",
            "correct",
        ),
        (
            "indicators",
            put(FREQUENCY, department="marketing"),
            FREQUENCY,
            "department",
            "'marketing' is unknown",
            "correct",
        ),
        (
            "indicators",
            put(FREQUENCY, also_departments="sales;hr"),
            FREQUENCY,
            "also_departments",
            "'hr' is unknown",
            "correct",
        ),
        (
            "indicators",
            put(FREQUENCY, direction="down"),
            FREQUENCY,
            "direction",
            "'down' is unknown; use one of low, high",
            "correct",
        ),
        ("indicators", put(FREQUENCY, is_key="yes"), FREQUENCY, "is_key", "'yes' is neither true nor false", "correct"),
        ("indicators", put(FREQUENCY, name=""), FREQUENCY, "name", "is empty", "correct"),
        (
            "indicator_parameters",
            put(PARAMETER, serious="thirty"),
            PARAMETER,
            "serious",
            "'thirty' is not a number",
            "correct",
        ),
        (
            "indicator_parameters",
            put(PARAMETER, serious="-1"),
            PARAMETER,
            "serious",
            "'-1' is not a number of 0 or more",
            "correct",
        ),
        ("indicator_parameters", put(PARAMETER, watch="NaN"), PARAMETER, "watch", "'NaN' is not a number", "correct"),
        ("indicator_parameters", put(PARAMETER, serious=""), PARAMETER, "serious", "is empty", "serious state"),
        (
            "indicator_parameters",
            put(WATCH_ONLY, serious="90"),
            WATCH_ONLY,
            "serious",
            "rhythm_break has no serious state",
            "under watch",
        ),
        (
            "indicator_parameters",
            put(SHARED, serious="2.5"),
            SHARED,
            "serious",
            "2.5 is not a whole number",
            "are whole",
        ),
        (
            "indicator_parameters",
            put(MONTHS, serious="0", watch="0"),
            MONTHS,
            "serious",
            "months can't be 0",
            "greater number",
        ),
        (
            "level_conditions",
            put(BY_STATE, indicator_code="rhythm_break", value="serious"),
            BY_STATE,
            "value",
            "rhythm_break has no serious state",
            "correct",
        ),
        ("indicator_parameters", put(WATCH_ONLY, watch=""), WATCH_ONLY, "watch", "is empty", "no other state"),
        (
            "indicator_parameters",
            put(SHARED, watch="5"),
            SHARED,
            "watch",
            "baseline_months is one value for both states",
            "leave watch empty",
        ),
        (
            "indicator_parameters",
            put(PARAMETER, indicator_code="overdue"),
            PARAMETER,
            "indicator_code",
            "'overdue' is unknown",
            "correct",
        ),
        (
            "level_rules",
            put(ALL_OF, kind="any_of"),
            ALL_OF,
            "kind",
            "'any_of' is unknown; use one of all_of, count_of",
            "correct",
        ),
        (
            "level_rules",
            put(ALL_OF, warning_level="4"),
            ALL_OF,
            "warning_level",
            "'4' is unknown; use one of 1, 2, 3",
            "correct",
        ),
        ("level_rules", put(COUNT_OF, how_many="1.5"), COUNT_OF, "how_many", "'1.5' is not a whole number", "correct"),
        ("level_rules", put(COUNT_OF, least_state="clear"), COUNT_OF, "least_state", "'clear' is unknown", "correct"),
        (
            "level_rules",
            put(COUNT_OF, among_families="demand;moods"),
            COUNT_OF,
            "among_families",
            "'moods' is unknown",
            "correct",
        ),
        (
            "level_conditions",
            put(BY_MEASURE, indicator_code="silence"),
            BY_MEASURE,
            "indicator_code",
            "'silence' is unknown",
            "correct",
        ),
        (
            "level_conditions",
            put(BY_MEASURE, operator="=>"),
            BY_MEASURE,
            "operator",
            "'=>' is unknown; use one of >=",
            "correct",
        ),
        ("response_standards", put(NORMAL, hours="soon"), NORMAL, "hours", "'soon' is not a number", "correct"),
        (
            "hysteresis_and_budget",
            put(COOLDOWN, parameter="cool_down"),
            COOLDOWN,
            "parameter",
            "'cool_down' is unknown",
            "correct",
        ),
        (
            "response_standards",
            repeat(NORMAL),
            NUMBERED + 1,
            "priority",
            f"repeats row {NORMAL}",
            "keep one of the two",
        ),
        # entries that contradict each other
        (
            "indicator_parameters",
            put(PARAMETER, parameter="weeks"),
            PARAMETER,
            "parameter",
            "overdue_days has no parameter 'weeks'",
            "use one of days, least_amount",
        ),
        (
            "indicator_parameters",
            drop(indicator_code="order_frequency", parameter="months"),
            FREQUENCY,
            "indicator_code",
            "order_frequency lacks its parameter months",
            "add it to indicator_parameters.csv",
        ),
        ("level_rules", put(COUNT_OF, how_many=""), COUNT_OF, "how_many", "a count_of rule needs it", "fill it in"),
        (
            "level_rules",
            put(COUNT_OF, how_many="1", families="2"),
            COUNT_OF,
            "families",
            "more families than indicators",
            "lower it",
        ),
        (
            "level_conditions",
            drop(rule_code="overdue_beyond_60_days"),
            row_of("level_rules", rule_code="overdue_beyond_60_days"),
            "rule_code",
            "has no condition",
            "level_conditions.csv",
        ),
        (
            "level_conditions",
            put(BY_MEASURE, rule_code="nobody_knows"),
            BY_MEASURE,
            "rule_code",
            "'nobody_knows' is no all_of rule",
            "level_rules.csv",
        ),
        (
            "level_conditions",
            put(BY_MEASURE, measure="silent_weeks"),
            BY_MEASURE,
            "measure",
            "has no measure 'silent_weeks'",
            "use one of state, days_since_last_order, silence_days",
        ),
        ("level_conditions", put(BY_MEASURE, value="long"), BY_MEASURE, "value", "'long' is not a number", "correct"),
        (
            "level_conditions",
            put(BY_STATE, value="grave"),
            BY_STATE,
            "value",
            "a state is compared by = or >=",
            "correct",
        ),
        (
            "level_conditions",
            put(BY_STATE, operator="<"),
            BY_STATE,
            "value",
            "a state is compared by = or >=",
            "correct",
        ),
        (
            "indicators",
            drop(indicator_code="satisfaction"),
            row_of("level_conditions", indicator_code="satisfaction"),
            "indicator_code",
            "satisfaction is not in indicators.csv",
            "add it there",
        ),
        ("response_standards", put(NORMAL, hours="0"), NORMAL, "hours", "zero hours", "positive number"),
        ("response_standards", drop(priority="normal"), None, None, "the priority normal is missing", "add it"),
        (
            "hysteresis_and_budget",
            put(FACTOR, value="0.5"),
            FACTOR,
            "value",
            "product_factor can't be below 1",
            "greater",
        ),
        ("hysteresis_and_budget", put(WINDOW, value="0"), WINDOW, "value", "can't be below 1", "greater"),
        ("hysteresis_and_budget", put(WINDOW, value="30.5"), WINDOW, "value", "30.5 is not a whole", "whole"),
        (
            "hysteresis_and_budget",
            drop(parameter="inactive_days"),
            None,
            "parameter",
            "inactive_days is missing",
            "add it",
        ),
        ("hysteresis_and_budget", put(COOLDOWN, value="1.5"), COOLDOWN, "value", "not a whole number", "are whole"),
        ("hysteresis_and_budget", put(CAP, value="1.01"), CAP, "value", "1.01 is more than all", "1 is no cap"),
        ("hysteresis_and_budget", put(DEADLINE, value="0"), DEADLINE, "value", "zero hours", "positive number"),
        ("outcomes", put(HORIZON, value="0"), HORIZON, "value", "0 is no number of days", "from 1 on"),
        ("outcomes", put(HORIZON, value="90.5"), HORIZON, "value", "90.5 is no number of days", "whole"),
        ("outcomes", put(COLLAPSED, value="20"), COLLAPSED, "value", "20 is more than all", "share"),
        ("outcomes", drop(parameter="recovery_days"), None, "parameter", "recovery_days is missing", "add it"),
        ("playbook", put(MEASURE, subject="debts"), MEASURE, "subject", "'debts' is unknown", "correct"),
        ("playbook", put(MEASURE, action_zh_tw=""), MEASURE, "action_zh_tw", "is empty", "correct"),
        ("playbook", put(MEASURE, step="0"), MEASURE, "step", "0 is no step", "first measure is 1"),
        (
            "playbook",
            repeat(MEASURE),
            len((SHIPPED / "playbook.csv").read_text(encoding="utf-8").splitlines()) + 1,
            "department",
            f"repeats row {MEASURE}",
            "keep one",
        ),
        (
            "playbook",
            drop(department="finance", subject="arrears", step="1"),
            NEXT_MEASURE - 2,
            "step",
            "no first measure comes before it",
            "add one with step 1",
        ),
        (
            "playbook",
            drop(department="service", subject="satisfaction"),
            row_of("indicators", indicator_code="satisfaction"),
            "department",
            "service has no measure for satisfaction or satisfaction",
            "to playbook.csv",
        ),
        (
            "playbook",
            drop(department="finance", subject="demand_and_arrears"),
            None,
            "subject",
            "finance has no measure for demand_and_arrears",
            "add a row with step 1",
        ),
    ],
)
def test_wrong_entry_is_told_with_file_row_column_and_remedy(
    folder: Path, table: str, mistake: Mistake, row: int | None, column: str | None, message: str, remedy: str
) -> None:
    edit(folder, table, mistake)
    told = [problem for problem in problems(folder) if message in problem.message]
    assert [(problem.row, problem.column) for problem in told[:1]] == [(row, column)]
    assert told[0].file in (f"{table}.csv", "indicators.csv", "level_rules.csv", "level_conditions.csv")
    assert remedy in told[0].remedy
    assert str(told[0]).startswith(f"{told[0].file}")


def test_unknown_and_missing_columns_are_told_in_the_header(folder: Path) -> None:
    path = folder / "response_standards.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("hours", "days", 1), encoding="utf-8")
    assert [(problem.file, problem.row, problem.column, problem.message) for problem in problems(folder)] == [
        ("response_standards.csv", 1, "days", "unknown column"),
        ("response_standards.csv", 1, "hours", "the column is missing"),
    ]


def test_missing_file_and_other_encoding_are_told(folder: Path) -> None:
    (folder / "level_rules.csv").unlink()
    indicators = folder / "indicators.csv"
    indicators.write_bytes(indicators.read_text(encoding="utf-8").encode("gb18030"))
    missing, encoded = sorted(problems(folder), key=lambda problem: str(problem.file), reverse=True)
    assert (missing.file, missing.message) == ("level_rules.csv", "the file is missing")
    assert "rule_code" in missing.remedy
    assert encoded.file == "indicators.csv"
    assert "not UTF-8" in encoded.message
    assert "UTF-8" in encoded.remedy


def test_mistakes_in_several_files_are_told_at_once(folder: Path) -> None:
    edit(folder, "indicators", put(FREQUENCY, family="orders"))
    edit(folder, "indicator_parameters", put(PARAMETER, serious="thirty"))
    edit(folder, "level_rules", lambda rows: [put(ALL_OF, kind="any_of")(rows), put(COUNT_OF, how_many="x")(rows)])
    assert [(problem.file, problem.row, problem.column) for problem in problems(folder)] == [
        ("indicators.csv", FREQUENCY, "family"),
        ("indicator_parameters.csv", PARAMETER, "serious"),
        *sorted([("level_rules.csv", ALL_OF, "kind"), ("level_rules.csv", COUNT_OF, "how_many")]),
    ]


# Exceptions: other values for some customers or some days

LAST = len((SHIPPED / "indicator_parameters.csv").read_text(encoding="utf-8").splitlines())
HISTORY = row_of("indicator_parameters", indicator_code="order_amount", parameter="baseline_months")
SHORTEST = row_of("indicator_parameters", indicator_code="order_amount", parameter="min_baseline_months")


def overdue(serious: str = "45", watch: str = "", *scope: str) -> tuple[str, ...]:
    """An exception to the days of overdue_days."""
    return ("overdue_days", "days", serious, watch, *scope)


@pytest.mark.parametrize(
    ("exceptions", "column", "message"),
    [
        ([overdue("45", "", "", "", "", "2026-02-30")], "valid_from", "'2026-02-30' is not a date"),
        ([overdue("45", "", "", "", "", "2026-03-02", "2026-03-01")], "valid_until", "ends before 2026-03-02"),
        ([overdue("45", "50", "retail")], "watch", "watch 50 is graver than serious 45"),
        ([overdue("", "20", "retail")], "serious", "is empty"),
        ([overdue("4.5", "", "retail")], "serious", "4.5 is not a whole number"),
        ([("overdue_days", "weeks", "3", "", "retail")], "parameter", "has no parameter 'weeks'"),
        ([overdue("45", "", "retail"), overdue("50", "", "retail")], "indicator_code", f"repeats row {LAST + 1}"),
        (
            [overdue("45", "", "", "steel", "", "2026-01-01"), overdue("50", "", "", "steel", "", "", "2026-01-01")],
            "valid_from",
            f"valid on days on which row {LAST + 1} is valid for the same customers",
        ),
        (
            [overdue("45", "", "", "", "", "2026-01-01", "2026-01-31"), overdue("50", "", "", "", "", "2026-01-31")],
            "valid_from",
            f"valid on days on which row {LAST + 1} is valid for the same customers",
        ),
        (
            [("order_amount", "min_baseline_months", "13", "", "retail")],
            "serious",
            f"12 months are never the 13 that row {LAST + 1} asks for",
        ),
        (
            [("order_amount", "baseline_months", "2", "", "", "", "north", "2026-01-01")],
            "serious",
            f"2 months are never the 3 that row {SHORTEST} asks for",
        ),
        (
            [  # for retail in the north the segment's entry counts, which is too long
                ("order_amount", "baseline_months", "6", "", "", "", "north"),
                ("order_amount", "min_baseline_months", "9", "", "retail"),
            ],
            "serious",
            f"6 months are never the 9 that row {LAST + 2} asks for",
        ),
    ],
)
def test_wrong_exception_is_told_with_its_row(
    folder: Path, exceptions: list[tuple[str, ...]], column: str, message: str
) -> None:
    [problem] = problems(with_exceptions(folder, exceptions))
    assert (problem.file, problem.column) == ("indicator_parameters.csv", column)
    is_of_everybody = message.startswith("12 months")
    is_first = "never" in message
    assert problem.row == (HISTORY if is_of_everybody else LAST + 1 if is_first else LAST + len(exceptions))
    assert message in problem.message
    assert problem.remedy


@pytest.mark.parametrize(
    "exceptions",
    [
        [overdue("45", "", "retail"), overdue("50", "", "", "steel"), overdue("55", "", "retail", "steel")],
        [overdue("45", "", "retail"), overdue("50", "", "retail", "", "", "2026-01-01")],
        [overdue("45", "", "", "", "", "", "2026-01-31"), overdue("50", "", "", "", "", "2026-02-01")],
        [("order_amount", "baseline_months", "0", "", "retail")],
        [  # together they make sense, though neither does with the other's entry for everybody
            ("order_amount", "baseline_months", "24", "", "retail"),
            ("order_amount", "min_baseline_months", "18", "", "retail"),
        ],
    ],
)
def test_exceptions_of_which_one_counts_are_taken(folder: Path, exceptions: list[tuple[str, ...]]) -> None:
    rows = policy.load(with_exceptions(folder, exceptions)).tables["indicator_parameters"]
    assert len(rows) == LAST - 1 + len(exceptions)


def test_baseline_that_is_never_long_enough_is_refused_for_everybody_too(folder: Path) -> None:
    edit(folder, "indicator_parameters", put(HISTORY, serious="2"))
    [problem] = problems(folder)
    assert (problem.row, problem.column) == (HISTORY, "serious")
    assert problem.message == f"2 months are never the 3 that row {SHORTEST} asks for"


@pytest.mark.parametrize("scope", [("retail",), ("", "", "", "2026-01-01")])
def test_exception_does_not_stand_for_everybody(folder: Path, scope: tuple[str, ...]) -> None:
    with_exceptions(folder, [overdue("45", "", *scope)])
    edit(folder, "indicator_parameters", lambda rows: rows.pop(PARAMETER - 2))
    [problem] = problems(folder)
    assert (problem.file, problem.message) == ("indicators.csv", "overdue_days lacks its parameter days")
    assert "for all customers and all days" in problem.remedy


def test_hash_is_the_same_with_and_without_empty_columns_and_differs_for_an_exception(folder: Path) -> None:
    shipped = policy.load(SHIPPED).policy_hash
    assert policy.load(with_exceptions(folder, [])).policy_hash == shipped
    assert policy.load(with_exceptions(folder, [overdue("30", "10", "retail")])).policy_hash != shipped


def test_home_of_an_earlier_version_keeps_its_policies(warehouse: Warehouse, folder: Path) -> None:
    policy.store(warehouse, policy.load(SHIPPED))
    warehouse.execute(
        "alter table policy.indicator_parameters drop column specificity, drop column segment, drop column industry,"
        " drop column region, drop column valid_from, drop column valid_until,"
        " add primary key (policy_hash, indicator_code, parameter)"
    )
    warehouse.execute("delete from ops.migration")
    migrate(warehouse)
    policy.store(warehouse, policy.load(with_exceptions(folder, [overdue("45", "", "retail")])))
    found = warehouse.rows(
        "select serious, segment from policy.indicator_parameters where indicator_code = 'overdue_days'"
        " and parameter = 'days' order by specificity, serious"
    )
    assert [(row["serious"], row["segment"]) for row in found] == [(30, ""), (30, ""), (45, "retail")]


# One hash for one meaning


def test_hash_is_the_same_for_other_orders_of_rows_spellings_and_line_ends(folder: Path) -> None:
    edit(folder, "indicators", lambda rows: rows.reverse())
    edit(folder, "level_conditions", lambda rows: rows.reverse())
    edit(folder, "indicator_parameters", put(PARAMETER, serious="30.0", watch="1E+1"))
    for path in folder.glob("*.csv"):
        path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig", newline="\r\n")
    assert policy.load(folder).policy_hash == policy.load(SHIPPED).policy_hash


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("indicator_parameters", put(PARAMETER, serious="31")),
        ("indicator_parameters", put(PARAMETER, watch="")),
        ("level_rules", put(ALL_OF, warning_level="3")),
        ("level_conditions", put(BY_MEASURE, operator=">=")),
        ("response_standards", put(NORMAL, hours="24.5")),
        ("hysteresis_and_budget", put(COOLDOWN, value="8")),
        ("outcomes", put(HORIZON, value="180")),
        ("indicators", put(FREQUENCY, is_key="false")),
    ],
)
def test_hash_differs_for_another_policy(folder: Path, table: str, change: Mistake) -> None:
    edit(folder, table, change)
    assert policy.load(folder).policy_hash != policy.load(SHIPPED).policy_hash


def test_hash_does_not_depend_on_recipients(tmp_path: Path) -> None:
    company = Path(shutil.copytree(PROJECT / "company", tmp_path / "company"))
    before = policy.load(company / "policy").policy_hash
    (company / "recipients.csv").write_text("role,department,name,email,language\n", encoding="utf-8")
    assert policy.load(company / "policy").policy_hash == before


# Stored under its hash


def stored(warehouse: Warehouse) -> dict[str, int]:
    tables = ("policy", *policy.load(SHIPPED).tables)
    return {table: warehouse.rows(f"select count(*) as n from policy.{table}")[0]["n"] for table in tables}


def test_store_keeps_every_row_and_repeating_it_changes_nothing(warehouse: Warehouse) -> None:
    shipped = policy.load(SHIPPED)
    policy.store(warehouse, shipped)
    once = stored(warehouse)
    policy.store(warehouse, shipped)
    assert stored(warehouse) == once == {"policy": 1} | {table: len(rows) for table, rows in shipped.tables.items()}
    [days] = warehouse.rows(
        "select serious, watch from policy.indicator_parameters where indicator_code = 'overdue_days'"
        " and parameter = 'days' and policy_hash = %s",
        shipped.policy_hash,
    )
    assert (days["serious"], days["watch"]) == (30, 10)


def test_store_keeps_two_policies_side_by_side(warehouse: Warehouse, folder: Path) -> None:
    edit(folder, "hysteresis_and_budget", put(COOLDOWN, value="8"))
    for one in (policy.load(SHIPPED), policy.load(folder)):
        policy.store(warehouse, one)
    values = warehouse.rows(
        "select value from policy.hysteresis_and_budget where parameter = 'cooldown_days' order by 1"
    )
    assert [row["value"] for row in values] == [7, 8]
    assert stored(warehouse)["policy"] == 2


@pytest.mark.parametrize(
    ("row", "broken", "column", "words"),
    [
        ("overdue_days,days,30,10", "overdue_days,days,30,45", "watch", "watch 45 is graver than serious 30"),
        ("satisfaction,score,60,75", "satisfaction,score,60,50", "watch", "watch 50 is graver than serious 60"),
        ("satisfaction,score,60,75", "satisfaction,score,60", "watch", "3 cells under 4 columns"),
    ],
)
def test_parameter_that_would_mislead_is_refused(folder: Path, row: str, broken: str, column: str, words: str) -> None:
    file = folder / "indicator_parameters.csv"
    text = file.read_text(encoding="utf-8")
    assert row in text
    file.write_text(text.replace(row, broken), encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        policy.load(folder)
    [problem] = refused.value.problems
    assert (problem.file, problem.column) == (file.name, column)
    assert problem.row == 1 + text.splitlines().index(row)
    assert words in problem.message
    assert problem.remedy
