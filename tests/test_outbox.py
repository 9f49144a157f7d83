"""The outbox and its delivery, against real SMTP servers that behave, refuse, delay and die."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import os
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from early_warning import cli
from early_warning.digest import (
    Notice,
    SendResult,
    SmtpSettings,
    UnknownMail,
    deliver,
    notify_operators,
    outbox_list,
    outbox_resend,
    outbox_show,
    post_chat,
    refused,
    send_owed,
)
from early_warning.digest.outbox import mail_key, post, write_letter
from early_warning.embedded.mail import catch_mail
from early_warning.problems import ConfigurationError
from early_warning.settings import Recipient
from early_warning.warehouse import Warehouse, migrate

Answer = Callable[[SMTP, str, int], str]


class Server:
    """Takes mail and remembers it. `at_rcpt` and `at_data` answer for a recipient and how often it was tried."""

    def __init__(self, at_rcpt: Answer | None = None, at_data: Answer | None = None) -> None:
        self.at_rcpt = at_rcpt or (lambda server, recipient, times: "250 OK")
        self.at_data = at_data or (lambda server, recipient, times: "250 OK")
        self.taken: list[tuple[str, str]] = []
        self.tried: dict[tuple[str, str], int] = {}
        self.connections = 0

    def _times(self, command: str, recipient: str) -> int:
        self.tried[command, recipient] = self.tried.get((command, recipient), 0) + 1
        return self.tried[command, recipient]

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Count connections."""
        session.host_name = hostname
        self.connections += 1
        return responses

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer for one recipient."""
        answer = self.at_rcpt(server, address, self._times("RCPT", address))
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Answer for the content; what is taken is kept by recipient and Message-ID."""
        [recipient] = envelope.rcpt_tos
        message = message_from_bytes(envelope.original_content or b"", policy=policy.SMTP)
        answer = self.at_data(server, recipient, self._times("DATA", recipient))
        if answer.startswith("250"):
            self.taken.append((recipient, str(message["Message-ID"])))
        return answer


class _OnFreePort(Controller):
    def __init__(self, handler: Server, port: int, **options: Any) -> None:
        self._bound = socket.create_server(("127.0.0.1", port))
        super().__init__(handler, hostname="127.0.0.1", port=self._bound.getsockname()[1], **options)

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self._bound)


@contextmanager
def serving(server: Server, port: int = 0, **options: Any) -> Iterator[SmtpSettings]:
    """Run a server while the block runs."""
    controller = _OnFreePort(server, port, server_hostname="localhost", **options)
    controller.start()
    try:
        yield SmtpSettings("127.0.0.1", controller.port, timeout_seconds=5)
    finally:
        controller.stop()


def free_port() -> int:
    """Find a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@pytest.fixture
def run_id(warehouse: Warehouse) -> int:
    """A published run to tell of."""
    [row] = warehouse.rows(
        "insert into ops.run (as_of_date, as_of_at, company_time_zone, policy_hash, state, is_backfill, published_at)"
        " values ('2026-06-30', '2026-06-30 16:00+00', 'Asia/Shanghai', 'p', 'published', false, now())"
        " returning run_id"
    )
    return int(row["run_id"])


def owe(warehouse: Warehouse, run_id: int, *recipients: str, **content: Any) -> list[str]:
    """Put a mail for each recipient into the outbox; returns their Message-IDs."""
    message_ids = []
    for recipient in recipients:
        letter = write_letter(
            mail_key("test", recipient),
            sender="客户预警",
            from_address="warning@nanfang.example",
            reader="王芳",
            recipient=recipient,
            written_at=datetime(2026, 6, 30, tzinfo=UTC),
            subject="【客户预警】6月30日",
            text="共 3 位客户\n",
            **({"html": "<p>共 3 位客户</p>"} | content),
        )
        with warehouse.connect() as connection:
            assert post(connection, letter, run_id=run_id, audience="owner")
        message_ids.append(letter.message_id)
    return message_ids


def entry(warehouse: Warehouse, recipient: str) -> dict[str, Any]:
    """A recipient's line in the ledger."""
    [found] = [line for line in outbox_list(warehouse) if line["recipient"] == recipient]
    return found


def make_due(warehouse: Warehouse) -> None:
    """Let the back-off pass."""
    warehouse.execute("update ops.outbox set next_attempt_at = now()")


# A letter

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def mime_of(**content: Any) -> bytes:
    """A letter with such a content, written twice to the same bytes."""
    first, second = (
        write_letter(
            mail_key("test"),
            sender="客户预警",
            from_address="warning@nanfang.example",
            reader="王芳",
            recipient="wang.fang@nanfang.example",
            written_at=datetime(2026, 6, 30, tzinfo=UTC),
            subject="【客户预警】6月30日",
            text="共 3 位客户\n",
            **content,
        ).mime
        for _ in range(2)
    )
    assert first == second
    assert first.isascii()
    assert max(len(line) for line in first.split(b"\r\n")) <= 998
    return first


def written(**content: Any) -> EmailMessage:
    """The same, read as a mail program does."""
    message = message_from_bytes(mime_of(**content), policy=policy.SMTP)
    assert [part.defects for part in message.walk() if part.defects] == []
    return message


def shape(part: Any) -> Any:
    """Content types of a mail's parts, as they hold one another."""
    kind = part.get_content_type()
    return {kind: [shape(inner) for inner in part.iter_parts()]} if part.is_multipart() else kind


def test_pictures_lie_beside_the_text_and_files_around_them() -> None:
    html = '<p><img src="cid:trend-1"></p>'
    both = {"multipart/alternative": ["text/plain", "text/html"]}
    pictured = {"multipart/related": [both, "image/png"]}
    images, files = {"trend-1": PNG}, {"a.json": b"{}"}
    assert shape(written(html=html)) == both
    assert shape(written(html=html, images=images)) == pictured
    assert shape(written(html=html, attachments=files)) == {"multipart/mixed": [both, "application/json"]}
    whole = written(html=html, images=images, attachments=files)
    assert shape(whole) == {"multipart/mixed": [pictured, "application/json"]}
    [picture] = [part for part in whole.walk() if part.get_content_type() == "image/png"]
    assert picture["Content-ID"] == "<trend-1>"
    assert picture.get_content_disposition() == "inline"
    assert picture.get_content() == PNG
    assert whole.get_body(("html",)).get_content().strip() == html
    assert whole.get_body(("plain",)).get_content() == "共 3 位客户\r\n"


def test_files_arrive_under_their_names_as_what_they_are() -> None:
    long_name = "客户清单 2026年第二季度" + "与" * 60 + ".xlsx"
    contents = {long_name: PNG, "review.json": b"{}", "proposal.diff": "-一\n+二\n".encode(), "other.bin": b"\0"}
    message = written(attachments=contents)
    found = {part.get_filename(): part for part in message.iter_attachments()}
    assert {name: part.get_payload(decode=True) for name, part in found.items()} == contents
    assert {name: part.get_content_type() for name, part in found.items()} == {
        long_name: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "review.json": "application/json",
        "proposal.diff": "text/plain",
        "other.bin": "application/octet-stream",
    }
    assert found["proposal.diff"].get_content() == "-一\n+二\n"


def test_unsubscribing_is_a_mail_that_says_whom_to_tell_no_more_of_what() -> None:
    assert b"\r\nList-Unsubscribe: <mailto:operators@" in mime_of(unsubscribe="operators@nanfang.example")
    message = written(unsubscribe="operators@nanfang.example")
    address, _, query = str(message["List-Unsubscribe"]).strip("<>").partition("?")
    assert address == "mailto:operators@nanfang.example"
    [subject] = parse_qs(query)["subject"]
    assert subject == f"unsubscribe wang.fang@nanfang.example (客户预警, {mail_key('test')[:10]})"
    assert message["List-Unsubscribe-Post"] is None
    assert written()["List-Unsubscribe"] is None


def test_names_from_outside_cannot_add_headers() -> None:
    evil = "x\r\nBcc: victim@example.com\r\n\r\nhello"
    html = "<p></p>"
    message = written(html=html, images={evil: PNG}, attachments={evil: b"", "../../a\\b.csv": b""}, unsubscribe=evil)
    assert [part["Bcc"] for part in message.walk() if part["Bcc"]] == []
    assert [part.get_filename() for part in message.iter_attachments()] == [
        "x Bcc: victim@example.com hello",
        "b.csv",
    ]
    with_evil_heads = write_letter(
        mail_key("test"),
        sender=evil,
        from_address="warning@nanfang.example",
        reader=evil,
        recipient="a@example.cn",
        written_at=datetime(2026, 6, 30, tzinfo=UTC),
        subject=evil,
        text="",
    )
    assert message_from_bytes(with_evil_heads.mime)["Bcc"] is None


# A server that behaves


def test_owed_mails_are_sent_once_in_one_session(warehouse: Warehouse, run_id: int) -> None:
    ids = owe(warehouse, run_id, "a@example.cn", "b@example.cn", "c@example.cn")
    server = Server()
    with serving(server) as smtp:
        assert send_owed(warehouse, smtp) == SendResult(sent=3, pending=0, refused=0)
        assert send_owed(warehouse, smtp, ignore_back_off=True) == SendResult(sent=0, pending=0, refused=0)

    assert sorted(message_id for _, message_id in server.taken) == sorted(ids)
    assert server.connections == 1
    sent = entry(warehouse, "a@example.cn")
    assert (sent["state"], sent["attempts"], sent["last_error"]) == ("sent", 1, None)
    assert sent["sent_at"] is not None


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_user_and_password_open_the_session(warehouse: Warehouse, run_id: int) -> None:
    owe(warehouse, run_id, "a@example.cn")
    seen: list[Any] = []

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        seen.append((data.login, data.password))
        return AuthResult(success=data.password == b"gehe!m", handled=False)

    server = Server()
    with serving(server, authenticator=authenticate, auth_required=True, auth_require_tls=False) as smtp:
        url = f"smtp://ew:{{}}@{smtp.host}:{smtp.port}?from=warning@nanfang.example"
        wrong = send_owed(warehouse, SmtpSettings.from_url(url.format("wrong")))
        assert (wrong.sent, wrong.pending, wrong.refused) == (0, 1, 0)
        assert entry(warehouse, "a@example.cn")["last_error"].startswith("535")
        right = send_owed(warehouse, SmtpSettings.from_url(url.format("gehe%21m")), ignore_back_off=True)
    assert right == SendResult(sent=1, pending=0, refused=0)
    assert seen[-1] == (b"ew", b"gehe!m")


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_forgotten_login_leaves_mails_owed(warehouse: Warehouse, run_id: int) -> None:
    owe(warehouse, run_id, "a@example.cn")
    options: dict[str, Any] = {
        "authenticator": lambda *_: AuthResult(success=False),
        "auth_required": True,
        "auth_require_tls": False,
    }
    with serving(Server(), **options) as smtp:
        assert send_owed(warehouse, smtp) == SendResult(sent=0, pending=1, refused=0)


def test_two_processes_send_each_mail_once(warehouse: Warehouse, run_id: int) -> None:
    recipients = [f"owner{number}@example.cn" for number in range(20)]
    owe(warehouse, run_id, *recipients)
    server = Server()
    results: list[SendResult] = []
    with serving(server) as smtp:
        senders = [threading.Thread(target=lambda: results.append(send_owed(warehouse, smtp))) for _ in range(3)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(60)
    assert sum(result.sent for result in results) == 20
    assert sorted(recipient for recipient, _ in server.taken) == sorted(recipients)


# A server that does not


def test_dead_server_only_delays(warehouse: Warehouse, run_id: int) -> None:
    owe(warehouse, run_id, "a@example.cn", "b@example.cn")
    port = free_port()
    down = SmtpSettings("127.0.0.1", port)

    assert send_owed(warehouse, down) == SendResult(sent=0, pending=2, refused=0)
    for recipient in ("a@example.cn", "b@example.cn"):
        owed = entry(warehouse, recipient)
        assert (owed["state"], owed["attempts"]) == ("pending", 1)
        assert "ConnectionRefusedError" in owed["last_error"]

    server = Server()
    with serving(server, port) as smtp:
        assert send_owed(warehouse, smtp) == SendResult(sent=0, pending=2, refused=0), "not before its time"
        assert send_owed(warehouse, smtp, ignore_back_off=True) == SendResult(sent=2, pending=0, refused=0)


def test_back_off_grows_to_an_hour(warehouse: Warehouse, run_id: int) -> None:
    owe(warehouse, run_id, "a@example.cn")
    down = SmtpSettings("127.0.0.1", free_port())
    minutes = []
    for _ in range(6):
        send_owed(warehouse, down)
        [row] = warehouse.rows("select extract(epoch from next_attempt_at - now()) / 60 as minutes from ops.outbox")
        minutes.append(round(row["minutes"]))
        make_due(warehouse)
    assert minutes == [1, 5, 15, 60, 60, 60]


def test_server_that_refuses_us_leaves_every_mail_owed(warehouse: Warehouse, run_id: int) -> None:
    owe(warehouse, run_id, *(f"{number}@example.cn" for number in range(25)))
    server = Server(at_rcpt=lambda server, recipient, times: "550 5.7.1 relaying denied")
    with serving(server) as smtp:
        assert send_owed(warehouse, smtp) == SendResult(sent=0, pending=25, refused=0)
    assert sum(server.tried.values()) == 20
    assert entry(warehouse, "7@example.cn")["last_error"].startswith("550 5.7.1")
    make_due(warehouse)
    with serving(Server()) as smtp:
        assert send_owed(warehouse, smtp) == SendResult(sent=25, pending=0, refused=0)


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
def test_refused_recipient_is_marked_and_the_others_go_out(warehouse: Warehouse, run_id: int, command: str) -> None:
    owe(warehouse, run_id, "a@example.cn", "gone@example.cn", "z@example.cn")

    def refuse(server: SMTP, recipient: str, times: int) -> str:
        return "550 5.1.1 no such user 查无此人" if recipient.startswith("gone") else "250 OK"

    server = Server(at_rcpt=refuse) if command == "RCPT" else Server(at_data=refuse)
    with serving(server) as smtp:
        assert send_owed(warehouse, smtp) == SendResult(sent=2, pending=0, refused=1)
        assert send_owed(warehouse, smtp, ignore_back_off=True) == SendResult(sent=0, pending=0, refused=0)
    gone = entry(warehouse, "gone@example.cn")
    assert gone["state"] == "refused"
    assert gone["last_error"].startswith("550 5.1.1 no such user")
    assert server.tried[command, "gone@example.cn"] == 1


@pytest.mark.parametrize(
    ("answer", "tries"),
    [("421 4.7.0 too many connections", 3), ("450 4.7.1 slow down", 20)],
)
def test_server_that_has_had_enough_is_left_alone(warehouse: Warehouse, run_id: int, answer: str, tries: int) -> None:
    owe(warehouse, run_id, *(f"owner{number}@example.cn" for number in range(25)))
    server = Server(at_rcpt=lambda server, recipient, times: answer)
    with serving(server) as smtp:
        assert send_owed(warehouse, smtp) == SendResult(sent=0, pending=25, refused=0)
        assert len(server.tried) == tries
        assert send_owed(warehouse, smtp) == SendResult(sent=0, pending=25, refused=0)
        assert len(server.tried) == tries, "all of them wait"
    assert {(line["attempts"], line["last_error"]) for line in outbox_list(warehouse)} == {(1, answer)}


def test_server_gets_no_more_mails_a_minute_than_it_takes(
    warehouse: Warehouse, run_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    owe(warehouse, run_id, "a@example.cn", "b@example.cn", "c@example.cn", "d@example.cn")
    with serving(Server()) as smtp:
        with monkeypatch.context() as patch:
            patch.setattr(deliver, "_TIME", timedelta(seconds=0.9))
            assert send_owed(warehouse, replace(smtp, per_minute=60)) == SendResult(sent=1, pending=3, refused=0)
        assert {line["attempts"] for line in outbox_list(warehouse) if line["state"] == "pending"} == {0}
        started = time.monotonic()
        assert send_owed(warehouse, replace(smtp, per_minute=600)) == SendResult(sent=3, pending=0, refused=0)
        assert time.monotonic() - started >= 0.2


def test_notice_overtakes_the_mails_of_a_paced_queue(
    warehouse: Warehouse, run_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    owe(warehouse, run_id, "a@example.cn", "b@example.cn")
    warehouse.execute("update ops.outbox set as_of_at = as_of_at - interval '1 day'")
    monkeypatch.setattr(deliver, "_NOTICE_TIME", timedelta(seconds=0.5))
    server = Server()
    with serving(server) as smtp:
        result = notify_operators(warehouse, OPERATORS, replace(FAILED, run_id=run_id), replace(smtp, per_minute=60))
    assert result == SendResult(sent=1, pending=2, refused=0)
    assert [recipient for recipient, _ in server.taken] == ["ops@example.cn"]


def test_refused_addresses_are_known_until_they_take_a_mail_again(warehouse: Warehouse, run_id: int) -> None:
    owe(warehouse, run_id, "a@example.cn", "gone@example.cn")

    def refuse(server: SMTP, recipient: str, times: int) -> str:
        return "550 5.1.1 no such user" if recipient.startswith("gone") and times == 1 else "250 OK"

    with serving(Server(at_rcpt=refuse)) as smtp:
        send_owed(warehouse, smtp)
        [found] = refused(warehouse)
        assert found == {
            "channel": "mail",
            "recipient": "gone@example.cn",
            "since": entry(warehouse, "gone@example.cn")["composed_at"],
            "answer": "550 5.1.1 no such user",
            "mails": 1,
        }
        outbox_resend(warehouse, entry(warehouse, "gone@example.cn")["mail_key"])
        send_owed(warehouse, smtp)
    assert refused(warehouse) == []


def test_status_names_who_gets_nothing(
    warehouse: Warehouse, run_id: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    owe(warehouse, run_id, "gone@example.cn")
    warehouse.execute("update ops.outbox set state = 'refused', last_error = '550 no such user'")
    warehouse.execute("update ops.run set state = 'failed'")  # of a published one status counts what dbt has built
    monkeypatch.setenv("EARLY_WARNING_DSN", warehouse.dsn)
    monkeypatch.setenv("EARLY_WARNING_READER_DSN", warehouse.reader_dsn)
    monkeypatch.setattr(os, "umask", lambda mask: mask)  # the command's own; it would stay for the tests after this one
    assert cli.main(["status"]) == 0
    written = entry(warehouse, "gone@example.cn")["composed_at"]
    assert f"refused    gone@example.cn since {written:%Y-%m-%d} (1): 550 no such user" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
def test_not_now_is_tried_later(warehouse: Warehouse, run_id: int, command: str) -> None:
    [message_id] = owe(warehouse, run_id, "a@example.cn")

    def later(server: SMTP, recipient: str, times: int) -> str:
        return "451 4.7.1 greylisted" if times == 1 else "250 OK"

    server = Server(at_rcpt=later) if command == "RCPT" else Server(at_data=later)
    with serving(server) as smtp:
        assert send_owed(warehouse, smtp) == SendResult(sent=0, pending=1, refused=0)
        assert entry(warehouse, "a@example.cn")["last_error"] == "451 4.7.1 greylisted"
        make_due(warehouse)
        assert send_owed(warehouse, smtp) == SendResult(sent=1, pending=0, refused=0)
    assert server.taken == [("a@example.cn", message_id)]
    assert entry(warehouse, "a@example.cn")["attempts"] == 2


def test_server_closing_the_service_is_reconnected_for_the_next_mail(warehouse: Warehouse, run_id: int) -> None:
    owe(warehouse, run_id, "a@example.cn", "b@example.cn")

    def closing(server: SMTP, recipient: str, times: int) -> str:
        return "421 4.3.2 closing" if recipient == "a@example.cn" else "250 OK"

    server = Server(at_rcpt=closing)
    with serving(server) as smtp:
        assert send_owed(warehouse, smtp) == SendResult(sent=1, pending=1, refused=0)
    assert server.taken[0][0] == "b@example.cn"


def drop(server: SMTP) -> None:
    """Cut the connection without a word."""
    assert server.transport is not None
    server.transport.abort()  # type: ignore[attr-defined]


def test_connection_lost_in_data_holds_up_no_other_mail(warehouse: Warehouse, run_id: int) -> None:
    owe(warehouse, run_id, "poison@example.cn", "z@example.cn")

    def die(server: SMTP, recipient: str, times: int) -> str:
        if recipient.startswith("poison"):
            drop(server)
            return "451 never read"
        return "250 OK"

    server = Server(at_data=die)
    with serving(server) as smtp:
        assert send_owed(warehouse, smtp) == SendResult(sent=1, pending=1, refused=0)
    assert "SMTPServerDisconnected" in entry(warehouse, "poison@example.cn")["last_error"]


def test_server_that_dies_on_every_mail_is_given_up(warehouse: Warehouse, run_id: int) -> None:
    owe(warehouse, run_id, *(f"owner{number}@example.cn" for number in range(10)))

    def die(server: SMTP, recipient: str, times: int) -> str:
        drop(server)
        return "451 never read"

    server = Server(at_data=die)
    with serving(server) as smtp:
        assert send_owed(warehouse, smtp) == SendResult(sent=0, pending=10, refused=0)
    assert server.connections == 3
    assert {line["attempts"] for line in outbox_list(warehouse)} == {1}


def test_silent_server_costs_one_timeout(warehouse: Warehouse, run_id: int) -> None:
    owe(warehouse, run_id, "a@example.cn", "b@example.cn")
    with socket.create_server(("127.0.0.1", 0)) as mute:
        smtp = SmtpSettings("127.0.0.1", mute.getsockname()[1], timeout_seconds=0.3)
        assert send_owed(warehouse, smtp) == SendResult(sent=0, pending=2, refused=0)
    assert "timed out" in entry(warehouse, "b@example.cn")["last_error"]


def test_receipt_lost_on_the_way_repeats_the_same_message_id(warehouse: Warehouse, run_id: int) -> None:
    [message_id] = owe(warehouse, run_id, "a@example.cn")
    server = Server()

    def take_then_drop(smtp: SMTP, recipient: str, times: int) -> str:
        if times == 1:
            server.taken.append((recipient, message_id))
            drop(smtp)
        return "250 OK" if times > 1 else "451 never read"

    server.at_data = take_then_drop
    with serving(server) as smtp:
        assert send_owed(warehouse, smtp) == SendResult(sent=0, pending=1, refused=0)
        assert send_owed(warehouse, smtp, ignore_back_off=True) == SendResult(sent=1, pending=0, refused=0)
    assert server.taken == [("a@example.cn", message_id)] * 2


# Chats

TOKEN = "s3cretOfTheSalesRoom"
NEWS = {"title": "【客户预警】6月30日", "text": "一级 2 位\n华东五金：21 天没有下单"}


class Room:
    """A chat's server: remembers what it was asked, and answers as told."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.answer: tuple[int, Any] = (200, {})
        room = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                room.asked.append((self.path, json.loads(body)))
                status, answer = room.answer
                content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.place = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Room:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def room() -> Iterator[Room]:
    with Room() as one:
        yield one


def owe_chat(warehouse: Warehouse, run_id: int, *chats: str, about: str = "") -> None:
    """Put news for each chat into the outbox."""
    with warehouse.connect() as connection:
        for chat in chats:
            key = mail_key("chat", about, chat)
            assert post_chat(connection, key, run_id=run_id, audience="sales", chat=chat, **NEWS)
            assert not post_chat(connection, key, run_id=run_id, audience="sales", chat=chat, **NEWS)


NOWHERE = SmtpSettings("127.0.0.1", 9)


def test_chat_is_told_once_by_the_address_of_the_environment(
    warehouse: Warehouse, run_id: int, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARLY_WARNING_CHAT_SALES_ROOM", f"json://{room.place}/{TOKEN}")
    owe_chat(warehouse, run_id, "sales_room")
    for sent in (1, 0):
        assert send_owed(warehouse, NOWHERE, ignore_back_off=True) == SendResult(sent=sent, pending=0, refused=0)
    [(path, asked)] = room.asked
    assert path == f"/{TOKEN}"
    assert (asked["title"], asked["message"]) == (NEWS["title"], NEWS["text"])
    told = entry(warehouse, "sales_room")
    assert (told["channel"], told["message_id"], told["state"]) == ("chat", None, "sent")
    assert (told["subject"], outbox_show(warehouse, "")["text"].strip()) == (NEWS["title"], NEWS["text"])


ROBOTS = {  # address, the place of its server, a good answer, and what stands for a bad token, too many, a rule broken
    "wecom": (
        f"wecombot://{TOKEN}",
        ("_WeComBot", "http://{place}/send?key={{key}}"),
        {"errcode": 0, "errmsg": "ok"},
        {"errcode": 45009, "errmsg": "api freq out of limit"},
    ),
    "dingtalk": (
        f"dingtalk://{TOKEN}",
        ("_DingTalk", "http://{place}/robot/send?access_token={{token}}"),
        {"errcode": 0, "errmsg": "ok"},
        {"errcode": 310000, "errmsg": "keywords not in content"},
    ),
    "feishu": (
        f"feishu://{TOKEN}",
        ("NotifyFeishu", "http://{place}/hook/{{token}}/"),
        {"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"},
        {"code": 19001, "data": {}, "msg": "param invalid: incoming webhook access token invalid"},
    ),
}


@pytest.mark.parametrize("robot", ROBOTS)
def test_robot_that_answers_an_error_as_success_was_not_told(
    warehouse: Warehouse,
    run_id: int,
    room: Room,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    robot: str,
) -> None:
    from apprise.plugins import feishu

    from early_warning.digest import chat

    caplog.set_level(logging.DEBUG)
    address, (name, place), good, bad = ROBOTS[robot]
    monkeypatch.setattr(
        getattr(chat, name, None) or getattr(feishu, name), "notify_url", place.format(place=room.place)
    )
    monkeypatch.setenv("EARLY_WARNING_CHAT_SALES_ROOM", address)
    owe_chat(warehouse, run_id, "sales_room")
    for answer, words in (
        ((200, bad), [str(value) for value in bad.values() if value]),
        ((200, {"errcode": 1, "code": 1, "errmsg": TOKEN, "msg": TOKEN}), []),
        ((502, b"<html>bad gateway</html>"), ["502"]),
    ):
        room.answer = answer
        assert send_owed(warehouse, NOWHERE, ignore_back_off=True) == SendResult(sent=0, pending=1, refused=0)
        error = entry(warehouse, "sales_room")["last_error"]
        assert [word for word in words if word not in error] == []
        assert TOKEN not in error + caplog.text
    [found] = refused(warehouse)
    assert (found["channel"], found["recipient"], found["mails"]) == ("chat", "sales_room", 1)
    room.answer = (200, good)
    assert send_owed(warehouse, NOWHERE, ignore_back_off=True) == SendResult(sent=1, pending=0, refused=0)
    assert refused(warehouse) == []
    said = json.dumps(room.asked[-1][1], ensure_ascii=False)
    assert NEWS["title"] in said
    assert "21 天没有下单" in said


def test_dingtalk_is_asked_with_the_signature_that_its_documents_ask_for(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    from early_warning.digest import chat

    monkeypatch.setattr(chat._DingTalk, "notify_url", f"http://{room.place}/send?access_token={{token}}")
    room.answer = (200, {"errcode": 0, "errmsg": "ok"})
    assert chat.tell_chat("dingtalk://SECabc123@token42", "title", "text") is None
    asked = parse_qs(urlsplit(room.asked[0][0]).query)
    signed = f"{asked['timestamp'][0]}\nSECabc123".encode()
    assert b64decode(asked["sign"][0]) == hmac.digest(b"SECabc123", signed, "sha256")
    assert asked["access_token"] == ["token42"]


def test_dead_chat_holds_up_nobody_and_is_held_up_by_nobody(
    warehouse: Warehouse, run_id: int, room: Room, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("EARLY_WARNING_CHAT_A_ROOM", f"json://user:{TOKEN}@127.0.0.1:{free_port()}/{TOKEN}")
    monkeypatch.setenv("EARLY_WARNING_CHAT_B_ROOM", f"json://{room.place}/{TOKEN}")
    owe(warehouse, run_id, "a@example.cn")
    for about in ("first", "second"):
        owe_chat(warehouse, run_id, "a_room", about=about)
    owe_chat(warehouse, run_id, "b_room")
    dead = SmtpSettings("127.0.0.1", free_port())
    assert send_owed(warehouse, dead) == SendResult(sent=1, pending=3, refused=0)
    assert [path for path, _ in room.asked] == [f"/{TOKEN}"]
    assert {(line["recipient"], line["attempts"]) for line in outbox_list(warehouse)} == {
        ("a_room", 1),
        ("b_room", 1),
        ("a@example.cn", 1),
    }
    server = Server()
    with serving(server) as smtp:
        assert send_owed(warehouse, smtp, ignore_back_off=True) == SendResult(sent=1, pending=2, refused=0)
    errors = [line["last_error"] for line in outbox_list(warehouse) if line["recipient"] == "a_room"]
    assert all(errors)
    assert TOKEN not in " ".join(errors) + caplog.text


@pytest.mark.parametrize("stored", [None, f"nonsense://{TOKEN}"])
def test_operators_are_told_of_a_chat_without_a_usable_address(
    warehouse: Warehouse, run_id: int, room: Room, stored: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    warehouse.execute(
        "insert into ops.recipient (role, department, name, email, language)"
        " values ('operators', '', '值班', 'ops@example.cn', 'zh-CN')"
    )
    owe_chat(warehouse, run_id, "sales_room")
    server = Server()
    with serving(server) as smtp:
        assert send_owed(warehouse, smtp) == SendResult(sent=0, pending=1, refused=0), "left to who knows addresses"
        assert entry(warehouse, "sales_room")["attempts"] == 0
        for told in (1, 0):
            result = send_owed(warehouse, smtp, ignore_back_off=True, chat_address=lambda name: stored)
            assert result == SendResult(sent=told, pending=1, refused=0)
        notice = outbox_show(warehouse, entry(warehouse, "ops@example.cn")["mail_key"])
        for words in (notice["text"], entry(warehouse, "sales_room")["last_error"]):
            assert "EARLY_WARNING_CHAT_SALES_ROOM" in words
            assert TOKEN not in words + caplog.text
        mended = send_owed(
            warehouse, smtp, ignore_back_off=True, chat_address={"sales_room": f"json://{room.place}"}.get
        )
    assert mended == SendResult(sent=1, pending=0, refused=0)


def test_chat_news_fit_the_narrowest_room_and_mention_nobody(warehouse: Warehouse, run_id: int) -> None:
    lines = [f"第 {number} 位客户：<at user_id='all'></at> <!channel> @everyone" for number in range(200)]
    with warehouse.connect() as connection:
        title = "预警\r\nBcc: x@example.com" + "长" * 300
        post_chat(
            connection, mail_key("c"), run_id=run_id, audience="sales", chat="a", title=title, text="\n".join(lines)
        )
    shown = outbox_show(warehouse, "")
    assert len(f"{shown['subject']}\r\n{shown['text'].strip()}".encode()) <= 2048
    assert shown["text"].startswith("第 0 位客户：")
    assert shown["text"].endswith("everyone\n…\n")
    assert not set("<>@") & set(shown["text"] + shown["subject"])
    assert "\n" not in shown["subject"]


def test_home_of_an_earlier_version_gets_chats(warehouse: Warehouse, run_id: int) -> None:
    owe(warehouse, run_id, "a@example.cn")
    warehouse.execute("alter table ops.outbox drop column channel")
    warehouse.execute("alter table ops.outbox alter column message_id set not null")
    warehouse.execute("delete from ops.migration")
    migrate(warehouse)
    owe_chat(warehouse, run_id, "sales_room")
    assert {line["recipient"]: line["channel"] for line in outbox_list(warehouse)} == {
        "a@example.cn": "mail",
        "sales_room": "chat",
    }


# Crashes


def test_crash_before_the_receipt_is_kept_repeats_one_mail_under_its_id(
    warehouse: Warehouse, run_id: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ids = owe(warehouse, run_id, "a@example.cn", "b@example.cn", "c@example.cn")
    record, recorded = deliver._record, []

    def crash_at_the_second(connection: Any, keys: Any, outcome: Any) -> None:
        recorded.append(keys)
        if len(recorded) == 2:
            raise KeyboardInterrupt
        record(connection, keys, outcome)

    with catch_mail(tmp_path) as smtp:
        with monkeypatch.context() as patch:
            patch.setattr(deliver, "_record", crash_at_the_second)
            with pytest.raises(KeyboardInterrupt):
                send_owed(warehouse, smtp)
        assert len(list(tmp_path.glob("*.eml"))) == 2
        assert [line["state"] for line in outbox_list(warehouse)] == ["sent", "pending", "pending"]
        assert send_owed(warehouse, smtp) == SendResult(sent=2, pending=0, refused=0)
    assert sorted(f"<{path.stem.partition('+')[2]}>" for path in tmp_path.glob("*.eml")) == sorted(ids)


def test_crash_before_the_receipt_is_kept_tells_a_chat_twice(
    warehouse: Warehouse, run_id: int, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARLY_WARNING_CHAT_SALES_ROOM", f"json://{room.place}")
    owe_chat(warehouse, run_id, "sales_room")

    def crash(connection: Any, keys: Any, outcome: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(deliver, "_record", crash)
        with pytest.raises(KeyboardInterrupt):
            send_owed(warehouse, NOWHERE)
    assert send_owed(warehouse, NOWHERE) == SendResult(sent=1, pending=0, refused=0)
    assert len(room.asked) == 2


def test_killed_sender_leaves_no_lock_and_loses_no_mail(warehouse: Warehouse, run_id: int) -> None:
    owe(warehouse, run_id, "a@example.cn", "b@example.cn", "c@example.cn")
    hanging = threading.Event()
    let_go = threading.Event()

    class Hanging(Server):
        async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
            if len(self.taken) == 1:
                hanging.set()
                while not let_go.is_set():
                    await asyncio.sleep(0.02)
            return await super().handle_DATA(server, session, envelope)

    server = Hanging()
    with serving(server) as smtp:
        code = (
            "import sys; from early_warning.digest import SmtpSettings, send_owed;"
            "from early_warning.warehouse import Warehouse;"
            "send_owed(Warehouse(sys.argv[1], sys.argv[2]), SmtpSettings('127.0.0.1', int(sys.argv[3])))"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code, warehouse.dsn, warehouse.reader_dsn, str(smtp.port)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert hanging.wait(30)
        process.send_signal(signal.SIGKILL)
        process.wait()
        let_go.set()
        assert send_owed(warehouse, smtp) == SendResult(sent=2, pending=0, refused=0)
    recipients = [recipient for recipient, _ in server.taken]
    assert recipients.count("a@example.cn") == 1
    assert set(recipients) == {"a@example.cn", "b@example.cn", "c@example.cn"}
    assert len(set(server.taken)) == 3, "a repeated mail has the same Message-ID"


# The ledger for people


def test_show_and_resend_take_the_beginning_of_a_key(warehouse: Warehouse, run_id: int) -> None:
    [message_id] = owe(warehouse, run_id, "a@example.cn")
    server = Server()
    with serving(server) as smtp:
        send_owed(warehouse, smtp)
        mail_id = entry(warehouse, "a@example.cn")["mail_key"][:8]
        shown = outbox_show(warehouse, mail_id)
        assert shown["text"] == "共 3 位客户\n"
        assert shown["html"].strip() == "<p>共 3 位客户</p>"
        assert "mime" not in shown
        assert outbox_resend(warehouse, mail_id)["state"] == "pending"
        assert send_owed(warehouse, smtp) == SendResult(sent=1, pending=0, refused=0)
    assert server.taken == [("a@example.cn", message_id)] * 2


def test_show_names_pictures_and_files(warehouse: Warehouse, run_id: int) -> None:
    content: dict[str, Any] = {"html": "<p></p>", "images": {"trend": PNG}, "attachments": {"客户.xlsx": b"12345"}}
    owe(warehouse, run_id, "a@example.cn", **content)
    shown = outbox_show(warehouse, "")
    assert shown["images"] == [{"name": "trend.png", "bytes": len(PNG)}]
    assert shown["attachments"] == [{"name": "客户.xlsx", "bytes": 5}]


def test_unknown_and_ambiguous_ids_are_told(warehouse: Warehouse, run_id: int) -> None:
    owe(warehouse, run_id, "a@example.cn", "b@example.cn")
    with pytest.raises(UnknownMail, match="no mail"):
        outbox_show(warehouse, "%")
    with pytest.raises(UnknownMail, match="more than one"):
        outbox_resend(warehouse, "")


# Operators

OPERATORS = [
    Recipient("operators", "", "值班", "ops@example.cn", "zh-CN"),
    Recipient("operators", "", "On call", "OPS@example.cn", "en"),
    Recipient("head", "sales", "李强", "sales@example.cn", "zh-CN"),
]
FAILED = Notice("运行 1 失败\r\nBcc: x@example.com", "dbt 出错,请查看日志后重跑。\n", "failed", "transform", run_id=1)


def test_operators_are_told_once_of_each_failure(warehouse: Warehouse, run_id: int) -> None:
    notice = replace(FAILED, run_id=run_id)
    others = [replace(notice, task="publish"), replace(notice, text="磁盘已满。\n"), replace(notice, state="stopped")]
    server = Server()
    with serving(server) as smtp:
        assert notify_operators(warehouse, OPERATORS, notice, smtp).sent == 1
        assert notify_operators(warehouse, OPERATORS, notice, smtp).sent == 0
        assert [notify_operators(warehouse, OPERATORS, other, smtp).sent for other in others] == [1, 1, 1]
        assert [notify_operators(warehouse, OPERATORS, other, smtp).sent for other in others] == [0, 0, 0]
    assert [recipient for recipient, _ in server.taken] == ["ops@example.cn"] * 4
    assert {(line["audience"], line["subject"]) for line in outbox_list(warehouse)} == {
        ("operators", "运行 1 失败 Bcc: x@example.com")
    }


def test_operators_notice_outlives_a_dead_server(warehouse: Warehouse, run_id: int) -> None:
    notice = replace(FAILED, state="stopped", run_id=run_id)
    result = notify_operators(warehouse, OPERATORS, notice, SmtpSettings("127.0.0.1", free_port()))
    assert result == SendResult(sent=0, pending=1, refused=0)


@pytest.mark.parametrize("dsn", [None, "host=127.0.0.1 port=1 dbname=none connect_timeout=2"])
def test_operators_are_told_without_a_warehouse(dsn: str | None) -> None:
    server = Server()
    with serving(server) as smtp:
        warehouse = Warehouse(dsn, dsn) if dsn else None
        assert notify_operators(warehouse, OPERATORS, FAILED, smtp) == SendResult(sent=1, pending=0, refused=0)
    assert notify_operators(None, OPERATORS, FAILED, SmtpSettings("127.0.0.1", free_port())).sent == 0


@pytest.mark.parametrize("has_run", [True, False])
def test_operators_are_remembered_when_the_company_folder_cannot_be_read(
    warehouse: Warehouse, run_id: int, has_run: bool
) -> None:
    for role, email in (("operators", "night@example.cn"), ("head", "sales@example.cn")):
        warehouse.execute(
            "insert into ops.recipient (role, department, name, email, language) values (%s, '', '', %s, 'zh-CN')",
            *(role, email),
        )
    notice = replace(FAILED, run_id=run_id if has_run else None)
    server = Server()
    with serving(server) as smtp:
        assert notify_operators(warehouse, [], notice, smtp) == SendResult(sent=1, pending=0, refused=0)
        assert notify_operators(warehouse, OPERATORS, notice, smtp).sent == 1
        dead = Warehouse(*["host=127.0.0.1 port=1 dbname=none connect_timeout=2"] * 2)
        assert notify_operators(dead, [], notice, smtp) == SendResult(sent=0, pending=0, refused=0)
    assert [recipient for recipient, _ in server.taken] == ["night@example.cn", "ops@example.cn"]


# Settings and the catcher


def test_smtp_url_says_everything() -> None:
    smtp = SmtpSettings.from_url("smtp://e%40w:p%40ss@mail.example.cn:2525?starttls=1&from=warning@nanfang.example")
    assert smtp == SmtpSettings("mail.example.cn", 2525, "e@w", "p@ss", True, "warning@nanfang.example")
    assert "p@ss" not in repr(smtp)
    assert SmtpSettings.from_url("smtp://localhost").port == 25
    assert SmtpSettings.from_url("smtp://localhost?starttls=1").port == 587
    assert SmtpSettings.from_url("smtp://localhost").per_minute is None
    assert SmtpSettings.from_url("smtp://localhost?per_minute=60").per_minute == 60
    assert SmtpSettings.from_url("smtps://localhost") == SmtpSettings("localhost", 465, ssl=True)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail.example.cn",
        "http://mail.example.cn",
        "smtp://u:geheim@host:port",
        "smtp://u:geheim@host?tls=1",
        "smtp://u:geheim@host?starttls=yes",
        "smtp://u:geheim@host?from=a@x.cn%0d%0aBcc:b@x.cn",
        "smtp://u:geheim@host?per_minute=0",
        "smtp://u:geheim@host?per_minute=many",
    ],
)
def test_unusable_smtp_url_is_told_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SmtpSettings.from_url(url)
    assert "geheim" not in str(caught.value)


def test_catcher_keeps_each_message_id_once_and_its_html(warehouse: Warehouse, run_id: int, tmp_path: Path) -> None:
    folder = tmp_path / "mail"
    [message_id] = owe(warehouse, run_id, "a@example.cn")
    with catch_mail(folder) as smtp:
        send_owed(warehouse, smtp)
        outbox_resend(warehouse, "")
        send_owed(warehouse, smtp)
    name = f"a@example.cn+{message_id.strip('<>')}"
    assert sorted(path.name for path in folder.iterdir()) == [f"{name}.eml", f"{name}.html"]
    message = message_from_bytes((folder / f"{name}.eml").read_bytes(), policy=policy.SMTP)
    assert message["To"] == "王芳 <a@example.cn>"
    assert "共 3 位客户" in (folder / f"{name}.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("recipient", ["b@x.cn", "../../outside@x.cn", ".hidden@x.cn"])
@pytest.mark.parametrize(
    "message_id", ["<../../outside@x>", "<.hidden@x>", "", "<" + "x" * 400 + "@x>", "</>", "<...>"]
)
def test_catcher_never_leaves_its_folder(tmp_path: Path, message_id: str, recipient: str) -> None:
    folder = tmp_path / "mail"
    with catch_mail(folder) as smtp, smtplib.SMTP(smtp.host, smtp.port, local_hostname="localhost") as client:
        client.sendmail("a@x.cn", [recipient], f"Message-ID: {message_id}\r\nSubject: hello\r\n\r\nbody\r\n".encode())
    [kept] = folder.iterdir()
    assert kept.suffix == ".eml"
    assert not kept.name.startswith(".")
    assert kept.stem.partition("+")[2]
    assert [path.name for path in tmp_path.iterdir()] == ["mail"]
