"""The command `early-warning`: what people, the Makefile and the DAG's operators type.

Progress goes to stderr; with --json stdout holds one JSON value. Exit: 0 published (or simply done), 2 usage or
configuration, 3 a gate stopped a run, 4 failed; of several days the worst.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shlex
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg.conninfo import conninfo_to_dict

from early_warning import runs, tasks
from early_warning.embedded import postgres, stack
from early_warning.embedded.account import PostgresUnavailable
from early_warning.problems import ConfigurationError
from early_warning.runs import Moment
from early_warning.settings import PROJECT, Company, home, load_company, typed
from early_warning.summary import levels_in_words, summary
from early_warning.verify import verify
from early_warning.warehouse import Warehouse, migrate

DONE, USAGE, STOPPED, FAILED = 0, 2, 3, 4
_EXIT_OF_STATE = {"published": DONE, "stopped": STOPPED}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    os.umask(0o077)
    options = _parser().parse_args(arguments)
    try:
        code = int(options.command(options))
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever read, a pager or `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except (ConfigurationError, PostgresUnavailable) as error:
        print(f"early-warning: can't go on\n{error}", file=sys.stderr)
        return USAGE
    except psycopg.Error as error:
        print(f"early-warning: {error}".rstrip(), file=sys.stderr)
        return USAGE if isinstance(error, psycopg.ProgrammingError) else FAILED
    except Exception as error:
        lost = _lost_server(error)
        if lost:
            print(
                f"early-warning: the database went away: {lost}\nRun again: it goes on where it was.", file=sys.stderr
            )
        else:  # a fault of ours: said in full, under the exit code that means so
            traceback.print_exc()
        return FAILED


def _lost_server(error: BaseException) -> str | None:
    """What libpq said, if that is at the bottom of an error; Airflow's database libraries wrap it in their own."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        return _lost_server(cause)
    is_lost = type(error).__name__ in ("OperationalError", "AdminShutdown", "CrashShutdown", "CannotConnectNow")
    return f"{error}\n".strip().partition("\n")[0] if is_lost else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="early-warning",
        description="Who is about to leave or not to pay, why, and who should act.",
        epilog="State lives in $EARLY_WARNING_HOME (default .early_warning/). Exit codes: 0 done, 2 usage or"
        " configuration, 3 a gate stopped a run, 4 failed.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    run = commands.add_parser("run", help="extract, gate, judge, gate, publish, mail")
    run.add_argument("--company", type=Path, default=PROJECT / "company", help="company folder (default: company/)")
    run.add_argument("--as-of", help="date, or timestamp for a run within the day (default: the next day due)")
    run.add_argument("--from", dest="first", type=date.fromisoformat, help="first of several days")
    run.add_argument("--to", dest="last", type=date.fromisoformat, help="last of several days")
    run.add_argument("--json", action="store_true", help="print what became of the runs as JSON")
    run.set_defaults(command=_run)

    up = commands.add_parser("up", help="start Airflow's page and scheduler on this home, until `down`")
    up.add_argument("--company", type=Path, default=PROJECT / "company", help="company folder (default: company/)")
    up.set_defaults(command=_up)

    down = commands.add_parser("down", help="stop what `up` started")
    down.set_defaults(command=_down)

    airflow = commands.add_parser("airflow", help="a command of Airflow's own on this home: airflow backfill create …")
    airflow.add_argument("words", nargs=argparse.REMAINDER, metavar="…")
    airflow.set_defaults(command=_airflow)

    status = commands.add_parser("status", help="what is published, what is owed")
    status.add_argument("--json", action="store_true")
    status.set_defaults(command=_status)

    explain = commands.add_parser("explain", help="why a customer holds its level, with the rows it comes from")
    explain.add_argument("customer", help="customer_id")
    explain.add_argument("--as-of", type=date.fromisoformat, help="a published day (default: the newest)")
    explain.set_defaults(command=_explain)
    verify = commands.add_parser("verify", help="recompute a run from its batches and policy, and compare")
    verify.add_argument("run", type=int, help="run_id")
    verify.set_defaults(command=_verify)

    trial = commands.add_parser("backtest", help="judge the past by a policy, and say what it would have been worth")
    trial.add_argument("--policy", type=Path, help="folder of policy CSVs (default: the company's own)")
    trial.set_defaults(command=_backtest)

    proposal = commands.add_parser(
        "propose", help="search for small changes of the policy that would have served better"
    )
    proposal.add_argument(
        "--budget", type=float, metavar="N", help="customers a day at levels 1 and 2 (default: as now)"
    )
    proposal.add_argument("--changes", type=int, default=3, metavar="N", help="most changes to propose (default: 3)")
    proposal.add_argument("--out", type=Path, metavar="DIR", help="write the changed policy folder there")
    proposal.set_defaults(command=_propose)

    for past in (trial, proposal):
        past.add_argument("--from", dest="first", type=_month, required=True, metavar="YYYY-MM", help="first month")
        past.add_argument("--to", dest="last", type=_month, required=True, metavar="YYYY-MM", help="last month")
        past.add_argument(
            "--every", choices=("month", "week"), default="month", help="judge at its end (default: month)"
        )
        past.add_argument("--horizon", type=int, metavar="DAYS", help="days to look ahead (default: the policy's)")
        past.add_argument("--json", action="store_true")

    sql = commands.add_parser("sql", help="query the bi views as the read-only role")
    sql.add_argument("query")
    sql.add_argument("--format", choices=("table", "csv", "json"), default="table")
    sql.set_defaults(command=_sql)

    outbox = commands.add_parser("outbox", help="the mails and what became of them").add_subparsers(
        required=True, metavar="list|show|resend"
    )
    listing = outbox.add_parser("list", help="every mail, the newest last")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(command=_outbox_list)
    for name, text, command in (
        ("show", "one mail as it is sent", _outbox_show),
        ("resend", "send a mail once more, under its own Message-ID", _outbox_resend),
    ):
        single = outbox.add_parser(name, help=text)
        single.add_argument("id", help="the id that `outbox list` shows")
        single.set_defaults(command=command)

    quarantine = commands.add_parser("quarantine", help="rows that could not be used").add_subparsers(
        required=True, metavar="list|show"
    )
    unusable = quarantine.add_parser("list", help="those of one run: which record, where, why, what to do")
    unusable.add_argument("--run", type=int, help="run_id (default: the newest run that has any)")
    unusable.add_argument("--json", action="store_true")
    unusable.set_defaults(command=_quarantine_list)
    unusable = quarantine.add_parser("show", help="one row as it was read, and what is wrong with it, as JSON")
    unusable.add_argument("id", type=int, help="the id that `quarantine list` shows")
    unusable.set_defaults(command=_quarantine_show)

    upkeep = commands.add_parser("upkeep", help="drop what company.yml's retention no longer keeps")
    upkeep.add_argument("--company", type=Path, default=PROJECT / "company", help="company folder (default: company/)")
    upkeep.add_argument("--json", action="store_true", help="print what was dropped as JSON")
    upkeep.set_defaults(command=_upkeep)

    dsn = commands.add_parser("dsn", help="connection string for BI tools (read-only role)")
    dsn.set_defaults(command=_dsn)
    return parser


# --- run ----------------------------------------------------------------------------------------------------------


def _run(options: argparse.Namespace) -> int:
    if (options.as_of and (options.first or options.last)) or bool(options.first) != bool(options.last):
        raise ConfigurationError.about("--as-of and --from/--to don't go together", "give one day, or --from and --to")
    company, _, notices = tasks.check_configuration(options.company)
    asked = _asked(options, company.time_zone)
    with _warehouse() as warehouse:
        migrate(warehouse)
        _enter_environment(warehouse, company)
        os.environ["EARLY_WARNING_PROGRESS"] = "1"
        with _alone(warehouse), _dag_runner() as run_dag:
            tasks.enrol(warehouse, company)
            reports = [*_run_moments(warehouse, company, asked, run_dag)]
    if options.json:
        print(json.dumps({"runs": reports}, ensure_ascii=False, default=str))
    print(summary(company, home(), reports, notices), file=sys.stderr)
    return max((_EXIT_OF_STATE.get(report["state"], FAILED) for report in reports), default=DONE)


def _asked(options: argparse.Namespace, zone: ZoneInfo) -> list[Moment]:
    if options.first:
        days = (options.last - options.first).days + 1
        if days < 1:
            raise ConfigurationError.about("--to lies before --from", "swap them")
        return [Moment.of_day(options.first + timedelta(days=n), zone) for n in range(days)]
    if not options.as_of:
        return []
    try:
        return [Moment.parse(options.as_of, zone)]
    except ValueError:
        raise ConfigurationError.about(
            f"{options.as_of!r} is neither a date nor a timestamp", "write 2026-06-30 or 2026-06-30T15:00"
        ) from None


def _run_moments(
    warehouse: Warehouse, company: Company, asked: list[Moment], run_dag: Callable[[Moment], None]
) -> Iterator[dict[str, Any]]:
    """Run what was asked for; without that, first finish what is owed, then run the day that is due."""
    has_caught_up = False
    if not asked:
        for owed in runs.owed(warehouse):
            print(f"{company.name} · mails of {owed['as_of_date']}", file=sys.stderr)
            tasks.send_digests(owed["run_id"])
            has_caught_up |= runs.is_finished(warehouse, owed["run_id"])
            yield runs.report(warehouse, owed["run_id"])
    for moment in asked or _due(warehouse, company, has_caught_up):
        print(f"{company.name} · as of {moment.asked}", file=sys.stderr)
        run_dag(moment)
        run = runs.at(warehouse, moment)
        if run is None:
            raise ConfigurationError.about(
                "Airflow did not get as far as opening the run", f"read {home() / 'airflow' / 'run.log'}"
            )
        report = runs.report(warehouse, run)
        yield report
        if report["state"] == "failed":
            return


def _due(warehouse: Warehouse, company: Company, has_caught_up: bool) -> list[Moment]:
    """The run that was interrupted, and the day that is due.

    A real company's is yesterday. A simulated one's calendar stands still while nobody runs it: its day is the one
    after the last, unless this call has something to finish on the last one.
    """
    zone, newest, interrupted = company.time_zone, runs.newest(warehouse), runs.interrupted(warehouse)
    moments = [Moment(interrupted["as_of_date"], interrupted["as_of_at"].astimezone(zone))] if interrupted else []
    if company.simulation is None:
        yesterday = Moment.of_day(Moment.day_before(datetime.now(zone), zone), zone)
        is_done = newest and newest["state"] == "published" and newest["as_of_at"] >= yesterday.cut_off
        return moments if is_done or yesterday in moments else [*moments, yesterday]
    if moments or has_caught_up:
        return moments
    if newest is None:
        from early_warning import demo

        return [Moment.of_day(demo.first_as_of(company.simulation), zone)]
    day = Moment.of_day(newest["as_of_date"], zone)
    is_done = newest["state"] == "published" and newest["as_of_at"] >= day.cut_off  # not by a run within the day
    return [Moment.of_day(newest["as_of_date"] + timedelta(days=1), zone) if is_done else day]


@contextmanager
def _dag_runner() -> Iterator[Callable[[Moment], None]]:
    """Airflow in this process, imported when the first run needs it: that takes seconds."""
    imported: list[Any] = []

    def run_dag(moment: Moment) -> None:
        with _airflow_log():
            from early_warning import orchestrate

            imported.append(orchestrate)
            orchestrate.run_dag(moment)

    try:
        yield run_dag
    finally:
        if imported:
            imported[0].close()


@contextmanager
def _airflow_log() -> Iterator[None]:
    """Send what this process prints to a file while Airflow runs; progress and errors use the real stderr."""
    path = home() / "airflow" / "run.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as log:
        out, err = sys.stdout, sys.stderr
        sys.stdout = sys.stderr = log
        try:
            yield
        finally:
            sys.stdout, sys.stderr = out, err


def _enter_environment(warehouse: Warehouse, company: Company) -> None:
    """Say to the tasks, which know no command line, which company and warehouse this process works for.

    Of Airflow's settings those win that a person set in the environment.
    """
    os.environ |= {
        "EARLY_WARNING_COMPANY": str(company.folder),
        "EARLY_WARNING_HOME": str(home()),
        "EARLY_WARNING_DSN": warehouse.dsn,
        "EARLY_WARNING_READER_DSN": warehouse.reader_dsn,
    }
    settings = stack.environment(home()) | (demo_environment() if company.simulation else {})
    for name, value in settings.items():
        os.environ.setdefault(name, value)


def demo_environment() -> dict[str, str]:
    """Where the simulated company's CRM is, for who writes it and as the Airflow connection that source.yml names."""
    crm = postgres.source_database(home(), "demo_crm")
    url = "postgresql://{user}:{password}@{host}:{port}/{dbname}?sslmode={sslmode}"
    return {
        "EARLY_WARNING_DEMO_DSN": crm.dsn,
        "AIRFLOW_CONN_DEMO_CRM": url.format(**conninfo_to_dict(crm.reader_dsn)),
    }


@contextmanager
def _alone(warehouse: Warehouse) -> Iterator[None]:
    """Let nobody else run in this warehouse while the block does."""
    with runs.alone(warehouse) as is_alone:
        if not is_alone:
            raise ConfigurationError.about("another run is at work in this home", "wait until it has ended")
        yield


@contextmanager
def _warehouse() -> Iterator[Warehouse]:
    """The warehouse of $EARLY_WARNING_DSN, else the home's embedded server for as long as the command lasts."""
    if os.environ.get("EARLY_WARNING_DSN"):
        yield tasks.warehouse()
        return
    with postgres.running_postgres(home()) as warehouse:
        yield warehouse


# --- the full stack -----------------------------------------------------------------------------------------------


def _up(options: argparse.Namespace) -> int:
    company, _, notices = tasks.check_configuration(options.company)
    for notice in notices:
        print(notice, file=sys.stderr)
    print("Airflow starts; that takes about a minute", file=sys.stderr)
    with _migrated() as warehouse:
        tasks.enrol(warehouse, company)
        _enter_environment(warehouse, company)
        found = stack.up(home())
    print(
        f"Airflow is up: {found.url}\n  user      {stack.USER}\n  password  in {found.password_file}\n"
        f"  logs      in {home() / 'airflow'}\n  stop it   {typed('down')}",
        file=sys.stderr,
    )
    return DONE


def _down(options: argparse.Namespace) -> int:
    print("Airflow is down" if stack.down(home()) else "Airflow was not up", file=sys.stderr)
    return DONE


def _airflow(options: argparse.Namespace) -> int:
    with _migrated() as warehouse:
        company = warehouse.rows("select folder from ops.company")
        if not company:
            raise ConfigurationError.about("nothing ran in this home yet", f"type first: {typed('run')}")
        _enter_environment(warehouse, load_company(Path(company[0]["folder"])))
        return subprocess.run([sys.executable, "-m", "airflow", *options.words], check=False).returncode  # noqa: S603


# --- upkeep -------------------------------------------------------------------------------------------------------


def _upkeep(options: argparse.Namespace) -> int:
    from early_warning import upkeep

    company = load_company(options.company)
    with _migrated() as warehouse:
        tasks.enrol(warehouse, company)
        try:
            outcome = upkeep.tidy(warehouse, company.retention)
        except upkeep.WarehouseBusy as error:
            raise ConfigurationError.about(str(error), "wait until it has ended, then type this again") from None
    if options.json:
        print(json.dumps(asdict(outcome), default=str))
    elif outcome.dropped:
        rows = [(table, f"{what.rows:,}", f"{what.bytes / 1e6:,.1f} MB") for table, what in outcome.dropped.items()]
        _print_table(("dropped from", "rows", "size"), rows)
    else:
        print("Nothing was old enough to be dropped.")
    return DONE


# --- looking ------------------------------------------------------------------------------------------------------


def _explain(options: argparse.Namespace) -> int:
    from early_warning.explain import explain

    with _migrated() as warehouse:
        print(explain(warehouse, options.customer, options.as_of))
    return DONE


def _verify(options: argparse.Namespace) -> int:
    with _migrated() as warehouse:
        verdict = verify(warehouse, options.run)
        print(verdict)
    return DONE if verdict.is_confirmed else FAILED


_LAST_YEAR = 2999


def _month(text: str) -> date:
    month = date.fromisoformat(f"{text}-01")
    if month.year > _LAST_YEAR:
        raise ValueError(f"{text} lies too far ahead")
    return month


def _backtest(options: argparse.Namespace) -> int:
    from early_warning import backtest, policy, policy_changes
    from early_warning.backtest import report

    with _migrated() as warehouse:
        company, moments = _past(warehouse, options)
        trial = policy.load(options.policy or Path(company["folder"]) / "policy")
        policy.store(warehouse, trial)
        horizon = options.horizon or int(trial.outcome("horizon_days"))
        result = backtest.backtest(
            warehouse,
            trial.policy_hash,
            moments,
            horizon_days=horizon,
            in_force=company["policy_hash"],
            tell=lambda text: print(text, file=sys.stderr),
        )
        if result.before and result.effect:
            headline = {"basis": "back-test", **result.effect}
            scored = [cell["as_of_date"] for cell in result.cells]
            policy_changes.keep_trial(warehouse, trial.policy_hash, result.before, scored, horizon, headline)
        changed = []
        if result.before:
            in_force = policy.stored(warehouse, result.before)
            changed = [policy_changes.in_words(one) for one in policy_changes.differences(in_force, trial)]
    _print_result(options, report.as_json(result), report.as_text(result, changed))
    return DONE


def _propose(options: argparse.Namespace) -> int:
    from early_warning import policy, propose
    from early_warning.propose import report

    if options.changes < 1 or (options.budget is not None and not options.budget > 0):
        raise ConfigurationError.about("--changes and --budget are numbers above 0", "leave them out, or raise them")
    if options.out and options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
        raise ConfigurationError.about(f"{options.out} is there already", "name a new folder")
    with _migrated() as warehouse:
        company, moments = _past(warehouse, options)
        folder = Path(company["folder"]) / "policy"
        proposal = propose.propose(
            warehouse,
            folder,
            moments,
            horizon_days=options.horizon or int(policy.load(folder).outcome("horizon_days")),
            budget=options.budget,
            most_changes=options.changes,
            tell=lambda text: print(text, file=sys.stderr),
        )
    if proposal.policy_hash != company["policy_hash"]:
        print("The company's policy folder was edited since the newest run; this is about the folder.", file=sys.stderr)
    if options.out and proposal.changes:
        propose.write(folder, options.out, proposal.changes)
        (options.out / "proposal.diff").write_bytes(proposal.diff.encode())
        days = ("--from", f"{options.first:%Y-%m}", "--to", f"{options.last:%Y-%m}")
        print(f"To see it in full: {typed('backtest', *days, '--policy', str(options.out))}", file=sys.stderr)
        company_folder, diff = (shlex.quote(str(path)) for path in (folder.parent, options.out / "proposal.diff"))
        print(f"To adopt it: patch -p1 -d {company_folder} < {diff}", file=sys.stderr)
    _print_result(options, report.as_json(proposal), report.as_text(proposal))
    return DONE


def _past(warehouse: Warehouse, options: argparse.Namespace) -> tuple[dict[str, Any], list[Moment]]:
    """The company (folder, time zone, policy in force) and the past moments that a command is asked to look at."""
    from early_warning import backtest

    if options.last < options.first:
        raise ConfigurationError.about("--to lies before --from", "swap them")
    if options.horizon is not None and not 1 <= options.horizon <= 3_650:
        raise ConfigurationError.about(f"--horizon {options.horizon} is no span", "name 1 to 3650 days")
    in_force = warehouse.rows(
        "select folder, time_zone, policy_hash from ops.company cross join lateral (select policy_hash"
        " from ops.publication join ops.run using (run_id) order by publication.as_of_date desc limit 1) as newest"
    )
    if not in_force:
        raise ConfigurationError.about("nothing is published in this home yet", f"type first: {typed('run')}")
    [company] = in_force
    days = (backtest.month_ends if options.every == "month" else backtest.week_ends)(options.first, options.last)
    return company, [Moment.of_day(day, ZoneInfo(company["time_zone"])) for day in days]


def _print_result(options: argparse.Namespace, value: dict[str, Any], text: str) -> None:
    print(json.dumps(value, ensure_ascii=False, default=_json_value) if options.json else text)


def _status(options: argparse.Namespace) -> int:
    from early_warning import digest

    with _migrated() as warehouse:
        latest = warehouse.rows("select max(run_id) as run_id from ops.run")[0]["run_id"]
        state = {
            "home": str(home()),
            "company": next((row["name"] for row in warehouse.rows("select name from ops.company")), None),
            "published": warehouse.rows(
                "select as_of_date, run_id, published_at from ops.publication order by as_of_date desc limit 10"
            ),
            "latest_run": runs.report(warehouse, latest) if latest else None,
            "interrupted": runs.interrupted(warehouse),
            "owed": runs.owed(warehouse),
            "mails_waiting": warehouse.rows("select count(*) as n from ops.outbox where state = 'pending'")[0]["n"],
            "refused": digest.refused(warehouse),
            "upkeep": next(iter(warehouse.rows("select * from ops.upkeep order by upkeep_id desc limit 1")), None),
        }
        shown = state["published"][:1]
        levels = runs.report(warehouse, shown[0]["run_id"])["levels"] if shown else {}
    if options.json:
        print(json.dumps(state, ensure_ascii=False, default=str))
        return DONE
    run, newest = state["latest_run"], next(iter(state["published"]), None)
    print(f"home       {state['home']}\ncompany    {state['company'] or '– (nothing ran yet)'}")
    if newest:
        print(f"newest day {newest['as_of_date']}, published as run {newest['run_id']}")
        print(f"           {levels_in_words(levels)}")
    if run:
        how = " (a back-fill)" if run["is_backfill"] else ""
        print(f"latest run {run['run_id']} as of {run['as_of_date']}: {run['state']}{how}")
        for line in (run.get("message") or "").splitlines():
            print(f"           {line}")
    days = (f"{row['as_of_date']} (run {row['run_id']})" for row in state["published"])
    print(f"published  {', '.join(days) or '–'}")
    print(f"mails      {state['mails_waiting']} waiting")
    for one in state["refused"]:
        of = "" if one["channel"] == "mail" else f"{one['channel']} "
        print(f"refused    {of}{one['recipient']} since {one['since']:%Y-%m-%d} ({one['mails']}): {one['answer']}")
    if upkeep := state["upkeep"]:
        rows = sum(table["rows"] for table in upkeep["dropped"].values())
        how = "" if upkeep["finished_at"] else " before it was interrupted"
        print(f"upkeep     {upkeep['started_at']:%Y-%m-%d}: {rows:,} rows dropped{how}")
    return DONE


def _sql(options: argparse.Namespace) -> int:
    with _migrated() as warehouse, psycopg.connect(warehouse.reader_dsn) as connection:
        cursor = connection.execute(options.query.encode())
        columns = [column.name for column in cursor.description or ()]
        rows = cursor.fetchall() if columns else []
    if options.format == "json":
        print(
            json.dumps([dict(zip(columns, row, strict=True)) for row in rows], ensure_ascii=False, default=_json_value)
        )
    elif options.format == "csv":
        writer = csv.writer(_ShellLines())
        writer.writerow(columns)
        writer.writerows([_csv_value(value) for value in row] for row in rows)
    else:
        _print_table(columns, rows)
    return DONE


class _ShellLines:
    """Ends records as a shell reads lines. The csv module quotes a line break only of the kind it ends records with."""

    def write(self, record: str) -> None:
        sys.stdout.write(record.removesuffix("\r\n") + "\n")


def _csv_value(value: object) -> object:
    """Arrays and objects as JSON, which others can read; Python's own notation they can't."""
    return json.dumps(value, ensure_ascii=False, default=_json_value) if isinstance(value, (dict, list)) else value


def _json_value(value: object) -> object:
    """Numbers stay numbers, moments become ISO text."""
    from decimal import Decimal

    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.isoformat() if isinstance(value, date) else str(value)


def _print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(*columns, box=None, header_style="bold")
    for row in rows:
        table.add_row(*("" if value is None else escape(str(value)) for value in row))
    Console(width=None if sys.stdout.isatty() else 100_000).print(table)  # a pipe has no width to wrap at


def _outbox_list(options: argparse.Namespace) -> int:
    from early_warning import digest

    with _migrated() as warehouse:
        mails = digest.outbox_list(warehouse)
    if options.json:
        print(json.dumps(mails, ensure_ascii=False, default=str))
    else:
        fields = ("mail_key", "state", "recipient", "subject", "last_error")
        _print_table(
            ("id", "state", "recipient", "subject", "error"),
            [(mail["mail_key"][:10], *(mail[name] for name in fields[1:])) for mail in mails],
        )
    return DONE


def _outbox_show(options: argparse.Namespace) -> int:
    with _known_mail() as digest, _migrated() as warehouse:
        mail = digest.outbox_show(warehouse, options.id)
    head = {name: value for name, value in mail.items() if name not in ("text", "html")}
    print(json.dumps(head, ensure_ascii=False, indent=2, default=str))
    print("(its body was dropped by upkeep)" if mail["text"] is None else mail["text"])
    return DONE


def _outbox_resend(options: argparse.Namespace) -> int:
    with _known_mail() as digest, _migrated() as warehouse, tasks.mail_server() as smtp:
        digest.outbox_resend(warehouse, options.id)
        result = digest.send_owed(warehouse, smtp, ignore_back_off=True)
    print(f"{result.sent} sent, {result.pending} waiting, {result.refused} refused", file=sys.stderr)
    return DONE


@contextmanager
def _known_mail() -> Iterator[Any]:
    """The digest room; an id that names no mail, or several, is a person's mistake."""
    from early_warning import digest

    try:
        yield digest
    except digest.UnknownMail as error:
        raise ConfigurationError.about(str(error), f"take an id of: {typed('outbox', 'list')}") from None


def _quarantine_list(options: argparse.Namespace) -> int:
    from early_warning.landing.quarantine import quarantine_list

    with _migrated() as warehouse:
        rows = quarantine_list(warehouse, options.run)
    if options.json:
        print(json.dumps(rows, ensure_ascii=False, default=str))
    elif not rows:
        print(f"Run {options.run} has no row in quarantine." if options.run else "No row is in quarantine.")
    else:
        fields = ("id", "data_set", "key", "file", "row", "column", "reason", "remedy")
        print(f"Run {rows[0]['run_id']}:")
        _print_table(fields, [[row[name] for name in fields] for row in rows])
    return DONE


def _quarantine_show(options: argparse.Namespace) -> int:
    from early_warning.landing.quarantine import quarantine_show

    with _migrated() as warehouse:
        row = quarantine_show(warehouse, options.id)
    if row is None:
        what = f"no row in quarantine has the id {options.id}"
        raise ConfigurationError.about(what, f"take an id of: {typed('quarantine', 'list')}")
    print(json.dumps(row, ensure_ascii=False, indent=2, default=str))
    return DONE


def _dsn(options: argparse.Namespace) -> int:
    with _migrated() as warehouse:
        print(warehouse.reader_dsn)
    return DONE


@contextmanager
def _migrated() -> Iterator[Warehouse]:
    with _warehouse() as warehouse:
        migrate(warehouse)
        yield warehouse


if __name__ == "__main__":
    sys.exit(main())
