"""Sending what is owed: the only speaker of SMTP. A dead server or chat delays its news and never fails a run."""

from __future__ import annotations

import logging
import os
import smtplib
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from itertools import groupby
from operator import itemgetter
from types import TracebackType
from typing import Protocol

import psycopg

from early_warning.digest.outbox import Letter, mail_key, post, write_letter
from early_warning.digest.readers import usable_address
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
# After so many mails one after the other that it would take later, it is asked for no more: it may mean us, not each.
_MOST_PUT_OFF = 20
_MOST_REFUSED = 20
_SERVICE_CLOSING = 421
_TIME = timedelta(minutes=45)  # of the hour that a task of the DAG has
_NOTICE_TIME = timedelta(minutes=1)
_CHAT_PER_MINUTE = 20  # what the robots of WeCom and DingTalk take
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


class _Way(Protocol):
    """Where news goes out, one after the other."""

    per_minute: float | None

    @property
    def is_down(self) -> bool:
        """Whether trying further news now would only cost time, ours or the server's."""

    def send(self, recipient: str, mime: bytes) -> _Outcome:
        """Hand one over."""


def send_owed(
    warehouse: Warehouse,
    smtp: SmtpSettings,
    *,
    ignore_back_off: bool = False,
    chat_address: Callable[[str], str | None] | None = None,
) -> SendResult:
    """Send what the outbox owes to chats and by mail, one at a time, each receipt kept in a transaction of its own.

    A mail refused for good (5xx) is marked so, unless the server refuses twenty and takes none: then it is us whom it
    refuses. Anything else that goes wrong leaves a mail pending with a later next attempt, and so does whatever a chat
    answers: it is the chat that has to be mended. Processes that send at once take turns, mail by mail. What does not
    leave within 45 minutes stays owed. Trouble with mails and chats never raises; trouble with the warehouse does.

    Who crashes after a server has said yes and before the receipt is kept tells twice: a mail under the Message-ID it
    had, by which the repetition is known; a chat has nothing of the kind, so there it can't be told from news.

    Args:
        warehouse: whose outbox is meant.
        smtp: the mail server, and how many mails a minute it takes.
        ignore_back_off: also try those whose next attempt lies ahead: for a person, or a day's run, who says "now".
        chat_address: gives the address of a chat by its name where $EARLY_WARNING_CHAT_<NAME> does not. A chat that it
            does not know either is told to the operators. Without it such chats are left to a caller who has it.
    """
    until = time.monotonic() + _TIME.total_seconds()
    with warehouse.connect(autocommit=True) as connection:
        outcomes = Counter[str]()
        for name, owed in groupby(_due(connection, "chat", ignore_back_off), itemgetter(0)):
            keys = [key for _, key in owed]
            address = os.environ.get(f"EARLY_WARNING_CHAT_{name.upper()}") or (chat_address and chat_address(name))
            if address or chat_address:
                chat = _Chat(name, address)
                outcomes += _send(connection, keys, chat, until)
                if not chat.has_address:
                    notice = _chat_without_address(connection, name, keys[-1])
                    _post_notices(connection, _notices(_known_operators(warehouse), notice, smtp), notice)
        outcomes += _send_mails(connection, smtp, ignore_back_off, until)
        return _result(connection, outcomes)


def _send_mails(connection: Connection, smtp: SmtpSettings, ignore_back_off: bool, until: float) -> Counter[str]:
    keys = [key for _, key in _due(connection, "mail", ignore_back_off)]
    with _Session(smtp) as session:
        return _send(connection, keys, session, until)


def _result(connection: Connection, outcomes: Counter[str]) -> SendResult:
    owed = connection.execute("select count(*) from ops.outbox where state = 'pending'").fetchone()
    result = SendResult(outcomes["sent"], owed[0] if owed else 0, outcomes["refused"])
    if result.pending or result.refused:
        _LOG.warning("outbox: %d sent, %d still owed, %d refused", result.sent, result.pending, result.refused)
    return result


def _send(connection: Connection, keys: Sequence[str], way: _Way, until: float) -> Counter[str]:
    """Send one after the other, as fast as the way allows, until it is down or the time is over; counts by state."""
    outcomes = Counter[str]()
    next_at = time.monotonic()
    for position, key in enumerate(keys):
        if max(next_at, time.monotonic()) > until:
            break
        time.sleep(max(0, next_at - time.monotonic()))
        next_at = time.monotonic() + (60 / way.per_minute if way.per_minute else 0)
        with _turn(connection):
            row = connection.execute(
                "select recipient, mime from ops.outbox where mail_key = %s and state = 'pending'", (key,), binary=True
            ).fetchone()
            if row is None:
                continue
            outcome = way.send(*row)
            _record(connection, [key], outcome)
        outcomes[outcome.state] += 1
        if outcomes["refused"] >= _MOST_REFUSED and not outcomes["sent"]:  # it is us whom the server refuses
            _owe_again(connection, keys[: position + 1])
            _record(connection, keys[position + 1 :], _Outcome("pending", outcome.error))
            return Counter()
        if way.is_down:
            _record(connection, keys[position + 1 :], outcome)
            break
    return outcomes


def _owe_again(connection: Connection, keys: Sequence[str]) -> None:
    """Take back that mails were refused for good; they are tried again like any other."""
    connection.execute(
        "update ops.outbox set state = 'pending' where mail_key = any(%s) and state = 'refused'", ([*keys],)
    )


@contextmanager
def _turn(connection: Connection) -> Iterator[None]:
    """Let one process at a time hand a mail over and note its receipt, in a transaction."""
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(hashtext('early_warning.outbox'))")
        yield


def notify_operators(
    warehouse: Warehouse | None, recipients: Iterable[Recipient], notice: Notice, smtp: SmtpSettings
) -> SendResult:
    """Tell the operators among the recipients; the same failure (run, state, task and text) is told once.

    Without any recipient, since the company folder can't be read, the operators that the warehouse knows are told.
    Through the outbox where there is a run and a warehouse that answers, else straight to the server and without a
    ledger. Other mails that are owed leave with it, for a minute. Never raises for mail or warehouse trouble: it is
    called when something else has failed already.
    """
    letters = _notices(tuple(recipients) or _known_operators(warehouse), notice, smtp)
    if warehouse is not None and notice.run_id is not None:
        try:
            with warehouse.connect(autocommit=True) as connection:
                _post_notices(connection, letters, notice)
                until = time.monotonic() + _NOTICE_TIME.total_seconds()
                return _result(connection, _send_mails(connection, smtp, False, until))
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


def _post_notices(connection: Connection, letters: Iterable[Letter], notice: Notice) -> None:
    assert notice.run_id is not None
    with connection.transaction():
        for letter in letters:
            post(connection, letter, run_id=notice.run_id, audience="operators")


def _chat_without_address(connection: Connection, name: str, key: str) -> Notice:
    """What operators are told of a chat that nobody knows the way to; once a run."""
    row = connection.execute("select run_id from ops.outbox where mail_key = %s", (key,)).fetchone()
    assert row is not None
    name = plain(name)
    return Notice(
        subject=f"early-warning: no usable address for the chat {name}",
        text=f"News for the chat {name} wait, since it has no address that can be used.\n\n{_address_remedy(name)}\n",
        state="owed",
        task=f"chat {name}",
        run_id=row[0],
    )


def _address_remedy(name: str) -> str:
    return (
        f"Set EARLY_WARNING_CHAT_{name.upper()}, or the password of an Airflow connection {name}, to the chat's address"
        " as Apprise writes it, such as wecombot://KEY, dingtalk://SECRET@TOKEN or feishu://TOKEN."
    )


def _due(connection: Connection, channel: str, ignore_back_off: bool) -> list[tuple[str, str]]:
    """Chat and key of what to try: a chat's together, mails operators' first, then the oldest cut-off first."""
    return connection.execute(
        "select case channel when 'chat' then recipient else '' end as chat, mail_key from ops.outbox"
        " where state = 'pending' and channel = %s and (%s or next_attempt_at <= clock_timestamp())"
        " order by chat, (audience <> 'operators'), as_of_at, run_id, audience, recipient",
        (channel, ignore_back_off),
    ).fetchall()


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


class _Chat:
    """A chat; after the first thing that goes wrong it counts as down, the more so if nobody knows its address."""

    per_minute: float | None = _CHAT_PER_MINUTE

    def __init__(self, name: str, address: str | None) -> None:
        self._name = name
        self._address = address
        self.has_address = bool(address)
        self.is_down = False

    def send(self, recipient: str, mime: bytes) -> _Outcome:
        """Tell the chat."""
        error: str | None = _address_remedy(self._name)
        if self._address:
            from early_warning.digest.chat import UnusableAddress, tell_chat  # a second of CPU, and few have chats

            message = message_from_bytes(mime, policy=policy.SMTP)
            text = message.get_content().replace("\r\n", "\n").strip()
            try:
                error = tell_chat(self._address, str(message["Subject"]), text)
            except UnusableAddress:
                self.has_address = False
        self.is_down = error is not None
        return _Outcome("pending", plain(error, _LONGEST_ERROR)) if error else _Outcome("sent")


class _Session:
    """One connection to the server, opened for the first mail, opened again if it was lost on the way."""

    def __init__(self, smtp: SmtpSettings) -> None:
        self._smtp = smtp
        self._client: smtplib.SMTP | None = None
        self._lost = 0
        self._put_off = 0
        self.per_minute: float | None = smtp.per_minute

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
        """Whether trying further mails now would only cost time, or make a server that has had enough refuse more."""
        return self._lost >= _MOST_LOST or self._put_off >= _MOST_PUT_OFF

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
        except smtplib.SMTPResponseException as error:  # to what comes before the recipient: it means us
            self._put_off_by(error.smtp_code)
            return _Outcome("pending", _reason(error))
        except (OSError, smtplib.SMTPException) as error:
            client.close()
            self._lost += 1
            return _Outcome("pending", _reason(error))
        self._lost = self._put_off = 0
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
        is_final = code >= _PERMANENT and code not in _NOT_THE_RECIPIENT
        if is_final:
            self._lost = self._put_off = 0
        else:
            self._put_off_by(code)
        text = answer.decode(errors="replace") if isinstance(answer, bytes) else answer
        return _Outcome("refused" if is_final else "pending", plain(f"{code} {text}", _LONGEST_ERROR))

    def _put_off_by(self, code: int) -> None:
        self._lost = self._lost + 1 if code == _SERVICE_CLOSING else 0
        self._put_off += 1


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error
        answer = text.decode(errors="replace") if isinstance(text, bytes) else text
        return plain(f"{error.smtp_code} {answer}", _LONGEST_ERROR)
    return plain(f"{type(error).__name__}: {error}", _LONGEST_ERROR)
