"""Reports of the platform itself: what operators know each morning, and what internal audit keeps an eye on.

A report covers what happened since its reader's last one: by the clock, not by the days that were judged, so that a
back-fill and a day judged again are told of, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, LiteralString
from zoneinfo import ZoneInfo

from babel.numbers import format_decimal
from psycopg.rows import dict_row

from early_warning.digest.outbox import mail_key, post, write_letter
from early_warning.digest.readers import Run, is_due, usable_address
from early_warning.digest.render import Rendered, environment
from early_warning.digest.text import plain
from early_warning.digest.words import Words, words_for
from early_warning.settings import typed
from early_warning.warehouse import Connection

MOST_ROWS = 20
_LONGEST_LABEL = 160
_LONGEST_NOTE = 500
_MOST_DIFFERENCES = 12
# Reasons that somebody can mend; the others are a customer's own, such as too short a history.
_MENDABLE = ("no_data", "stale")
# So many published runs before tell what a step usually takes.
_USUAL_RUNS = 20


@dataclass(frozen=True)
class Row:
    """A line of a section: what, how much or in which state, and what there is to say of it."""

    label: str
    value: str
    notes: tuple[str, ...]
    is_bad: bool


@dataclass(frozen=True)
class Section:
    """Rows of one kind; `remark` says what to do about them, `more` how many are not shown (empty: none)."""

    title: str
    rows: tuple[Row, ...]
    remark: str
    more: str


@dataclass(frozen=True)
class Report:
    """What a report says. `name` begins the subject; `findings`: what needs a hand or is out of the ordinary, if any.

    `verdict` is the first line, `lead` tells what the report covers.
    """

    name: str
    title: str
    verdict: str
    findings: tuple[str, ...]
    well: str
    lead: str
    sections: tuple[Section, ...]


def post_reports(connection: Connection, run: Run, from_address: str, unsubscribe: str | None) -> int:
    """Write the reports that are due in a published run into the outbox; returns how many are new.

    `unsubscribe`: see `write_letter`.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        company = cursor.execute("select name from ops.company").fetchone()
        lines = cursor.execute(
            "select * from ops.recipient where role = any(%s) order by role, email, name", (list(_KINDS),)
        ).fetchall()
    readers = {(line["role"], address): line for line in lines if (address := usable_address(line["email"]))}
    posted = 0
    for (role, address), line in readers.items():
        audience, usual_frequency, lay_out = _KINDS[role]
        zone = ZoneInfo(line["time_zone"] or run.time_zone)
        frequency = line["frequency"] or usual_frequency
        if frequency == "never" or not is_due(frequency, zone, run.as_of_at, run.told_before_at):
            continue
        words = words_for(line["language"])
        last = connection.execute(
            "select run_id, composed_at from ops.outbox where audience = %s and recipient = %s"
            " order by as_of_at desc limit 1",
            (audience, address),
        ).fetchone()
        ledgers = _Ledgers(connection, run, words, zone, *(last or (None, None)))
        name = plain(line["name"])
        rendered = _render(lay_out(ledgers), ledgers, plain(company["name"]) if company else "", name)
        letter = write_letter(
            mail_key(run.as_of_at.astimezone(UTC).isoformat(), audience, address),
            sender=words.sender,
            from_address=from_address,
            reader=name,
            recipient=address,
            written_at=run.published_at.astimezone(zone),
            subject=rendered.subject,
            text=rendered.text,
            html=rendered.html,
            unsubscribe=unsubscribe,
        )
        posted += post(connection, letter, run_id=run.run_id, audience=audience)
    return posted


@dataclass(frozen=True)
class _Ledgers:
    """What happened in the platform since a reader's last report, as the reader's language writes it."""

    connection: Connection
    run: Run
    words: Words
    time_zone: ZoneInfo
    last_run_id: int | None
    since: datetime | None  # when the last report was written; none before the first

    def rows(self, query: LiteralString, **parameters: Any) -> list[dict[str, Any]]:
        """Rows of a query that may ask for the run, the reader's last report, and the runs since."""
        given = {
            "run_id": self.run.run_id,
            "as_of_at": self.run.as_of_at,
            "since": self.since,
            "last_run_id": self.last_run_id,
            **parameters,
        }
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, given).fetchall()

    @cached_property
    def runs(self) -> Sequence[Mapping[str, Any]]:
        """Runs that did anything since, newest first; sending mails that were owed is no such thing."""
        return self.rows(
            "select run.*, it.took, landed.batches, landed.rows, landed.unusable,"
            " exists (select from ops.run as earlier where earlier.as_of_at = run.as_of_at"
            "   and earlier.run_id < run.run_id and earlier.published_at is not null) as is_again,"
            " exists (select from ops.run as other where other.as_of_at = run.as_of_at"
            "   and other.published_at is not null) as is_mended"
            " from ops.run as run"
            " left join lateral (select"
            "     max(step.started_at + step.seconds * interval '1 second') - opened.started_at as took"
            "   from ops.run_step as opened join ops.run_step as step on step.run_id = opened.run_id"
            "     and step.started_at >= opened.started_at and step.step <> 'send_digests'"
            "   where opened.run_id = run.run_id and opened.step = 'open_run' group by opened.started_at) as it on true"
            " left join lateral (select count(*) as batches, coalesce(sum(rows), 0)::bigint as rows,"
            "   coalesce(sum(quarantined + orphans), 0)::bigint as unusable"
            "   from ops.batch where batch.run_id = run.run_id) as landed on true"
            " where case when %(since)s::timestamptz is null then run.dropped_at is null"
            "   else greatest(run.opened_at, run.published_at) > %(since)s or exists (select from ops.run_step as step"
            "     where step.run_id = run.run_id and step.step <> 'send_digests' and step.started_at > %(since)s) end"
            " order by run.run_id desc"
        )

    @cached_property
    def run_ids(self) -> list[int]:
        """Ids of those runs."""
        return [run["run_id"] for run in self.runs]

    def unpublished(self) -> list[Mapping[str, Any]]:
        """Runs of which nothing came, and no other run of the same cut-off was published either."""
        cut_offs = {
            run["as_of_at"]: run for run in self.runs if run["run_id"] != self.run.run_id and not run["is_mended"]
        }
        return list(cut_offs.values())

    def gates(self, *verdicts: str) -> list[dict[str, Any]]:
        """What gates said in those runs, each message once: the gravest and newest first."""
        return self.rows(
            "select gate, data_set, verdict, message, count(distinct run_id) as runs, max(run_id) as run_id"
            " from ops.gate_result where run_id = any(%(run_ids)s) and verdict = any(%(verdicts)s)"
            " group by gate, data_set, verdict, message"
            " order by verdict <> 'fail', max(run_id) desc, gate, min(result_no)",
            run_ids=self.run_ids,
            verdicts=list(verdicts),
        )

    def refused(self) -> list[dict[str, Any]]:
        """Addresses that the server refused for good since, and that took none later.

        A mail may have waited for days before it was refused; when it was tried last tells `next_attempt_at`.
        """
        return self.rows(
            "select recipient, min(composed_at) as since,"
            " (array_agg(last_error order by composed_at desc, mail_key))[1] as answer,"
            " left((array_agg(mail_key order by composed_at desc, mail_key))[1], 10) as mail from ops.outbox as failed"
            " where state = 'refused' and not exists (select from ops.outbox as later"
            "   where later.recipient = failed.recipient and later.state = 'sent'"
            "   and later.sent_at > failed.composed_at)"
            " group by recipient having %(since)s::timestamptz is null or max(next_attempt_at) >= %(since)s"
            " order by since, recipient"
        )

    # Figures and texts

    def number(self, count: int) -> str:
        return str(format_decimal(count, locale=self.words.locale))

    def counted(self, what: str, count: int) -> str:
        return self.words.gettext("{what}: {count}").format(what=what, count=self.number(count))

    def seconds(self, seconds: float) -> str:
        """Write a duration; whole seconds from a minute on."""
        if seconds < 60:
            shown = str(format_decimal(seconds, "0.0", locale=self.words.locale))
            return self.words.gettext("{seconds} s").format(seconds=shown)
        minutes, rest = divmod(round(seconds), 60)
        return self.words.gettext("{minutes} min {seconds} s").format(minutes=self.number(minutes), seconds=rest)

    def moment(self, moment: datetime) -> str:
        """Write day and time of day where the reader is."""
        local = moment.astimezone(self.time_zone)
        return f"{self.words.short_date(local.date())} {self.words.time_of_day(local.time())}"

    def day(self, run: Mapping[str, Any]) -> str:
        """Write which day a run judges, with the time of day of a cut-off within it."""
        local = run["as_of_at"].astimezone(ZoneInfo(self.run.time_zone))
        day = self.words.short_date(run["as_of_date"])
        return day if (local.hour, local.minute) == (0, 0) else f"{day} {self.words.time_of_day(local.time())}"

    def run_name(self, run: Mapping[str, Any]) -> str:
        return self.words.gettext("{day} · run {run_id}").format(day=self.day(run), run_id=run["run_id"])

    @cached_property
    def states(self) -> Mapping[str, str]:
        """What became of a run, and what a gate said."""
        return {
            "running": self.words.pgettext("run", "broken off"),
            "failed": self.words.pgettext("run", "failed"),
            "stopped": self.words.pgettext("run", "stopped by a gate"),
            "published": self.words.pgettext("run", "published"),
            "warn": self.words.pgettext("gate", "warned"),
            "fail": self.words.pgettext("gate", "failed"),
        }

    def gate_rows(self, found: Sequence[Mapping[str, Any]]) -> list[Row]:
        """What gates said, word for word."""
        return [
            _row(
                " · ".join(filter(None, (gate["gate"], gate["data_set"]))),
                self.states[gate["verdict"]],
                gate["message"],
                self.words.gettext("in {count} runs").format(count=gate["runs"]) if gate["runs"] > 1 else "",
                is_bad=gate["verdict"] == "fail",
            )
            for gate in found
        ]

    def refused_rows(self, found: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Who gets nothing, and what the server says to that."""
        _ = self.words.gettext
        return [
            _row(
                one["recipient"],
                _("since {date}").format(date=self.moment(one["since"])),
                one["answer"],
                _("newest mail: {mail}").format(mail=one["mail"]),
                is_bad=True,
            )
            for one in found
        ]


def _row(label: object, value: object = "", *notes: str | None, is_bad: bool = False) -> Row:
    """Make a line of text from outside."""
    kept = tuple(text for note in notes if (text := plain(note, _LONGEST_NOTE)))
    return Row(plain(str(label), _LONGEST_LABEL), plain(str(value)), kept, is_bad)


def _sections(words: Words, *sections: tuple[str, Sequence[Row], str]) -> tuple[Section, ...]:
    """Leave out what has no rows, and rows beyond the most that are shown."""
    return tuple(
        Section(title, tuple(rows[:MOST_ROWS]), remark, _and_more(words, len(rows) - MOST_ROWS))
        for title, rows, remark in sections
        if rows
    )


def _and_more(words: Words, count: int) -> str:
    return words.ngettext("and {count} more", "and {count} more", count).format(count=count) if count > 0 else ""


# Operators


def _of_operations(ledgers: _Ledgers) -> Report:
    words, _ = ledgers.words, ledgers.words.gettext
    gates, refused, owed = ledgers.gates("fail", "warn"), ledgers.refused(), _owed(ledgers)
    quarantined = _quarantine(ledgers)
    stale = _stale(ledgers)
    warned = sum(gate["verdict"] == "warn" for gate in gates)
    findings = [
        _("{day} is not published").format(day=ledgers.day(run)) for run in reversed(ledgers.unpublished()[:MOST_ROWS])
    ] + [
        ledgers.counted(what, count)
        for what, count in (
            (_("data sets that stand still"), len(stale)),
            (_("warnings of gates"), warned),
            (_("addresses refused"), len(refused)),
            (_("mails still owed"), len(owed)),
        )
        if count
    ]
    newest_in_quarantine = max((run["run_id"] for run in ledgers.runs if run["unusable"]), default=0)
    look = _("The rows themselves: {command}")
    return Report(
        name=_("Platform operations"),
        title=_("Operations of the warning platform"),
        verdict=_("This needs a hand:") if findings else _("All is well."),
        findings=tuple(findings),
        well=_("all is well"),
        lead=_lead(ledgers),
        sections=_sections(
            words,
            (_("Runs"), [_of_run(ledgers, run) for run in ledgers.runs], ""),
            (
                _("Gates that failed or warned"),
                ledgers.gate_rows(gates),
                _("Readers see the last good day until a stopped day is judged anew.")
                if any(gate["verdict"] == "fail" for gate in gates)
                else "",
            ),
            (
                _("Rows in quarantine"),
                quarantined,
                look.format(command=typed("quarantine", "list", "--run", str(newest_in_quarantine))),
            ),
            (
                _("Sources that stand still"),
                stale,
                _("Indicators that need them are unknown for everybody until they deliver again."),
            ),
            (
                _("Mails that the server refused"),
                ledgers.refused_rows(refused),
                _("Correct the address at its source. To send a mail again, by its id: {command}").format(
                    command=typed("outbox", "resend", "ID")
                ),
            ),
            (_("Mails still owed"), owed, _("They are tried again with every run.")),
            (
                _("Indicators that could not be judged"),
                _unknown(ledgers),
                _("In customers. Missing and too old data can be mended at the source; the rest is the customers'."),
            ),
            (_("Working time by step, this run"), _steps(ledgers), ""),
        ),
    )


def _of_run(ledgers: _Ledgers, run: Mapping[str, Any]) -> Row:
    _ = ledgers.words.gettext
    landed = _("{batches} batches, {rows} rows, {unusable} unusable")
    facts = [
        _("back-fill") if run["is_backfill"] else "",
        _("judged again") if run["is_again"] else "",
        ledgers.seconds(run["took"].total_seconds()) if run["took"] else "",
        landed.format(
            batches=run["batches"], rows=ledgers.number(run["rows"]), unusable=ledgers.number(run["unusable"])
        )
        if run["batches"]
        else "",
    ]
    return _row(
        ledgers.run_name(run),
        ledgers.states[run["state"]],
        " · ".join(filter(None, facts)),
        run["message"],
        is_bad=run["state"] != "published",
    )


def _quarantine(ledgers: _Ledgers) -> list[Row]:
    _ = ledgers.words.gettext
    found = ledgers.rows(
        "select source, data_set, sum(quarantined + orphans)::bigint as unusable, sum(orphans)::bigint as orphans,"
        " sum(rows + quarantined)::bigint as rows, (select reason from ops.quarantine"
        "   where quarantine.run_id = any(%(run_ids)s) and quarantine.source = batch.source"
        "   and quarantine.data_set = batch.data_set group by reason order by count(*) desc, reason limit 1) as reason"
        " from ops.batch where run_id = any(%(run_ids)s) group by source, data_set"
        " having sum(quarantined + orphans) > 0 order by unusable desc, source, data_set",
        run_ids=ledgers.run_ids,
    )
    rows = []
    for one in found:
        facts = [_("of {rows} rows").format(rows=ledgers.number(one["rows"]))]
        if one["orphans"]:
            facts.append(ledgers.counted(_("of unknown customers"), one["orphans"]))
        reason = _("most often: {reason}").format(reason=one["reason"]) if one["reason"] else ""
        label = f"{one['source']} · {one['data_set']}"
        rows.append(_row(label, ledgers.number(one["unusable"]), " · ".join(facts), reason))
    return rows


def _stale(ledgers: _Ledgers) -> list[Row]:
    _ = ledgers.words.gettext
    found = ledgers.rows(
        "select data_set, (select max(greatest(newest_file_date, (read_through at time zone %(zone)s)::date))"
        "   from ops.batch where batch.data_set = stale.data_set and state = 'accepted') as newest,"
        " (select message || ' → ' || remedy from ops.problem where problem.run_id = %(run_id)s"
        "   and problem.data_set = stale.data_set and not is_critical order by problem_id limit 1) as problem"
        " from ops.run cross join unnest(stale_data_sets) as stale (data_set) where run_id = %(run_id)s order by 1",
        zone=ledgers.run.time_zone,
    )
    return [
        _row(
            one["data_set"],
            _("newest: {date}").format(date=ledgers.words.short_date(one["newest"])) if one["newest"] else "",
            one["problem"],
            is_bad=True,
        )
        for one in found
    ]


def _owed(ledgers: _Ledgers) -> list[Row]:
    """Mails of earlier, not those that are written just now."""
    _ = ledgers.words.gettext
    found = ledgers.rows(
        "select recipient, subject, attempts, composed_at, last_error from ops.outbox"
        " where state = 'pending' and composed_at < now() order by composed_at, recipient, mail_key"
    )
    return [
        _row(
            one["recipient"],
            _("since {date}").format(date=ledgers.moment(one["composed_at"])),
            one["subject"],
            ledgers.words.semicolon.join(
                filter(None, (ledgers.counted(_("attempts"), one["attempts"]), one["last_error"]))
            ),
            is_bad=True,
        )
        for one in found
    ]


def _unknown(ledgers: _Ledgers) -> list[Row]:
    """Count by indicator and reason; first what somebody can mend."""
    found = ledgers.rows(
        "select indicator_code, coalesce(unknown_reason, 'no_data') as reason, count(*) as customers"
        " from marts.fct_indicator_values where run_id = %(run_id)s and state = 'unknown'"
        " group by 1, 2 order by 3 desc, 2"
    )
    mendable, in_all = Counter[str](), Counter[str]()
    reasons: dict[str, list[str]] = {}
    for one in found:
        code, reason = one["indicator_code"], one["reason"]
        in_all[code] += one["customers"]
        mendable[code] += one["customers"] * (reason in _MENDABLE)
        name = ledgers.words.unknown_reasons.get(reason, reason)
        reasons.setdefault(code, []).append(f"{name} {ledgers.number(one['customers'])}")
    ordered = sorted(reasons, key=lambda code: (-mendable[code], -in_all[code], code))
    return [_row(code, ledgers.number(in_all[code]), ledgers.words.comma.join(reasons[code])) for code in ordered]


def _steps(ledgers: _Ledgers) -> list[Row]:
    _ = ledgers.words.gettext
    found = ledgers.rows(
        "select step, seconds::float, rows, (select percentile_cont(0.5) within group (order by before.seconds)"
        "   from ops.run_step as before where before.step = step.step and before.state = 'done' and before.run_id in"
        "   (select run_id from ops.run where published_at is not null and run_id < %(run_id)s"
        "     order by run_id desc limit %(usual_runs)s)) as usual"
        " from ops.run_step as step where run_id = %(run_id)s and state <> 'running' order by seconds desc, step",
        usual_runs=_USUAL_RUNS,
    )
    return [
        _row(
            one["step"],
            ledgers.seconds(one["seconds"]),
            ledgers.words.comma.join(
                filter(
                    None,
                    (
                        _("usually {time}").format(time=ledgers.seconds(one["usual"])) if one["usual"] else "",
                        ledgers.counted(_("rows"), one["rows"]) if one["rows"] is not None else "",
                    ),
                )
            ),
        )
        for one in found
    ]


# Internal audit


def _of_audit(ledgers: _Ledgers) -> Report:
    words, _ = ledgers.words, ledgers.words.gettext
    runs = [run for run in ledgers.runs if _is_out_of_the_ordinary(ledgers, run)]
    overdue, refused = _overdue(ledgers), ledgers.refused_rows(ledgers.refused())
    kinds = (
        (_("Changes of the warning rules"), _("changes of the rules"), _policy_changes(ledgers), ""),
        (_("Mutes that began, changed or ended"), _("mutes"), _mutes(ledgers), ""),
        (
            _("Runs that were stopped, failed, judged again or filled in"),
            _("runs out of the ordinary"),
            [_of_run(ledgers, run) for run in runs],
            "",
        ),
        (_("Gates that failed"), _("failed gates"), ledgers.gate_rows(ledgers.gates("fail")), ""),
        (
            _("Level 1 without a record past its deadline"),
            _("overdue at level 1"),
            overdue,
            _("As of this run nobody has recorded what was done about them. The time is the deadline."),
        ),
        (_("Mails that the server refused"), _("addresses refused"), refused, ""),
        (_("Mails sent again"), _("mails sent again"), _resent(ledgers), ""),
    )
    findings = tuple(ledgers.counted(short, len(rows)) for _title, short, rows, _remark in kinds if rows)
    return Report(
        name=_("Audit of the warning platform"),
        title=_("For internal audit: changes and irregularities"),
        verdict=_("This happened:")
        if findings
        else _(
            "Nothing of what is watched for happened: no change of rules, no mute, no irregular run, no failed gate,"
            " nothing overdue at level 1, no mail refused or sent again."
        ),
        findings=findings,
        well=words.pgettext("audit", "nothing to report"),
        lead=_lead(ledgers),
        sections=_sections(words, *((title, rows, remark) for title, _short, rows, remark in kinds)),
    )


def _is_out_of_the_ordinary(ledgers: _Ledgers, run: Mapping[str, Any]) -> bool:
    is_left = run["state"] != "published" and run["run_id"] != ledgers.run.run_id
    return bool(is_left or run["is_again"] or run["is_backfill"])


def _policy_changes(ledgers: _Ledgers) -> list[Row]:
    _ = ledgers.words.gettext
    found = ledgers.rows(
        "select change.*, run.as_of_at, run.state from ops.policy_change as change join ops.run as run using (run_id)"
        " where %(since)s::timestamptz is null or changed_at > %(since)s order by changed_at, run_id"
    )
    rows = []
    for change in found:
        told = [_difference(ledgers.words, one) for one in change["differences"]]
        state = "" if change["state"] == "published" else ledgers.states[change["state"]]
        name = ledgers.run_name(change)
        rows.append(
            _row(
                _("by {who}").format(who=change["changed_by"]),
                ledgers.moment(change["changed_at"]),
                _("first judged by it: {run}").format(run=f"{name} ({state})" if state else name),
                *told[:_MOST_DIFFERENCES],
                _and_more(ledgers.words, len(told) - _MOST_DIFFERENCES),
            )
        )
    return rows


def _difference(words: Words, difference: Mapping[str, Any]) -> str:
    """One difference between two policies in words; see policy_changes.differences."""
    key, column = ".".join(map(str, difference["key"])), difference["column"]
    if column is None:
        came = words.gettext("{file}: {line} added")
        went = words.gettext("{file}: {line} left out")
        return (came if difference["before"] is None else went).format(file=difference["file"], line=key)
    if column == "description":
        return words.gettext("{line}: described anew").format(line=key)
    before, after = ("–" if difference[name] is None else difference[name] for name in ("before", "after"))
    return f"{key} {column}{words.colon}{before} → {after}"


def _mutes(ledgers: _Ledgers) -> list[Row]:
    """What the reader's last report's run went by, held against this one's, and mutes of days between."""
    words, _ = ledgers.words, ledgers.words.gettext
    between = [run["run_id"] for run in ledgers.runs if not run["is_backfill"]]
    found = ledgers.rows(
        "select mute.*, customers.customer_name from ops.mute as mute left join marts.dim_customers as customers"
        " on mute.customer_id = customers.customer_id and customers.run_id = %(run_id)s"
        " where mute.run_id = any(%(between)s) or mute.run_id = %(last_run_id)s order by mute.run_id",
        between=between,
    )
    before, now, newest = {}, set(), {}
    for mute in found:
        key = mute["customer_id"], mute["muted_on"]
        newest[key] = mute
        if mute["run_id"] == ledgers.last_run_id:
            before[key] = mute
        if mute["run_id"] == ledgers.run.run_id:
            now.add(key)
    rows = []
    for key, mute in sorted(newest.items()):
        until, who = words.short_date(mute["muted_until"]), mute["muted_by"]
        said = ("muted_until", "reason", "muted_by")
        if key not in now:
            is_over = mute["muted_until"] < ledgers.run.as_of_date
            what = words.pgettext("mute", "ended as set") if is_over else words.pgettext("mute", "ended early")
        elif key not in before:
            what = words.pgettext("mute", "began")
        elif any(before[key][name] != mute[name] for name in said):
            what = words.pgettext("mute", "changed")
        else:
            continue
        span = _("from {first} to {last}, by {who}")
        rows.append(
            _row(
                " ".join(filter(None, (mute["customer_name"], mute["customer_id"]))),
                what,
                span.format(first=words.short_date(mute["muted_on"]), last=until, who=who),
                mute["reason"],
            )
        )
    return rows


def _overdue(ledgers: _Ledgers) -> list[Row]:
    _ = ledgers.words.gettext
    found = ledgers.rows(
        "select cases.customer_id, cases.deadline_at, levels.customer_name, levels.owner_name"
        " from marts.fct_warning_cases as cases join marts.fct_customer_levels as levels"
        " on levels.customer_id = cases.customer_id and levels.run_id = cases.run_id and levels.warning_level = 1"
        " where cases.run_id = %(run_id)s and cases.closed_on is null and cases.handled_at is null"
        " and cases.deadline_at <= %(as_of_at)s and not cases.is_muted order by cases.deadline_at, cases.customer_id"
    )
    return [
        _row(
            " ".join(filter(None, (one["customer_name"], one["customer_id"]))),
            ledgers.moment(one["deadline_at"]),
            _("owner {name}").format(name=one["owner_name"]) if one["owner_name"] else "",
            is_bad=True,
        )
        for one in found
    ]


def _resent(ledgers: _Ledgers) -> list[Row]:
    found = ledgers.rows(
        "select recipient, subject, resent_at from ops.outbox where resent_at is not null"
        " and (%(since)s::timestamptz is null or resent_at > %(since)s) order by resent_at, mail_key"
    )
    return [_row(one["recipient"], ledgers.moment(one["resent_at"]), one["subject"]) for one in found]


# The mail


def _lead(ledgers: _Ledgers) -> str:
    """What the report covers, so that a quiet one is seen to have looked."""
    _ = ledgers.words.gettext
    covered = {
        "runs": ledgers.number(len(ledgers.runs)),
        "published": ledgers.number(sum(run["state"] == "published" for run in ledgers.runs)),
    }
    if ledgers.since is None:
        return _("Since the platform's first run: runs {runs}, published {published}.").format(**covered)
    lead = _("Since your last report, of {moment}: runs {runs}, published {published}.")
    return lead.format(moment=ledgers.moment(ledgers.since), **covered)


def _render(report: Report, ledgers: _Ledgers, company: str, reader: str) -> Rendered:
    words, run = ledgers.words, ledgers.run
    _ = words.gettext
    subject = _("[{report}] {date}: {news}").format(
        report=report.name,
        date=words.short_date(run.as_of_date),
        news=words.comma.join(report.findings) or report.well,
    )
    footer = _(
        "Sent automatically by the customer early-warning platform of {company}; please do not reply · run {run_id}"
    )
    context: dict[str, Any] = {
        "report": report,
        "words": words,
        "subject": subject,
        "company": company,
        "as_of": _("as of {date}").format(date=words.long_date(run.as_of_date)),
        "greeting": _("Dear {reader},").format(reader=reader) if reader else _("Good day,"),
        "footer": footer.format(company=company, run_id=run.run_id),
    }
    templates = environment(words.language)
    return Rendered(
        subject=subject,
        text=templates.get_template("report.txt.j2").render(context),
        html=templates.get_template("report.html.j2").render(context),
    )


_KINDS: Mapping[str, tuple[str, str, Callable[[_Ledgers], Report]]] = {
    "operators": ("operators_report", "daily", _of_operations),
    "internal_audit": ("audit_report", "weekly_monday", _of_audit),
}
