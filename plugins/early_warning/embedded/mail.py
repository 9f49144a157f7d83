"""A mail catcher for a machine without a mail server: every mail it takes becomes a file and goes no further."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import re
import socket
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from early_warning.smtp import SmtpSettings


@contextmanager
def catch_mail(folder: Path) -> Iterator[SmtpSettings]:
    """Listen on a free port of 127.0.0.1 while the block runs, and keep each mail in the folder.

    A file is called `<recipient>+<Message-ID>.eml`. A mail with an HTML part also gets an `.html` beside it, to open in
    a browser, and each attached file stands there too. A repeated Message-ID replaces its files, so the folder shows
    each mail once, as a mail program would.
    """
    folder.mkdir(parents=True, exist_ok=True)
    controller = _Controller(_Keeper(folder))
    controller.start()
    try:
        yield SmtpSettings(host="127.0.0.1", port=controller.port)
    finally:
        controller.stop()


class _Controller(Controller):
    """On a port that the system chose, bound before anybody is told of it, so that nobody can take it in between."""

    def __init__(self, handler: _Keeper) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        port = self._socket.getsockname()[1]
        super().__init__(handler, hostname="127.0.0.1", port=port, server_hostname="localhost")

    def _create_server(self) -> Coroutine[Any, Any, asyncio.AbstractServer]:
        return self.loop.create_server(self._factory_invoker, sock=self._socket)


class _Keeper:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep the mail; only then say that it was taken."""
        content = envelope.original_content or b""
        message = message_from_bytes(content, policy=policy.SMTP)
        message_id = _file_name(str(message["Message-ID"] or "").strip("<> \t"))
        name = "+".join((_file_name(envelope.rcpt_tos[0]), message_id or hashlib.sha256(content).hexdigest()[:32]))
        _write(self._folder / f"{name}.eml", content)
        html = page_of(message)
        if html is not None:
            _write(self._folder / f"{name}.html", html.encode())
        for part in message.iter_attachments():
            _write(self._folder / f"{name}+{_file_name(part.get_filename() or 'part')}", _content(part))
        return "250 Kept"


def page_of(message: EmailMessage) -> str | None:
    """Give a mail's HTML as a page of its own, with the pictures that came with the mail in it; None without HTML."""
    body = message.get_body(("html",))
    if body is None:
        return None
    html = str(body.get_content())
    for part in message.walk():
        if part["Content-ID"] and part.get_content_maintype() == "image":
            picture = f"data:{part.get_content_type()};base64,{base64.b64encode(_content(part)).decode()}"
            html = html.replace(f"cid:{part['Content-ID'].strip('<> ')}", picture)
    return html


def _content(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _file_name(text: str) -> str:
    """What of a text may stand in a file's name, so that none leaves the folder or is hidden in it."""
    return re.sub(r"[^A-Za-z0-9@._-]+", "_", text).lstrip(".")[:100]


def _write(path: Path, content: bytes) -> None:
    """Write whole or not at all: a reader of the folder never sees half a mail."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(temporary).replace(path)
