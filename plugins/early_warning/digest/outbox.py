"""The ledger `ops.outbox`: mails and news for chats, under deterministic keys, each written once, with its receipt."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from early_warning.digest.text import plain
from early_warning.warehouse import Connection, Warehouse

_LONGEST_SUBJECT = 200
_LONGEST_SENDER_TO_STOP = 30  # a Chinese character is nine of an address, and a header has room for 998
# By a file's ending. Not the machine's own table, which differs from one to the next, and so would the bytes.
_CONTENT_TYPES = {
    ".csv": ("text", "csv"),
    ".diff": ("text", "plain"),
    ".json": ("application", "json"),
    ".txt": ("text", "plain"),
    ".xlsx": ("application", "vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
}
_ANY_FILE = ("application", "octet-stream")
_LONGEST_TITLE = 60
_CHAT_BYTES = 2_000  # WeCom takes 2,048, the title and what joins it to the text included
_QUIET = str.maketrans({"<": "‹", ">": "›", "@": "＠"})  # Feishu's <at …>, Slack's <!channel>, Discord's @everyone
_NO_CONTENT: Mapping[str, Any] = {"text": None, "html": None, "images": [], "attachments": []}
_ENTRIES = (
    "select mail_key, run_id, as_of_at, audience, channel, recipient, subject, message_id, state, attempts,"
    " composed_at, next_attempt_at, sent_at, last_error from ops.outbox "
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
    """Encodes a header with other than ASCII letters as a whole, and leaves an address to unsubscribe at on its line.

    Python before 3.13 encodes word by word and loses the blanks between (python/cpython#92081), and makes encoded
    words, which no mail program takes for an address, of what is too long for a line. File names it folds well.
    """

    def fold_binary(self, name: str, value: str) -> bytes:
        if name == "List-Unsubscribe":
            return f"{name}: {value}\r\n".encode("ascii")
        if value.isascii() or name.startswith("Content-"):
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
    images: Mapping[str, bytes] | None = None,
    attachments: Mapping[str, bytes] | None = None,
    unsubscribe: str | None = None,
) -> Letter:
    """Put a text, its HTML, its pictures and files into MIME: every header on one line, no random parts, plain ASCII.

    Args:
        key: of the letter, see `mail_key`.
        sender: name that the mail comes from.
        from_address: address that it comes from.
        reader: name of whom it is for.
        recipient: the reader's address.
        written_at: the mail's date.
        subject: made one line of at most 200 characters.
        text: what a program without HTML shows.
        html: the same as HTML.
        images: PNGs by the id that `html` names as cid:ID. Letters, digits, dot, hyphen and underscore make an id;
            anything else in it becomes a hyphen.
        attachments: files by name, whose ending tells the content type. A folder in a name is left out.
        unsubscribe: address to which a reader's mail program writes who wants to be told no more, and of what.
    """
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
    if unsubscribe is not None:
        what = f"unsubscribe {recipient} ({plain(sender, _LONGEST_SENDER_TO_STOP)}, {key[:10]})"
        message["List-Unsubscribe"] = f"<mailto:{quote(unsubscribe, safe='@')}?subject={quote(what, safe='@')}>"
    message.set_content(text, cte="base64")
    if html is not None:
        message.add_alternative(html, subtype="html", cte="base64")
        message.set_boundary(f"=={key[:32]}==")
    if images:
        _add_images(message, images, boundary=f"=={key[16:48]}==")
    for name, content in (attachments or {}).items():
        _attach(message, name, content, boundary=f"=={key[32:]}==")
    return Letter(key, recipient, subject, message_id, message.as_bytes())


def _add_images(message: EmailMessage, images: Mapping[str, bytes], boundary: str) -> None:
    """Set pictures beside what shows them. Directly under a multipart/mixed they would be files to some programs."""
    root = message.get_content_type()
    message.make_mixed(boundary=boundary)  # `make_related` refuses a text with its HTML, for no reason that MIME knows
    message.set_type("multipart/related")
    message.set_param("type", root)
    for image_id, png in images.items():
        name = re.sub(r"[^A-Za-z0-9._-]", "-", image_id)
        part = EmailMessage(policy=message.policy)
        part.set_content(
            png, "image", "png", cte="base64", disposition="inline", filename=f"{name}.png", cid=f"<{name}>"
        )
        message.attach(part)


def _attach(message: EmailMessage, name: str, content: bytes, boundary: str) -> None:
    name = PurePath(plain(name).replace("\\", "/")).name or "file"
    maintype, subtype = _CONTENT_TYPES.get(PurePath(name).suffix.lower(), _ANY_FILE)
    charset = {"charset": "utf-8"} if maintype == "text" else {}
    message.add_attachment(content, maintype, subtype, cte="base64", filename=name, params=charset)
    message.set_boundary(boundary)


def post(connection: Connection, letter: Letter, *, run_id: int, audience: str) -> bool:
    """Put a letter about a run into the outbox; False if it is there already."""
    found = connection.execute(
        "insert into ops.outbox (mail_key, run_id, as_of_at, audience, recipient, subject, message_id, mime, state)"
        " select %s, run_id, as_of_at, %s, %s, %s, %s, %s, 'pending' from ops.run where run_id = %s"
        " on conflict do nothing",
        (letter.key, audience, letter.recipient, letter.subject, letter.message_id, letter.mime, run_id),
    )
    return found.rowcount == 1


def post_chat(
    connection: Connection, key: str, *, run_id: int, audience: str, chat: str, title: str, text: str
) -> bool:
    """Put news about a run for a chat into the outbox, as plain text; False if it is there already.

    `chat` is the chat's name, not its address, which is a secret and is looked up when the chat is told. What is longer
    than the narrowest of chats takes (2,000 bytes, a good 600 Chinese characters) loses its last lines. Signs by which
    services mention people are made harmless, since names of customers may hold them.
    """
    message, title = EmailMessage(policy=_WholeHeaders(linesep="\r\n")), plain(title, _LONGEST_TITLE).translate(_QUIET)
    message["Subject"] = title
    message.set_content(
        _shortened(text.translate(_QUIET).strip(), _CHAT_BYTES - len(title.encode())) + "\n", cte="base64"
    )
    found = connection.execute(
        "insert into ops.outbox (mail_key, run_id, as_of_at, audience, channel, recipient, subject, mime, state)"
        " select %s, run_id, as_of_at, %s, 'chat', %s, %s, %s, 'pending' from ops.run where run_id = %s"
        " on conflict do nothing",
        (key, audience, chat, title, message.as_bytes(), run_id),
    )
    return found.rowcount == 1


def _shortened(text: str, most_bytes: int) -> str:
    """The text, or as many of its lines from the first on as there is room for, and an ellipsis."""
    if len(text.encode()) <= most_bytes:
        return text
    room = text.encode()[: most_bytes - len("\n…".encode())].decode(errors="ignore")
    return f"{room.rpartition(chr(10))[0] or room}\n…"


def refused(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Who gets nothing: addresses that the server refused for good and has taken no mail for since, and failing chats.

    Of each: `channel`, `recipient`, `since` (when the first such mail was written), `answer` (the newest) and `mails`
    (how many), the longest known first.
    """
    return warehouse.rows(
        "select channel, recipient, min(composed_at) as since, count(*) as mails,"
        " (array_agg(last_error order by composed_at desc, mail_key))[1] as answer from ops.outbox as failed"
        " where (state = 'refused' or (channel = 'chat' and state = 'pending' and last_error is not null))"
        " and not exists (select from ops.outbox as later where later.channel = failed.channel"
        "   and later.recipient = failed.recipient and later.sent_at > failed.composed_at and later.state = 'sent')"
        " group by channel, recipient order by since, channel, recipient"
    )


def outbox_list(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Every mail without its content, oldest cut-off first."""
    return warehouse.rows(_ENTRIES + "order by as_of_at, run_id, audience, recipient")


def outbox_show(warehouse: Warehouse, mail_id: str) -> dict[str, Any]:
    """One mail with its `text` and `html` (None where it has none, or none any more), its `images` and `attachments`.

    Those are lists of name and bytes; an image's name is its id and `.png`.

    Raises:
        UnknownMail: no mail's key, or more than one, begins with `mail_id`.
    """
    key = _key(warehouse, mail_id)
    [mail] = warehouse.rows("select mime from ops.outbox where mail_key = %s", key)
    return _entry(warehouse, key) | (_content(mail["mime"]) if mail["mime"] else dict(_NO_CONTENT))


def outbox_resend(warehouse: Warehouse, mail_id: str) -> dict[str, Any]:
    """Owe a mail again, now and under the Message-ID it has; returns its entry.

    Raises:
        UnknownMail: no mail's key, or more than one, begins with `mail_id`; or the mail's body is gone.
    """
    key = _key(warehouse, mail_id)
    owed = warehouse.execute(
        "update ops.outbox set state = 'pending', attempts = 0, next_attempt_at = now(), last_error = null,"
        " resent_at = now()"
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


def _content(mime: bytes) -> dict[str, Any]:
    """Text and HTML of a mail as they were before MIME made every line end in CR LF, and what files it brings."""
    message = message_from_bytes(mime, policy=policy.SMTP)
    bodies = {"text": message.get_body(("plain",)), "html": message.get_body(("html",))}
    files = {"images": "inline", "attachments": "attachment"}
    return {
        name: body.get_content().replace("\r\n", "\n") if body is not None else None for name, body in bodies.items()
    } | {
        name: [
            {"name": part.get_filename(), "bytes": len(part.get_payload(decode=True))}
            for part in message.walk()
            if part.get_content_disposition() == disposition
        ]
        for name, disposition in files.items()
    }
