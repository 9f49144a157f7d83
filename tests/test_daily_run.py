"""The command line, day after day: what `run` reports, what it never does twice, what stands in its way."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from early_warning import cli
from early_warning.embedded.postgres import running_postgres
from early_warning.indicators import declared
from early_warning.settings import PROJECT
from homes import Answer, Home, Rows, closed_port, demo_company, made_once, postbox, published

OWED = "2026-07-01"
INTRADAY = "2026-07-02"
BACK_FILLED = "2026-06-29"
INDICATORS = declared().keys()


# --- a few days of one home ---------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def days(first_day: Home) -> Home:
    """A home after a few days; only to be read. `told` says what each command of them answered."""

    def make(folder: Path) -> None:
        home = first_day.copy(folder / "home")
        with (folder / "told.jsonl").open("w", encoding="utf-8") as file:
            for name, content in _a_few_days(home):
                file.write(json.dumps([name, content], default=str) + "\n")

    return Home(made_once("days", make) / "home", first_day.company)


def _a_few_days(home: Home) -> Iterator[tuple[str, Any]]:
    def outbox() -> Rows:
        return list(home.command("outbox", "list", "--json").json)

    yield "first day's mails", outbox()
    yield "while the mail server is down", asdict(home.run(EARLY_WARNING_SMTP_URL=closed_port()))
    yield "mails that wait", outbox()
    yield "status while mails wait", asdict(home.command("status", "--json"))
    with postbox() as box:
        mailing = {"EARLY_WARNING_SMTP_URL": box.url}
        for name, words in (
            ("once it is up again", ()),
            ("at noon", ("--as-of", f"{INTRADAY}T12:00")),
            ("at night", ()),
            ("at night once more", ("--as-of", INTRADAY)),
            ("back-fill", ("--as-of", BACK_FILLED)),
        ):
            before = len(box.taken)
            yield name, asdict(home.run(*words, **mailing))
            yield f"mails {name}", box.taken[before:]
            yield f"shown {name}", home.command("sql", _SHOWN, "--format", "json").json
        yield "all mails taken", box.taken
    yield "outbox", outbox()


_SHOWN = "select distinct as_of_date::text, run_id from bi.customers order by 1"


@pytest.fixture(scope="session")
def told(days: Home) -> dict[str, Any]:
    """What was told on these days, by name."""
    lines = (days.folder.parent / "told.jsonl").read_text(encoding="utf-8").splitlines()
    return dict(map(json.loads, lines))


def run_of(told: dict[str, Any], name: str) -> dict[str, Any]:
    """The published run that a command reported."""
    answer = Answer(**told[name])
    assert answer.code == 0, answer.stderr
    assert answer.run["state"] == "published"
    return answer.run


# What a run reports


def test_report_of_a_run_has_exactly_the_interfaces_keys_and_types(first_day: Home) -> None:
    report = json.loads((first_day.folder.parent / "answer.json").read_text())
    assert list(report) == ["runs"]
    [run] = report["runs"]
    assert list(run) == [
        *("run_id", "as_of", "as_of_date", "state", "policy", "previous_run_id", "is_backfill", "batches", "gates"),
        *("customers", "levels", "unknown", "mails", "seconds"),
    ]
    assert (run["run_id"], run["previous_run_id"], run["is_backfill"]) == (1, None, False)
    assert (run["as_of"], run["as_of_date"]) == ("2026-07-01T00:00:00+08:00", "2026-06-30")
    assert run["state"] == "published"
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", run["policy"])
    assert set(run["batches"]) == {
        *("sales.customers", "sales.products", "sales.orders", "sales.order_lines", "sales.returns"),
        *("sales.interactions", "sales.competitor_signals", "sales.policy_signals"),
        *("service.tickets", "service.surveys"),
        *("finance.invoices", "finance.payments", "finance.credit_terms"),
    }
    for batch in run["batches"].values():
        assert {name: type(value) for name, value in batch.items()} == {"batch": int, "rows": int, "quarantined": int}
    assert {gate["name"] for gate in run["gates"]} == {"sales", "service", "finance", "market", "landing", "marts"}
    for gate in run["gates"]:
        assert list(gate) == ["name", "verdict", "critical", "warnings"]
        assert (gate["verdict"], gate["critical"]) == ("pass", 0)
        assert isinstance(gate["warnings"], int)
    assert {name: type(value) for name, value in run["customers"].items()} == dict.fromkeys(
        ("judged", "prospect", "lapsed"), int
    )
    assert list(run["levels"]) == ["1", "2", "3"]
    assert all(isinstance(count, int) for count in run["levels"].values())
    assert run["unknown"].keys() <= INDICATORS
    for reasons in run["unknown"].values():
        assert reasons.keys() <= {"no_data", "stale", "short_history", "no_base", "expired"}
        assert all(count > 0 for count in reasons.values())
    assert run["mails"]["composed"] == run["mails"]["sent"] > 0
    assert list(run["mails"]) == ["composed", "sent"]
    assert set(run["seconds"]) == {
        *("open_run", "gate_landing", "transform", "gate_marts", "publish", "send_digests"),
        *(f"{task}_{source}" for task in ("extract", "gate") for source in ("sales", "service", "finance", "market")),
    }
    assert all(isinstance(seconds, float) for seconds in run["seconds"].values())


def test_report_counts_what_the_views_show(told: dict[str, Any], days: Home) -> None:
    run = run_of(told, "while the mail server is down")
    [counted] = days.command(
        "sql",
        "select (select count(distinct customer_id) from bi.indicator_values where run_id = 2) as judged,"
        " count(*) filter (where state = 'prospect') as prospect, count(*) filter (where state = 'lapsed') as lapsed"
        " from bi.customers where run_id = 2",
        "--format",
        "json",
    ).json
    assert run["customers"] == counted
    levels = days.command(
        "sql",
        "select warning_level::text as level, count(*) as customers from bi.warnings where run_id = 2 group by 1",
        "--format",
        "json",
    ).json
    assert {row["level"]: row["customers"] for row in levels} == {
        level: count for level, count in run["levels"].items() if count
    }


# Day after day


def test_second_run_is_the_next_day_and_reads_only_what_is_new(told: dict[str, Any], days: Home) -> None:
    run = run_of(told, "while the mail server is down")
    assert (run["as_of_date"], run["run_id"], run["previous_run_id"]) == (OWED, 2, 1)
    with running_postgres(days.folder) as warehouse:
        read = warehouse.rows(
            "select distinct table_name, file_date::text as day from ops.delivery join ops.batch using (batch_id)"
            " where run_id = 2 and file_date is not null"
        )
    assert read
    assert {row["day"] for row in read} == {OWED}
    assert 0 < run["batches"]["sales.orders"]["rows"] < 100
    assert "finance.credit_terms" not in run["batches"], "an unchanged snapshot was read again"


def test_mail_server_down_publishes_and_the_mails_wait(told: dict[str, Any]) -> None:
    run = run_of(told, "while the mail server is down")
    assert run["mails"]["composed"] > 0
    assert run["mails"]["sent"] == 0
    waiting = [mail for mail in told["mails that wait"] if mail["state"] == "pending"]
    assert len(waiting) == run["mails"]["composed"]
    assert all(mail["last_error"] for mail in waiting)
    status = Answer(**told["status while mails wait"]).json
    assert status["mails_waiting"] == len(waiting)
    assert (status["latest_run"]["run_id"], status["published"][0]["as_of_date"]) == (2, OWED)


def test_next_run_sends_the_waiting_mails_once_and_judges_nothing_anew(told: dict[str, Any]) -> None:
    run = run_of(told, "once it is up again")
    assert run["run_id"] == 2
    assert run["mails"]["sent"] == run["mails"]["composed"]
    waited = {(mail["message_id"], mail["recipient"]) for mail in told["mails that wait"] if mail["state"] == "pending"}
    taken = [tuple(mail) for mail in told["mails once it is up again"]]
    assert len(taken) == len(waited)
    assert set(taken) == waited
    assert told["shown once it is up again"][-1] == {"as_of_date": OWED, "run_id": 2}


def test_intraday_run_is_replaced_by_the_days_own_run(told: dict[str, Any]) -> None:
    noon, night = run_of(told, "at noon"), run_of(told, "at night")
    assert noon["as_of"] == f"{INTRADAY}T12:00:00+08:00"
    assert noon["as_of_date"] == INTRADAY
    assert told["shown at noon"][-1] == {"as_of_date": INTRADAY, "run_id": noon["run_id"]}
    assert (night["as_of"], night["as_of_date"]) == ("2026-07-03T00:00:00+08:00", INTRADAY)
    assert night["previous_run_id"] == noon["run_id"]
    assert not night["is_backfill"]
    assert told["shown at night"][-1] == {"as_of_date": INTRADAY, "run_id": night["run_id"]}
    assert len(told["shown at night"]) == len(told["shown at noon"]), "a day is shown twice"


def test_same_cut_off_again_is_a_new_run_that_mails_nobody(told: dict[str, Any]) -> None:
    night, again = run_of(told, "at night"), run_of(told, "at night once more")
    assert again["run_id"] > night["run_id"]
    assert again["previous_run_id"] == night["previous_run_id"]
    assert [again[name] for name in ("levels", "customers", "unknown")] == [
        night[name] for name in ("levels", "customers", "unknown")
    ]
    assert told["mails at night once more"] == []
    assert again["mails"] == {"composed": 0, "sent": 0}
    assert told["shown at night once more"][-1] == {"as_of_date": INTRADAY, "run_id": again["run_id"]}


def test_back_fill_is_published_and_mails_nobody(told: dict[str, Any]) -> None:
    run = run_of(told, "back-fill")
    assert (run["as_of_date"], run["is_backfill"], run["previous_run_id"]) == (BACK_FILLED, True, None)
    assert told["mails back-fill"] == []
    assert run["mails"] == {"composed": 0, "sent": 0}
    assert told["shown back-fill"][0] == {"as_of_date": BACK_FILLED, "run_id": run["run_id"]}
    assert told["shown back-fill"][1:] == told["shown at night once more"]


def test_no_mail_of_any_day_came_twice(told: dict[str, Any]) -> None:
    taken = [tuple(mail) for mail in told["all mails taken"]]
    assert len(taken) == len(set(taken)) > 0
    later = {mail["message_id"] for mail in told["outbox"]} - {mail["message_id"] for mail in told["first day's mails"]}
    assert {message_id for message_id, _ in taken} == later
    assert {mail["state"] for mail in told["outbox"]} == {"sent"}


def test_summary_tells_a_newcomer_what_became_of_the_day(told: dict[str, Any], days: Home) -> None:
    said = Answer(**told["back-fill"]).stderr
    for part in (
        "published as run",
        "back-fill: nobody is mailed",
        "judged",
        "level 1 (very high)",
        "sales pass",
        "0 written",
        "early-warning sql",
        "the next day",
        f"EARLY_WARNING_HOME={days.folder} early-warning run --company {days.company}\n",
    ):
        assert part in said


@pytest.mark.slow
def test_another_home_publishes_identical_rows(days: Home, first_day: Home) -> None:
    other = Home.new(days.folder.with_name("other"), first_day.company)
    try:
        answer = other.run("--from", "2026-06-30", "--to", OWED)
        assert answer.code == 0, answer.stderr
        assert [(run["as_of_date"], run["previous_run_id"]) for run in answer.json["runs"]] == [
            ("2026-06-30", None),
            (OWED, 1),
        ]
        with running_postgres(days.folder) as ours, running_postgres(other.folder) as theirs:
            for day in ("2026-06-30", OWED):
                expected, found = published(ours, day), published(theirs, day)
                assert all(expected.values()), "a view shows nothing"
                assert found == expected
    finally:
        other.remove()


# --- looking ------------------------------------------------------------------------------------------------------


def test_status_says_whose_home_it_is_and_what_is_published(days: Home) -> None:
    status = days.command("status", "--json").json
    assert status["home"] == str(days.folder)
    assert status["company"] == "华辰工业品有限公司"
    assert [row["as_of_date"] for row in status["published"]] == [INTRADAY, OWED, "2026-06-30", BACK_FILLED]
    assert status["latest_run"]["state"] == "published"
    assert status["mails_waiting"] == 0
    text = days.command("status").stdout
    assert "华辰工业品有限公司" in text
    newest, latest = status["published"][0], status["latest_run"]
    assert latest["run_id"] > newest["run_id"], "the last command filled back a day"
    assert f"newest day {INTRADAY}, published as run {newest['run_id']}\n           level 1 (very high): " in text
    assert f"latest run {latest['run_id']} as of {BACK_FILLED}: published (a back-fill)\n" in text


def test_quarantine_lists_records_of_one_run_and_shows_each_as_it_was_read(days: Home) -> None:
    newest = days.command("quarantine", "list", "--json").json
    assert {row["run_id"] for row in newest} == {days.rows("select max(run_id) as n from ops.quarantine")[0]["n"]}
    first = days.command("quarantine", "list", "--run", "1", "--json").json
    keys = {row["key"]: row for row in first}
    assert {"SO90000001", "HD90000001", "T9000001"} <= keys.keys(), "rows of a database and of a file"
    table = days.command("quarantine", "list", "--run", "1").stdout.splitlines()
    assert table[0] == "Run 1:"
    assert any(" SO90000001 " in line and " sales.orders " in line for line in table)
    shown = days.command("quarantine", "show", str(keys["SO90000001"]["id"])).json
    assert shown == keys["SO90000001"]
    assert shown["row_data"]["customer_id"] == "C000011"
    assert days.command("quarantine", "list", "--run", "999").stdout == "Run 999 has no row in quarantine.\n"
    nothing = days.command("quarantine", "show", "0")
    assert (nothing.code, nothing.stdout) == (2, "")
    assert "take an id of: EARLY_WARNING_HOME=" in nothing.stderr


QUERY = (
    "select 1 as number, 2.50 as amount, 'a,b' as text, null as nothing, date '2026-06-30' as day, array['x'] as codes"
)


def test_sql_as_json_is_a_list_of_objects(days: Home) -> None:
    answer = days.command("sql", QUERY, "--format", "json")
    assert answer.code == 0
    assert answer.json == [
        {"number": 1, "amount": 2.5, "text": "a,b", "nothing": None, "day": "2026-06-30", "codes": ["x"]}
    ]
    assert days.command("sql", f"{QUERY} where false", "--format", "json").json == []


def test_sql_as_csv_can_be_read_back(days: Home) -> None:
    [row] = csv.DictReader(io.StringIO(days.command("sql", QUERY, "--format", "csv").stdout))
    assert row == {"number": "1", "amount": "2.50", "text": "a,b", "nothing": "", "day": "2026-06-30", "codes": '["x"]'}
    measures = "select measures from bi.indicator_values where indicator_code = 'satisfaction'"
    measures += " and state = 'unknown' limit 1"
    [row] = csv.DictReader(io.StringIO(days.command("sql", measures, "--format", "csv").stdout))
    assert json.loads(row["measures"]).keys() == {"latest_score"}


def test_csv_ends_lines_as_a_shell_reads_them_and_quotes_every_line_break(capsys: pytest.CaptureFixture[str]) -> None:
    csv.writer(cli._ShellLines()).writerow(["a\rb", "c\nd", "e"])
    assert capsys.readouterr().out == '"a\rb","c\nd",e\n'


def test_sql_as_table_shows_columns_and_values_whole(days: Home) -> None:
    long = "x" * 300
    lines = days.command("sql", f"select 7 as seven, '{long}' as long, '[bold]' as plain").stdout.splitlines()
    assert lines[0].split() == ["seven", "long", "plain"]
    assert lines[1].split() == ["7", long, "[bold]"]


@pytest.mark.parametrize(
    "statement",
    [
        "delete from bi.warnings",
        "create table bi.mine (number int)",
        "set transaction_read_only = off; create table bi.mine (number int)",
        "set transaction_read_only = off; create table public.mine (number int)",
        "set transaction_read_only = off; create temporary table mine (number int)",
        "set transaction_read_only = off; update ops.outbox set state = 'sent'",
        "set role early_warning",
    ],
)
def test_sql_can_not_write(days: Home, statement: str) -> None:
    answer = days.command("sql", statement)
    assert answer.code != 0
    assert answer.stdout == ""
    assert re.search(r"permission denied|read-only|cannot delete", answer.stderr), answer.stderr


@pytest.mark.parametrize("table", ["marts.dim_customers", "ops.outbox", "landing.sales_customers", "policy.policy"])
def test_sql_can_not_read_behind_the_views(days: Home, table: str) -> None:
    answer = days.command("sql", f"select * from {table}")
    assert answer.code == 2
    assert "permission denied" in answer.stderr


def test_dsn_is_the_readers_and_works_while_the_server_runs(days: Home) -> None:
    answer = days.command("dsn")
    assert answer.code == 0
    assert conninfo_to_dict(answer.stdout.strip())["user"] == "early_warning_reader"
    with running_postgres(days.folder), psycopg.connect(answer.stdout.strip()) as connection:
        shown = connection.execute("select count(*) from bi.runs").fetchone()
    assert shown
    assert shown[0] > 0
    assert days.postmaster is None, "a command that started the server stops it"


def test_outbox_lists_and_shows_mails(days: Home) -> None:
    mails = days.command("outbox", "list", "--json").json
    assert {"mail_key", "run_id", "recipient", "subject", "message_id", "state", "sent_at"} <= mails[0].keys()
    listed = days.command("outbox", "list").stdout
    for mail in mails:
        assert mail["mail_key"][:8] in listed
        assert mail["subject"] in listed
    digest = next(mail for mail in mails if mail["audience"] == "owner")
    shown = days.command("outbox", "show", digest["mail_key"][:12])
    assert shown.code == 0
    assert digest["subject"] in shown.stdout
    assert "客户" in shown.stdout
    assert days.command("outbox", "show", "nonsense").code == 2


def test_outbox_resend_sends_one_mail_under_its_own_message_id(home: Home) -> None:
    mail = home.command("outbox", "list", "--json").json[0]
    with postbox() as box:
        answer = home.command("outbox", "resend", mail["mail_key"][:12], EARLY_WARNING_SMTP_URL=box.url)
    assert answer.code == 0
    assert box.taken == [(mail["message_id"], mail["recipient"])]
    assert home.command("outbox", "resend", "nonsense").code == 2


# --- what stands in the way ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--as-of", "yesterday"), "'yesterday' is neither a date nor a timestamp"),
        (("--from", "2026-07-02", "--to", "2026-07-01"), "--to lies before --from"),
        (("--from", "2026-07-02"), "--from and --to"),
        (("--as-of", "2026-07-01", "--from", "2026-07-01", "--to", "2026-07-02"), "don't go together"),
        (("--company", "/nowhere"), "company.yml: the file is missing"),
        (("--format", "xml"), "unrecognized arguments"),
    ],
)
def test_run_that_is_mistyped_says_so_before_it_makes_anything(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    home = Home(tmp_path / "home", PROJECT / "company")
    answer = home.run(*words)
    assert (answer.code, answer.stdout) == (2, "")
    assert said in answer.stderr
    assert not home.folder.exists()


def test_everything_wrong_with_a_company_is_told_at_once_before_anything_is_extracted(tmp_path: Path) -> None:
    company = demo_company(tmp_path / "company")
    _replace(
        company / "policy" / "level_conditions.csv",
        "overdue_beyond_60_days,overdue_days",
        "overdue_beyond_60_days,overdue_weeks",
    )
    _replace(company / "policy" / "response_standards.csv", "priority,hours", "priority,hours,minutes")
    _replace(
        company / "policy" / "level_rules.csv", "silent_beyond_own_rhythm,2,all_of", "silent_beyond_own_rhythm,2,any_of"
    )
    _replace(company / "recipients.csv", "head.sales@huachen.example.com", "head.sales(at)huachen")
    home = Home(tmp_path / "home", company)

    answer = home.run(EARLY_WARNING_SMTP_URL="mail.example.com:25")

    assert (answer.code, answer.stdout) == (2, "")
    for file, row, column, what, remedy in (
        ("level_conditions.csv", 11, "indicator_code", "'overdue_weeks' is unknown", "order_frequency"),
        ("response_standards.csv", 1, "minutes", "unknown column", "use priority, hours"),
        ("level_rules.csv", 6, "kind", "'any_of' is unknown", "all_of, count_of"),
        ("recipients.csv", 3, "email", "'head.sales(at)huachen' is not valid", "write one address"),
    ):
        place = f"{file}, row {row}, column {column}: "
        [line] = [line for line in answer.stderr.splitlines() if line.startswith(place)]
        assert what in line
        assert remedy in line
        assert "→" in line
    assert "the SMTP address" in answer.stderr
    assert not home.folder.exists(), "nothing may be extracted, not even a home be made"


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_home_of_one_company_refuses_another(days: Home, tmp_path: Path) -> None:
    other = demo_company(tmp_path / "company", name="Another Company")
    before = days.rows("select max(run_id) as run_id from ops.run")
    answer = Home(days.folder, other).run()
    assert (answer.code, answer.stdout) == (2, "")
    assert "belongs to 华辰工业品有限公司, not to Another Company" in answer.stderr
    assert "EARLY_WARNING_HOME" in answer.stderr
    assert days.rows("select max(run_id) as run_id from ops.run") == before


def test_warehouse_out_of_reach_fails_with_four(tmp_path: Path) -> None:
    nowhere = "host=127.0.0.1 port=1 dbname=nowhere connect_timeout=2"
    home = Home(tmp_path / "home", PROJECT / "company")
    answer = home.command("status", EARLY_WARNING_DSN=nowhere, EARLY_WARNING_READER_DSN=nowhere)
    assert answer.code == 4
    assert "connection failed" in answer.stderr


@pytest.fixture
def impatient(tmp_path: Path) -> dict[str, str]:
    """Environment of a copy of the project whose tasks are tried again at once and not after half a minute."""
    for name in ("plugins", "dags", "dbt_project", "expectations"):
        shutil.copytree(PROJECT / name, tmp_path / name)
    _replace(tmp_path / "dags" / "customer_warning_daily.py", "timedelta(seconds=30)", "timedelta(0)")
    return {"PYTHONPATH": str(tmp_path / "plugins")}


@pytest.mark.slow
def test_run_that_fails_is_told_once_and_gone_on_with_when_the_cause_is_mended(
    home: Home, impatient: dict[str, str]
) -> None:
    with running_postgres(home.folder) as warehouse:
        warehouse.execute("alter table landing.sales_orders rename column amount to amounts")
        failed = home.run(**impatient)
        notices = warehouse.rows("select recipient, subject from ops.outbox where audience = 'operators'")
        warehouse.execute("alter table landing.sales_orders rename column amounts to amount")
        mended = home.run()

    assert failed.code == 4
    assert failed.run["state"] == "failed"
    assert "extract_sales" in failed.run["message"]
    assert failed.stderr.count("✗ extract_sales") == 3, "it is tried twice again"
    assert [notice["recipient"] for notice in notices] == ["data.operations@huachen.example.com"]
    assert re.search(r"\brun 2\b.*extract_sales.*failed", notices[0]["subject"])
    assert mended.code == 0
    assert (mended.run["run_id"], mended.run["as_of_date"]) == (failed.run["run_id"], failed.run["as_of_date"])
    assert "message" not in mended.run


# --- the views ----------------------------------------------------------------------------------------------------

_KEYS = {"customer_id": "text", "as_of_date": "date", "run_id": "bigint"}
_PLACE = {"segment": "text", "industry": "text", "region": "text"}
VIEWS = {
    "warnings": _KEYS
    | {"customer_name": "text"}
    | _PLACE
    | {
        "owner_name": "text",
        "owner_email": "text",
        "warning_level": "integer",
        "raw_level": "integer",
        "change": "text",
        "level_since": "date",
        "peak_level": "integer",
        "case_id": "text",
        "rule_codes": "text[]",
        "indicator_codes": "text[]",
        "reason": "text",
        "money_at_risk_amount": "numeric",
        "deadline_at": "timestamp with time zone",
        "is_muted": "boolean",
        "is_held_back": "boolean",
        "policy_hash": "text",
        "uncapped_level": "integer",
        "told_departments": "text[]",
    },
    "indicator_values": _KEYS
    | {
        "indicator_code": "text",
        "family": "text",
        "department": "text",
        "state": "text",
        "unknown_reason": "text",
        "value": "numeric",
        "baseline": "numeric",
        "threshold": "numeric",
        "unit": "text",
        "trend": "text",
        "window_start": "date",
        "window_end": "date",
        "measures": "jsonb",
    },
    "customers": _KEYS
    | {"name": "text"}
    | _PLACE
    | {
        "size": "text",
        "customer_since": "date",
        "owner_name": "text",
        "owner_email": "text",
        "merged_into_id": "text",
        "state": "text",
        "first_ordered_on": "date",
        "last_ordered_on": "date",
        "order_days": "integer",
        "usual_gap_days": "numeric",
        "revenue_12m_amount": "numeric",
        "open_balance_amount": "numeric",
        "warning_level": "integer",
    },
    "indicator_associations": {
        "as_of_date": "date",
        "run_id": "bigint",
        "indicator_code_a": "text",
        "indicator_code_b": "text",
        "judged_both": "bigint",
        "breached_a": "bigint",
        "breached_b": "bigint",
        "breached_both": "bigint",
        "expected_both": "numeric",
        "lift": "numeric",
        "deviations": "numeric",
    },
    "product_quality": {
        "as_of_date": "date",
        "run_id": "bigint",
        "item_kind": "text",
        "item_id": "text",
        "item_name": "text",
        "category": "text",
        "window_start": "date",
        "baseline_start": "date",
        "line_count": "bigint",
        "complaint_count": "bigint",
        "return_count": "bigint",
        "rate": "numeric",
        "baseline_line_count": "bigint",
        "baseline_problem_count": "bigint",
        "baseline_rate": "numeric",
        "threshold_rate": "numeric",
        "ratio": "numeric",
        "is_conspicuous": "boolean",
    },
    "cases": {
        "customer_id": "text",
        "case_id": "text",
        "as_of_date": "date",
        "run_id": "bigint",
        "customer_name": "text",
        "owner_name": "text",
        "owner_email": "text",
        "state": "text",
        "last_event": "text",
        "opened_on": "date",
        "raised_at": "timestamp with time zone",
        "step": "integer",
        "warning_level": "integer",
        "peak_level": "integer",
        "deadline_at": "timestamp with time zone",
        "handled_at": "timestamp with time zone",
        "is_handled_in_time": "boolean",
        "handling_outcome": "text",
        "follow_up_on": "date",
        "was_handled": "boolean",
        "closed_on": "date",
        "outcome": "text",
        "indicator_codes": "text[]",
        "departments": "text[]",
        "is_joint": "boolean",
        "money_at_risk_amount": "numeric",
        "is_muted": "boolean",
        "is_held_back": "boolean",
        "first_handled_at": "timestamp with time zone",
        "was_handled_in_time": "boolean",
    },
    "case_actions": {
        "customer_id": "text",
        "case_id": "text",
        "department": "text",
        "action": "text",
        "indicator_codes": "text[]",
        "customer_name": "text",
        "owner_name": "text",
        "owner_email": "text",
        "warning_level": "integer",
        "step": "integer",
        "is_joint": "boolean",
        "deadline_at": "timestamp with time zone",
        "money_at_risk_amount": "numeric",
    },
    "notes": {
        "customer_id": "text",
        "as_of_date": "date",
        "run_id": "bigint",
        "customer_name": "text",
        "owner_name": "text",
        "owner_email": "text",
        "indicator_code": "text",
        "department": "text",
        "state": "text",
        "is_new": "boolean",
        "value": "numeric",
        "baseline": "numeric",
        "threshold": "numeric",
        "unit": "text",
        "money_at_risk_amount": "numeric",
    },
    "runs": {
        "run_id": "bigint",
        "as_of_date": "date",
        "as_of_at": "timestamp with time zone",
        "state": "text",
        "published_at": "timestamp with time zone",
        "previous_run_id": "bigint",
        "policy_hash": "text",
        "is_backfill": "boolean",
        "stale_data_sets": "text[]",
    },
    "gates": {
        "run_id": "bigint",
        "gate": "text",
        "verdict": "text",
        "severity": "text",
        "expectation": "text",
        "data_set": "text",
        "failed_rows": "bigint",
        "message": "text",
    },
    "warning_outcomes": {
        "customer_id": "text",
        "case_id": "text",
        "opened_on": "date",
        "horizon_on": "date",
        "customer_name": "text",
        "segment": "text",
        "owner_name": "text",
        "owner_email": "text",
        "policy_hash": "text",
        "warning_level": "integer",
        "peak_level": "integer",
        "is_service_fluctuation": "boolean",
        "indicator_codes": "text[]",
        "departments": "text[]",
        "money_at_risk_amount": "numeric",
        "was_active": "boolean",
        "is_matured": "boolean",
        "outcome": "text",
        "is_churned": "boolean",
        "lead_days": "integer",
        "handled_at": "timestamp with time zone",
        "is_handled_in_time": "boolean",
        "is_won_back": "boolean",
        "baseline_amount": "numeric",
        "collapsed_amount": "numeric",
        "ordered_amount": "numeric",
        "settled_on": "date",
        "settled_run_id": "bigint",
    },
    "warning_kpis": {
        "month": "date",
        "dimension": "text",
        "value": "text",
        "warning_count": "bigint",
        "warned_count": "bigint",
        "warned_active_count": "bigint",
        "churned_count": "bigint",
        "handled_count": "bigint",
        "handled_in_time_count": "bigint",
        "won_back_count": "bigint",
        "matured_warning_count": "bigint",
        "matured_count": "bigint",
        "false_alarm_warning_count": "bigint",
        "lost_count": "bigint",
        "caught_count": "bigint",
        "accuracy_ratio": "numeric",
        "timely_handling_ratio": "numeric",
        "win_back_ratio": "numeric",
        "matured_accuracy_ratio": "numeric",
        "adjusted_accuracy_ratio": "numeric",
        "handled_churn_ratio": "numeric",
        "unhandled_churn_ratio": "numeric",
        "recall_ratio": "numeric",
        "lead_days_median": "numeric",
        "false_alarms_per_owner_week": "numeric",
    },
    "missed_churn": {
        "customer_id": "text",
        "active_on": "date",
        "horizon_on": "date",
        "customer_name": "text",
        "segment": "text",
        "owner_name": "text",
        "owner_email": "text",
        "policy_hash": "text",
        "is_service_fluctuation": "boolean",
        "last_ordered_on": "date",
        "revenue_12m_amount": "numeric",
        "money_at_risk_amount": "numeric",
        "baseline_amount": "numeric",
        "ordered_amount": "numeric",
        "nearest_indicator_code": "text",
        "nearest_value": "numeric",
        "nearest_threshold": "numeric",
        "nearness": "numeric",
        "settled_run_id": "bigint",
    },
    "company_health": {
        "month": "date",
        "as_of_date": "date",
        "run_id": "bigint",
        "dimension": "text",
        "segment": "text",
        "active_count": "bigint",
        "prospect_count": "bigint",
        "lapsed_count": "bigint",
        "compared_on": "date",
        "newly_lapsed_count": "bigint",
        "churn_ratio": "numeric",
        "lapsed_12m_count": "bigint",
        "revenue_12m_amount": "numeric",
        "customer_value_amount": "numeric",
        "csat_mean": "numeric",
        "csat_count": "bigint",
        "nps": "numeric",
        "nps_count": "bigint",
        "open_balance_amount": "numeric",
        "invoiced_amount": "numeric",
        "dso_days": "numeric",
        "overdue_to_30_amount": "numeric",
        "overdue_to_60_amount": "numeric",
        "overdue_to_90_amount": "numeric",
        "overdue_over_90_amount": "numeric",
    },
    "audit_policy_changes": {
        "run_id": "bigint",
        "as_of_date": "date",
        "changed_at": "timestamp with time zone",
        "changed_by": "text",
        "policy_hash": "text",
        "previous_run_id": "bigint",
        "previous_hash": "text",
        "differences": "jsonb",
        "expected_basis": "text",
        "expected_accuracy": "numeric",
        "expected_accuracy_gain": "numeric",
        "expected_accuracy_gain_low": "numeric",
        "expected_accuracy_gain_high": "numeric",
        "expected_recall_gain": "numeric",
        "expected_recall_gain_low": "numeric",
        "expected_recall_gain_high": "numeric",
        "expected_warnings_a_day": "numeric",
        "seen_warned": "bigint",
        "seen_churned": "bigint",
        "seen_accuracy": "numeric",
    },
}


@pytest.mark.parametrize("view", VIEWS)
def test_view_has_the_interfaces_columns_and_types_all_with_comments(days: Home, view: str) -> None:
    with running_postgres(days.folder) as warehouse:
        columns = warehouse.rows(
            "select attname as name, format_type(atttypid, atttypmod) as type,"
            " col_description(attrelid, attnum) as comment from pg_attribute"
            " where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attnum",
            f"bi.{view}",
        )
        [grain] = warehouse.rows("select obj_description(%s::regclass, 'pg_class') as comment", f"bi.{view}")
    assert {column["name"]: column["type"] for column in columns} == VIEWS[view]
    assert [column["name"] for column in columns] == list(VIEWS[view])
    assert [column["name"] for column in columns if not column["comment"]] == []
    assert "One row" in grain["comment"]


def test_schema_bi_holds_these_views_and_nothing_else(days: Home) -> None:
    with running_postgres(days.folder) as warehouse:
        found = warehouse.rows("select relname, relkind from pg_class where relnamespace = 'bi'::regnamespace")
    assert {row["relname"]: row["relkind"] for row in found} == dict.fromkeys(VIEWS, "v")


def test_contracts_of_views_and_marts_are_enforced(days: Home) -> None:
    manifest = json.loads((days.folder / "dbt" / "target" / "manifest.json").read_text(encoding="utf-8"))
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    enforced = {node["name"] for node in models if node["config"]["contract"]["enforced"]}
    assert {node["name"] for node in models if node["schema"] == "bi"} == set(VIEWS)
    assert {*VIEWS, "dim_customers", "fct_customer_levels", "fct_customer_indicators"} <= enforced
