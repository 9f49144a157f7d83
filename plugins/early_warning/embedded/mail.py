"""A mail catcher for a machine without a mail server: every mail it takes becomes a file and goes no further."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import socket
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from early_warning.smtp import SmtpSettings


@contextmanager
def catch_mail(folder: Path) -> Iterator[SmtpSettings]:
    """Listen on a free port of 127.0.0.1 while the block runs, and keep each mail in the folder.

    A file is called `<recipient>+<Message-ID>.eml`. A mail with an HTML part also gets an `.html` beside it, to open in
    a browser. A repeated Message-ID replaces its file, so the folder shows each mail once, as a mail program would.
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
        html = message.get_body(("html",))
        if html is not None:
            _write(self._folder / f"{name}.html", html.get_content().encode())
        return "250 Kept"


def _file_name(text: str) -> str:
    """What of a text may stand in a file's name, so that none leaves the folder or is hidden in it."""
    return re.sub(r"[^A-Za-z0-9@._-]+", "_", text).lstrip(".")[:100]


def _write(path: Path, content: bytes) -> None:
    """Write whole or not at all: a reader of the folder never sees half a mail."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(temporary).replace(path)
