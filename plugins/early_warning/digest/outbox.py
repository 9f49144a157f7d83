"""The mail ledger `ops.outbox`: letters under deterministic keys, each written once and kept with its receipt."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime
from typing import Any

from early_warning.digest.text import plain
from early_warning.warehouse import Connection, Warehouse

_LONGEST_SUBJECT = 200
_ENTRIES = (
    "select mail_key, run_id, as_of_at, audience, recipient, subject, message_id, state, attempts, composed_at,"
    " next_attempt_at, sent_at, last_error from ops.outbox "
)


class UnknownMail(LookupError):
    """No mail, or more than one, goes by the id somebody gave; or upkeep has dropped the body it would be sent with."""


@dataclass(frozen=True)
class Letter:
    """A finished mail to one recipient. The same key gives the same Message-ID, so a repeated mail can be told."""

    key: str
    recipient: str
    subject: str
    message_id: str
    mime: bytes


class _WholeHeaders(EmailPolicy):
    """Encodes a header with other than ASCII letters as a whole.

    Python before 3.13 encodes word by word and loses the blanks between (python/cpython#92081).
    """

    def fold_binary(self, name: str, value: str) -> bytes:
        if value.isascii():
            return super().fold_binary(name, value)
        [address] = getattr(value, "addresses", None) or [None]
        text = value if address is None else address.display_name
        encoded = Header(text, "utf-8", header_name=name).encode(linesep="\r\n")
        end = "" if address is None else f"\r\n <{address.addr_spec}>"
        return f"{name}: {encoded}{end}\r\n".encode("ascii")


def mail_key(*parts: str) -> str:
    """Key of a letter: what it is about and for whom."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def write_letter(
    key: str,
    *,
    sender: str,
    from_address: str,
    reader: str,
    recipient: str,
    written_at: datetime,
    subject: str,
    text: str,
    html: str | None = None,
    attachments: Mapping[str, bytes] | None = None,
) -> Letter:
    """Put a text, its HTML and files by name into MIME: every header on one line, no random parts, plain ASCII."""
    message = EmailMessage(policy=_WholeHeaders(linesep="\r\n"))
    subject = plain(subject, _LONGEST_SUBJECT)
    message_id = f"<{key[:32]}@{from_address.rpartition('@')[2]}>"
    message["From"] = Address(plain(sender), addr_spec=from_address)
    message["To"] = Address(plain(reader), addr_spec=recipient)
    message["Subject"] = subject
    message["Date"] = format_datetime(written_at)
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(text, cte="base64")
    if html is not None:
        message.add_alternative(html, subtype="html", cte="base64")
        message.set_boundary(f"=={key[:32]}==")
    for name, content in (attachments or {}).items():
        message.add_attachment(content, "application", "octet-stream", cte="base64", filename=name)
        message.set_boundary(f"=={key[32:]}==")
    return Letter(key, recipient, subject, message_id, message.as_bytes())


def post(connection: Connection, letter: Letter, *, run_id: int, audience: str) -> bool:
    """Put a letter about a run into the outbox; False if it is there already."""
    found = connection.execute(
        "insert into ops.outbox (mail_key, run_id, as_of_at, audience, recipient, subject, message_id, mime, state)"
        " select %s, run_id, as_of_at, %s, %s, %s, %s, %s, 'pending' from ops.run where run_id = %s"
        " on conflict do nothing",
        (letter.key, audience, letter.recipient, letter.subject, letter.message_id, letter.mime, run_id),
    )
    return found.rowcount == 1


def outbox_list(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Every mail without its content, oldest cut-off first."""
    return warehouse.rows(_ENTRIES + "order by as_of_at, run_id, audience, recipient")


def outbox_show(warehouse: Warehouse, mail_id: str) -> dict[str, Any]:
    """One mail with its `text` and its `html` (None where it has none, or none any more).

    Raises:
        UnknownMail: no mail's key, or more than one, begins with `mail_id`.
    """
    key = _key(warehouse, mail_id)
    [mail] = warehouse.rows("select mime from ops.outbox where mail_key = %s", key)
    return _entry(warehouse, key) | (_bodies(mail["mime"]) if mail["mime"] else {"text": None, "html": None})


def outbox_resend(warehouse: Warehouse, mail_id: str) -> dict[str, Any]:
    """Owe a mail again, now and under the Message-ID it has; returns its entry.

    Raises:
        UnknownMail: no mail's key, or more than one, begins with `mail_id`; or the mail's body is gone.
    """
    key = _key(warehouse, mail_id)
    owed = warehouse.execute(
        "update ops.outbox set state = 'pending', attempts = 0, next_attempt_at = now(), last_error = null"
        " where mail_key = %s and mime is not null",
        key,
    )
    if not owed:
        raise UnknownMail(f"the body of mail {mail_id!r} is older than company.yml's retention and was dropped")
    return _entry(warehouse, key)


def _key(warehouse: Warehouse, mail_id: str) -> str:
    """Complete a key from its beginning."""
    found = warehouse.rows("select mail_key from ops.outbox where starts_with(mail_key, %s) limit 2", mail_id)
    if len(found) != 1:
        how_many = "more than one mail's key begins" if found else "no mail's key begins"
        raise UnknownMail(f"{how_many} with {mail_id!r}")
    return str(found[0]["mail_key"])


def _entry(warehouse: Warehouse, key: str) -> dict[str, Any]:
    return warehouse.rows(_ENTRIES + "where mail_key = %s", key)[0]


def _bodies(mime: bytes) -> dict[str, Any]:
    """Text and HTML of a mail as they were before MIME made every line end in CR LF."""
    message = message_from_bytes(mime, policy=policy.SMTP)
    bodies = {"text": message.get_body(("plain",)), "html": message.get_body(("html",))}
    return {
        name: body.get_content().replace("\r\n", "\n") if body is not None else None for name, body in bodies.items()
    }
