"""What each task of the DAG does: open the rooms in order, record rows and seconds. Knows no Airflow.

Every function takes what the task before it returned (a run id) and leaves its result in the warehouse, so that a task
can be tried again, alone, in another process.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, astuple
from datetime import date, timedelta
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec
from zoneinfo import ZoneInfo

from early_warning import policy, policy_changes, runs
from early_warning.problems import ConfigurationError, GateStopped, Problem
from early_warning.settings import Company, DatabaseSource, Mute, Source, company_folder, home, load_company, typed
from early_warning.smtp import SmtpSettings
from early_warning.warehouse import Warehouse

if TYPE_CHECKING:
    from early_warning.digest import Review
    from early_warning.quality import Verdict


def company() -> Company:
    """The company of this process, $EARLY_WARNING_COMPANY."""
    return load_company(company_folder())


def warehouse() -> Warehouse:
    """The warehouse of this process, $EARLY_WARNING_DSN (owner) and $EARLY_WARNING_READER_DSN.

    Raises:
        ConfigurationError: when they are not set.
    """
    try:
        return Warehouse(os.environ["EARLY_WARNING_DSN"], os.environ["EARLY_WARNING_READER_DSN"])
    except KeyError as error:
        raise ConfigurationError.about(
            f"{error.args[0]} is not set", f"set it to a libpq connection string, or use: {typed('run')}"
        ) from None


def open_run(as_of: str) -> int:
    """Check company and policy, prepare the sources of a simulated one, and open the run of a date or timestamp.

    Raises:
        ConfigurationError: with everything wrong with company folder or policy, before anything is extracted.
    """
    current, rules, _ = check_configuration(company_folder())
    moment = runs.Moment.parse(as_of, current.time_zone)
    enrol(warehouse(), current)
    policy.store(warehouse(), rules)
    run_id = runs.open_run(warehouse(), moment, current.time_zone, rules.policy_hash)
    with runs.step(warehouse(), run_id, "open_run"):
        policy_changes.note(warehouse(), run_id)
        note_mutes(warehouse(), run_id, moment.as_of_date, current.mutes)
        if current.simulation:
            simulate(current, moment.as_of_date)
    return run_id


def check_configuration(folder: Path) -> tuple[Company, policy.Policy, tuple[Problem, ...]]:
    """Read company folder, policy and mail server's address; also gives notices, of what is odd and stops nothing.

    Raises:
        ConfigurationError: with what is wrong with all of them at once.
    """
    problems: list[Problem] = []
    current = rules = None
    try:
        current = load_company(folder)
    except ConfigurationError as error:
        problems += error.problems
    try:
        rules = policy.load(folder / "policy")
    except ConfigurationError as error:
        problems += error.problems
    try:
        _smtp_server()
    except ConfigurationError as error:
        problems += error.problems
    if problems or current is None or rules is None:
        raise ConfigurationError(problems)
    return current, rules, tuple(_unheaded(current, rules))


def _unheaded(current: Company, rules: policy.Policy) -> Iterator[Problem]:
    """Departments that indicators concern and nobody heads: nobody else gets a head's mail."""
    headed = {one.department for one in current.recipients if one.role == "head"}
    concerned: dict[str, list[str]] = {}
    for indicator in rules.tables["indicators"]:
        for department in (indicator["department"], *indicator["also_departments"]):
            concerned.setdefault(department, []).append(indicator["indicator_code"])
    for department in sorted(concerned.keys() - headed):
        yield Problem(
            f"{department} has no head, so its mails go to nobody (owners hear of their own customers all the same):"
            f" {', '.join(sorted(concerned[department]))}",
            f"add a line with role head and department {department}",
            file="recipients.csv",
            is_critical=False,
        )


def enrol(ledger: Warehouse, current: Company) -> None:
    """Tell the warehouse whom it serves and who is told.

    Raises:
        ConfigurationError: when this warehouse belongs to another company.
    """
    with ledger.connect() as connection:
        owner = connection.execute("select name from ops.company").fetchone()
        if owner and owner[0] != current.name:
            raise ConfigurationError.about(
                f"this home belongs to {owner[0]}, not to {current.name}",
                "set EARLY_WARNING_HOME to another folder for another company",
            )
        connection.execute("delete from ops.company")
        connection.execute(
            "insert into ops.company (folder, name, time_zone, currency, language, desk_url)"
            " values (%s, %s, %s, %s, %s, %s)",
            (
                *(str(current.folder), current.name, current.time_zone.key),
                *(current.currency, current.language, current.desk_url),
            ),
        )
        connection.execute("delete from ops.recipient")
        with connection.cursor() as cursor:
            cursor.executemany(
                "insert into ops.recipient (role, department, name, email, language, frequency, time_zone, chat)"
                " values (%s, %s, %s, %s, %s, %s, %s, %s)",
                [astuple(one) for one in current.recipients],
            )


def note_mutes(ledger: Warehouse, run_id: int, day: date, mutes: Iterable[Mute]) -> None:
    """Keep the mutes that a run goes by: those in force on its day."""
    in_force = [mute for mute in mutes if mute.muted_on <= day <= mute.muted_until]
    with ledger.connect() as connection, connection.cursor() as cursor:
        cursor.execute("delete from ops.mute where run_id = %s", (run_id,))
        cursor.executemany(
            "insert into ops.mute (customer_id, run_id, muted_on, muted_until, reason, muted_by)"
            " values (%s, %s, %s, %s, %s, %s)",
            [(m.customer_id, run_id, m.muted_on, m.muted_until, m.reason, m.muted_by) for m in in_force],
        )


def simulate(current: Company, through: date) -> None:
    """Let the demo company write down what it knows by the end of a day: files, and in $EARLY_WARNING_DEMO_DSN its CRM.

    Raises:
        ConfigurationError: when the database is not told.
    """
    from early_warning import demo

    assert current.simulation is not None
    crm = os.environ.get("EARLY_WARNING_DEMO_DSN")
    if crm is None:
        raise ConfigurationError.about(
            "EARLY_WARNING_DEMO_DSN is not set",
            f"set it to a database for the demo company's CRM, or use: {typed('run')}",
        )
    demo.prepare(home() / "demo", current.simulation, through, crm)


Arguments = ParamSpec("Arguments")


def _until(
    is_done: Callable[[Warehouse, int], bool],
) -> Callable[[Callable[Concatenate[int, Arguments], int]], Callable[Concatenate[int, Arguments], int]]:
    """Leave a run as it is that is past this task, whoever clears it, or goes on with a run that was killed."""

    def decorate(function: Callable[Concatenate[int, Arguments], int]) -> Callable[Concatenate[int, Arguments], int]:
        @wraps(function)
        def call(run: int, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> int:
            return run if is_done(warehouse(), run) else function(run, *args, **kwargs)

        return call

    return decorate


@_until(runs.has_fixed_batches)
def extract(run: int, source: str, dsn_of: Callable[[str], str]) -> int:
    """Read what is new at a source and land it; returns the run id.

    `dsn_of` turns the id of a database source's connection into a libpq connection string.
    """
    from early_warning import landing

    current = company()
    with runs.step(warehouse(), run, f"extract_{source}") as step:
        found = _source(current, source)
        dsn = dsn_of(found.config.connection) if isinstance(found.config, DatabaseSource) else None
        batches = landing.land(warehouse(), run, found, currency=current.currency, dsn=dsn)
        step.rows = sum(batch.rows for batch in batches)
        quarantined = sum(batch.quarantined for batch in batches)
        step.message = f"{quarantined:,} quarantined" if quarantined else None
    return run


@_until(runs.has_fixed_batches)
def gate_source(run: int, source: str) -> int:
    """Judge what a source delivered; stops the run on anything critical."""
    from early_warning import quality

    current = company()
    with runs.step(warehouse(), run, f"gate_{source}"), _rejecting(run):
        _stop_if_failed(quality.check_source(warehouse(), run, _source(current, source)))
    return run


@_until(runs.is_published)
def gate_landing(run: int) -> int:
    """Look for rows of customers nobody knows, judge all sources together, and accept the batches."""
    from early_warning import landing, quality

    current = company()
    with runs.step(warehouse(), run, "gate_landing") as step:
        if runs.has_fixed_batches(warehouse(), run):  # killed between accepting and saying so
            return run
        orphans = landing.find_orphans(warehouse(), run)
        step.message = f"{orphans:,} rows of unknown customers" if orphans else None
        with _rejecting(run):
            _stop_if_failed(quality.check_landing(warehouse(), run, current.sources))
        landing.accept(warehouse(), run)
    return run


@_until(runs.is_published)
def transform(run: int) -> int:
    """Build indicators and levels under the run's id."""
    from early_warning import transform as dbt

    with runs.step(warehouse(), run, "transform") as step:
        with dbt.alone(warehouse()):
            dbt.build(warehouse(), run)
        step.rows = warehouse().rows("select count(*) as judged from marts.fct_customer_levels where run_id = %s", run)[
            0
        ]["judged"]
    return run


@_until(runs.is_published)
def gate_marts(run: int) -> int:
    """Judge what would be published."""
    from early_warning import quality

    with runs.step(warehouse(), run, "gate_marts"):
        _stop_if_failed(quality.check_marts(warehouse(), run))
    return run


@_until(runs.is_published)
def publish(run: int) -> int:
    """Move the pointer."""
    with runs.step(warehouse(), run, "publish"):
        runs.publish(warehouse(), run)
    return run


def send_digests(run: int, chat_address: Callable[[str], str | None] | None = None) -> int:
    """Compose the digests once and send what is owed. A mail server that is down delays mails, it fails nothing.

    `chat_address` gives a chat's secret address by its name where the environment does not.
    """
    from early_warning import digest

    with runs.step(warehouse(), run, "send_digests") as step, mail_server() as smtp:
        digest.compose(warehouse(), run, from_address=smtp.from_address)
        result = digest.send_owed(warehouse(), smtp, ignore_back_off=True, chat_address=chat_address)
        step.rows = result.sent
        step.message = f"{result.pending} mails wait, or messages to chats" if result.pending else None
        runs.finish(warehouse(), run)
    return run


def tidy_warehouse() -> dict[str, dict[str, int]]:
    """Drop what the company's retention no longer keeps, and leave fresh statistics behind; says what went by table."""
    from early_warning import upkeep

    outcome = upkeep.tidy(warehouse(), company().retention)
    return {table: asdict(dropped) for table, dropped in outcome.dropped.items()}


_REVIEWED_MONTHS, _REVIEWED_CHANGES = 12, 3


def review_policy(day: date) -> str:
    """Search the last year for a better policy and mail analysis and management the review of the quarter before a day.

    It is composed once a quarter; tried again, it only sends what is owed. Returns what came of it, in words.

    Raises:
        ConfigurationError: when nothing is published that could be reviewed.
    """
    from early_warning import digest

    current, ended_on = company(), date(day.year, day.month - (day.month - 1) % 3, 1) - timedelta(days=1)
    if not any(one.role in digest.REVIEW_ROLES for one in current.recipients):
        return "recipients.csv names nobody for analysis or management, so nobody is told"
    review = None if digest.is_reviewed(warehouse(), ended_on, current.recipients) else _review(current, ended_on)
    with mail_server() as smtp:
        composed = digest.post_review(warehouse(), review, current.recipients, smtp.from_address) if review else 0
        result = digest.send_owed(warehouse(), smtp, ignore_back_off=True)
    return f"{composed} mails composed, {result.sent} sent, {result.pending} waiting"


def _review(current: Company, ended_on: date) -> Review:
    """The review of a quarter: the last month ends of which it is known what came of them, searched."""
    from early_warning import backtest, digest, propose
    from early_warning.propose import report

    horizon_days = int(policy.load(current.policy_folder).outcome("horizon_days"))
    newest = backtest.known_through(warehouse())
    if newest is None:
        raise ConfigurationError.about("nothing is published yet", "let customer_warning_daily run first")
    known = min(newest, ended_on) - timedelta(days=horizon_days)
    month = known.year * 12 + known.month - 1 - _REVIEWED_MONTHS
    months = backtest.month_ends(date(month // 12, month % 12 + 1, 1), known)
    days = [one for one in months if one <= known][-_REVIEWED_MONTHS:]
    proposal = propose.propose(
        warehouse(),
        current.policy_folder,
        [runs.Moment.of_day(one, current.time_zone) for one in days],
        horizon_days=horizon_days,
        budget=None,
        most_changes=_REVIEWED_CHANGES,
        tell=print,
    )
    if proposal.found is None:
        raise ConfigurationError.about("no day of the last year can be judged", "publish a day of three months ago")
    files = {"review.json": report.as_bytes(proposal)}
    return digest.Review(
        company=current.name,
        ended_on=ended_on,
        days=proposal.scored_days,
        later_days=len(proposal.walk),
        horizon_days=horizon_days,
        tried=proposal.found.tried,
        budget=proposal.found.budget,
        changes=[
            digest.ChangedRule(
                one.rule_code,
                one.condition.measure if one.condition else None,
                one.condition.operator if one.condition else None,
                one.before,
                one.after,
            )
            for one in proposal.changes
        ],
        expected=proposal.expected if proposal.basis == "walk-forward" else {},
        in_sample=proposal.in_sample,
        verdict=proposal.verdict,
        moved=proposal.moved_in_all,
        is_ordered=proposal.found.in_force.is_ordered,
        files=files | ({"proposal.diff": proposal.diff.encode()} if proposal.diff else {}),
    )


def tell_operators(run_id: int | None, task: str, error: str) -> None:
    """Mail the operators that a task failed or a gate stopped the run: what, where, what to do."""
    from early_warning import digest

    run = None
    if run_id is not None:
        runs.fail(warehouse(), run_id, f"{task}: {error}")
        [run] = warehouse().rows("select * from ops.run where run_id = %s", run_id)
    try:
        recipients = company().recipients
    except ConfigurationError:  # which may be what failed: then those of the last good folder are told
        recipients = ()
    state = run["state"] if run else "failed"
    which = f"run {run_id} of {_asked(run)}, {task}" if run else task
    notice = digest.Notice(
        subject=f"early-warning: {which}: {state}",
        text=_what_to_do(run, which, task, error),
        state=state,
        task=task,
        run_id=run_id,
    )
    with mail_server() as smtp:
        digest.notify_operators(warehouse(), recipients, notice, smtp)


_MOST_LINES, _LONGEST_LINE = 30, 1_000


def _what_to_do(run: Mapping[str, Any] | None, which: str, task: str, error: str) -> str:
    """What a notice says: what is wrong in the words of the gate or program, what it means, what to type."""
    lines = [line[:_LONGEST_LINE] for line in error.splitlines() if line.strip()] or ["no reason was given"]
    more = [f"{len(lines) - _MOST_LINES} more"] if len(lines) > _MOST_LINES else []
    state = run["state"] if run else "failed"
    steps = []
    if run and state == "stopped":
        steps.append(f"all that gates said: {typed('sql', _MESSAGES.format(run_id=run['run_id']))}")
        steps.append(f"rows that could not be used: {typed('quarantine', 'list', '--run', str(run['run_id']))}")
    else:
        steps.append(f"the log: the newest file of {task} below {home() / 'airflow' / 'logs'}")
    if task not in _REMEDIES:
        day = ("--as-of", _asked(run)) if run and state != "published" else ()
        steps.append(f"then: {typed('run', *day, company=company_folder())}")
    paragraphs = (
        f"{which}: {state}.",
        "\n- ".join(["What is wrong:", *lines[:_MOST_LINES], *more]),
        _REMEDIES.get(task) or _REMEDIES[state],
        "\n- ".join(["What to do:", *steps]),
    )
    return "\n\n".join(paragraphs) + "\n"


def _asked(run: Mapping[str, Any]) -> str:
    """What `--as-of` takes for a run's moment."""
    return runs.Moment(run["as_of_date"], run["as_of_at"].astimezone(ZoneInfo(run["company_time_zone"]))).asked


_MESSAGES = "select gate, message from bi.gates where verdict <> 'pass' and run_id = {run_id}"
_REMEDIES = {
    "stopped": "Nothing was published; readers see the last good day. Mend at the source what is named above, or accept"
    " it (docs/operations.md, When a gate stops a run), then judge the day again.",
    "failed": "Nothing was published; readers see the last good day. Run again: it goes on where it was.",
    "published": "The day is published; its mails wait. Run again: it sends what is owed, nothing twice.",
    "running": "Run again: it goes on where it was.",
    "review_policy": "Nothing else waits for it. Clear the task: days judged so far are kept, no mail is sent twice.",
    "tidy_warehouse": "Runs and readers don't notice. Clear the task, or wait a week: it goes on where it was.",
}


@contextmanager
def mail_server() -> Iterator[SmtpSettings]:
    """The mail server of $EARLY_WARNING_SMTP_URL, or a local catcher that writes .eml files below the home."""
    server = _smtp_server()
    if server:
        yield server
        return
    from early_warning.embedded.mail import catch_mail

    with catch_mail(home() / "mail") as smtp:
        yield smtp


def _smtp_server() -> SmtpSettings | None:
    url = os.environ.get("EARLY_WARNING_SMTP_URL")
    return SmtpSettings.from_url(url) if url else None


def _source(current: Company, name: str) -> Source:
    return next(source for source in current.sources if source.name == name)


@contextmanager
def _rejecting(run: int) -> Iterator[None]:
    """Turn the run's batches away when its gate stops it, so that the next run reads those files again."""
    from early_warning import landing

    try:
        yield
    except GateStopped:
        landing.reject(warehouse(), run)
        raise


def _stop_if_failed(verdict: Verdict) -> None:
    if verdict.verdict == "fail":
        raise GateStopped("\n".join(verdict.messages))
