"""Sending what is owed: the only speaker of SMTP. A dead server delays mails and never fails a run."""

from __future__ import annotations

import logging
import smtplib
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType

import psycopg

from early_warning.digest.outbox import Letter, mail_key, post, write_letter
from early_warning.digest.select import usable_address
from early_warning.digest.text import plain
from early_warning.digest.words import words_for
from early_warning.settings import Recipient
from early_warning.smtp import SmtpSettings
from early_warning.warehouse import Connection, Warehouse

_LOG = logging.getLogger(__name__)
_BACK_OFF_MINUTES = [1, 5, 15, 60]
_LONGEST_ERROR = 500
# After so many connections lost one after the other the server counts as down, so that a queue can't hold up a run.
_MOST_LOST = 3
_PERMANENT = 500
# "Log in first" and its kin: the server refuses us, not the recipient, whichever command it says so at.
_NOT_THE_RECIPIENT = (530, 534, 535, 538)


@dataclass(frozen=True)
class SendResult:
    """What a call sent and what was refused for good; `pending` is all that is still owed after it."""

    sent: int
    pending: int
    refused: int


@dataclass(frozen=True)
class Notice:
    """What operators are told of a failed or stopped run: what, where, what to do.

    `state` is the run's and `task` what failed; `run_id` is None if that came before a run was opened.
    """

    subject: str
    text: str
    state: str
    task: str
    run_id: int | None = None


@dataclass(frozen=True)
class _Outcome:
    state: str
    error: str | None = None


def send_owed(warehouse: Warehouse, smtp: SmtpSettings, *, ignore_back_off: bool = False) -> SendResult:
    """Send what the outbox owes, one mail at a time, each receipt kept in a transaction of its own at once.

    A mail refused for good (5xx) is marked so; anything else that goes wrong leaves it pending with a later next
    attempt. `ignore_back_off` also tries mails whose next attempt lies ahead: for a person who says "now". A second
    process waits until the first is done. Mail trouble never raises; trouble with the warehouse does.
    """
    tally = {"sent": 0, "pending": 0, "refused": 0}
    with warehouse.connect(autocommit=True) as connection, _Session(smtp) as session:
        connection.execute("select pg_advisory_lock(hashtext('early_warning.outbox'))")
        due = _due(connection, ignore_back_off)
        for position, key in enumerate(due):
            row = connection.execute(
                "select recipient, mime from ops.outbox where mail_key = %s and state = 'pending'", (key,)
            ).fetchone()
            if row is None:
                continue
            outcome = session.send(*row)
            _record(connection, [key], outcome)
            tally[outcome.state] += 1
            if session.is_down:
                _record(connection, due[position + 1 :], outcome)
                break
        owed = connection.execute("select count(*) from ops.outbox where state = 'pending'").fetchone()
    result = SendResult(tally["sent"], owed[0] if owed else 0, tally["refused"])
    if result.pending or result.refused:
        _LOG.warning("mail: %d sent, %d still owed, %d refused", result.sent, result.pending, result.refused)
    return result


def notify_operators(
    warehouse: Warehouse | None, recipients: Iterable[Recipient], notice: Notice, smtp: SmtpSettings
) -> SendResult:
    """Tell the operators among the recipients; the same failure (run, state, task and text) is told once.

    Without any recipient, since the company folder can't be read, the operators that the warehouse knows are told.
    Through the outbox where there is a run and a warehouse that answers, else straight to the server and without a
    ledger. Never raises for mail or warehouse trouble: it is called when something else has failed already.
    """
    letters = _notices(tuple(recipients) or _known_operators(warehouse), notice, smtp)
    if warehouse is not None and notice.run_id is not None:
        try:
            with warehouse.connect() as connection:
                for letter in letters:
                    post(connection, letter, run_id=notice.run_id, audience="operators")
            return send_owed(warehouse, smtp)
        except psycopg.Error as error:
            _LOG.warning("mail: the outbox can't be used (%s), operators are told directly", type(error).__name__)
    with _Session(smtp) as session:
        states = [session.send(letter.recipient, letter.mime).state for letter in letters]
    return SendResult(states.count("sent"), states.count("pending"), states.count("refused"))


def _known_operators(warehouse: Warehouse | None) -> Sequence[Recipient]:
    """Read whom the warehouse knows as operators, nobody if it does not answer."""
    if warehouse is None:
        return ()
    try:
        known = warehouse.rows(
            "select role, department, name, email, language from ops.recipient where role = 'operators'"
            " order by recipient_id"
        )
    except psycopg.Error as error:
        _LOG.warning("mail: the warehouse can't name the operators (%s)", type(error).__name__)
        return ()
    return [Recipient(**one) for one in known]


def _notices(recipients: Iterable[Recipient], notice: Notice, smtp: SmtpSettings) -> list[Letter]:
    """One letter an operator and failure."""
    about = notice.subject if notice.run_id is None else str(notice.run_id)
    operators = {
        address: person
        for person in recipients
        if person.role == "operators" and (address := usable_address(person.email))
    }
    return [
        write_letter(
            mail_key("operators", about, notice.state, notice.task, mail_key(notice.text), address),
            sender=words_for(person.language).sender,
            from_address=smtp.from_address,
            reader=person.name,
            recipient=address,
            written_at=datetime.now(UTC),
            subject=notice.subject,
            text=notice.text,
        )
        for address, person in operators.items()
    ]


def _due(connection: Connection, ignore_back_off: bool) -> list[str]:
    """Keys of the mails to try, oldest cut-off first; the mails themselves are read one by one."""
    found = connection.execute(
        "select mail_key from ops.outbox where state = 'pending' and (%s or next_attempt_at <= clock_timestamp())"
        " order by as_of_at, run_id, audience, recipient",
        (ignore_back_off,),
    )
    return [key for (key,) in found]


def _record(connection: Connection, keys: Sequence[str], outcome: _Outcome) -> None:
    """Keep what became of mails: the receipt, the refusal, or when to try again."""
    connection.execute(
        "update ops.outbox set state = %(state)s, attempts = attempts + 1, last_error = %(error)s,"
        " sent_at = case %(state)s when 'sent' then clock_timestamp() else sent_at end,"
        " next_attempt_at = clock_timestamp()"
        "   + (%(minutes)s::int[])[least(attempts + 1, %(last)s)] * interval '1 minute'"
        " where mail_key = any(%(keys)s) and state = 'pending'",
        {
            "state": outcome.state,
            "error": outcome.error,
            "minutes": _BACK_OFF_MINUTES,
            "last": len(_BACK_OFF_MINUTES),
            "keys": list(keys),
        },
    )


class _Session:
    """One connection to the server, opened for the first mail, opened again if it was lost on the way."""

    def __init__(self, smtp: SmtpSettings) -> None:
        self._smtp = smtp
        self._client: smtplib.SMTP | None = None
        self._lost = 0

    def __enter__(self) -> _Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            try:
                self._client.quit()
            except (OSError, smtplib.SMTPException):
                self._client.close()

    @property
    def is_down(self) -> bool:
        """Whether trying further mails now would only cost time."""
        return self._lost >= _MOST_LOST

    def send(self, recipient: str, mime: bytes) -> _Outcome:
        """Hand one mail over. Only a receipt counts: a connection lost before it leaves the mail pending."""
        try:
            client = self._connected()
        except (OSError, smtplib.SMTPException) as error:
            self._lost = _MOST_LOST
            return _Outcome("pending", _reason(error))
        try:
            client.sendmail(self._smtp.from_address, [recipient], mime)
        except smtplib.SMTPRecipientsRefused as refusal:
            return self._answered(*refusal.recipients[recipient])
        except smtplib.SMTPDataError as error:
            return self._answered(error.smtp_code, error.smtp_error)
        except smtplib.SMTPResponseException as error:
            self._lost = 0
            return _Outcome("pending", _reason(error))
        except (OSError, smtplib.SMTPException) as error:
            client.close()
            self._lost += 1
            return _Outcome("pending", _reason(error))
        self._lost = 0
        return _Outcome("sent")

    def _connected(self) -> smtplib.SMTP:
        """Return the open connection; a client that the server hung up on has no socket and is replaced."""
        if self._client is not None and self._client.sock is not None:
            return self._client
        smtp = self._smtp
        if smtp.ssl:
            client: smtplib.SMTP = smtplib.SMTP_SSL(
                smtp.host, smtp.port, timeout=smtp.timeout_seconds, context=ssl.create_default_context()
            )
        else:
            client = smtplib.SMTP(smtp.host, smtp.port, timeout=smtp.timeout_seconds)
        try:
            if smtp.starttls:
                client.starttls(context=ssl.create_default_context())
            if smtp.user is not None:
                client.login(smtp.user, smtp.password or "")
        except BaseException:
            client.close()
            raise
        self._client = client
        return client

    def _answered(self, code: int, answer: bytes | str) -> _Outcome:
        self._lost = 0
        is_final = code >= _PERMANENT and code not in _NOT_THE_RECIPIENT
        text = answer.decode(errors="replace") if isinstance(answer, bytes) else answer
        return _Outcome("refused" if is_final else "pending", plain(f"{code} {text}", _LONGEST_ERROR))


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error
        answer = text.decode(errors="replace") if isinstance(text, bytes) else text
        return plain(f"{error.smtp_code} {answer}", _LONGEST_ERROR)
    return plain(f"{type(error).__name__}: {error}", _LONGEST_ERROR)
