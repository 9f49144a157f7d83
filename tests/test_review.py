"""The quarterly review: one mail for each reader and quarter, in the reader's language, the files with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from email import message_from_bytes
from email import policy as mime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from early_warning import propose, runs, tasks
from early_warning.digest.review import render_review
from early_warning.propose import Proposal
from early_warning.runs import Moment
from early_warning.settings import PROJECT
from early_warning.warehouse import Warehouse
from homes import Postbox, closed_port, postbox
from test_propose import planted, searched

__all__ = ["searched"]  # the fixture

READERS = (
    "analysis,,分析组,analysts@example.com,zh-CN",
    "management,,總經理,board@example.com,zh-TW",
    "management,,The Board,board.en@example.com,en",
    "analysis,,The Board again,board.en@example.com,en",
)
REVIEWED_ON = date(2026, 7, 5)


@pytest.fixture
def company(warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A company folder with readers of reviews and one published day, for whose tasks this process works."""
    folder = tmp_path / "company"
    shutil.copytree(PROJECT / "company", folder)
    recipients = folder / "recipients.csv"
    kept = [
        line
        for line in recipients.read_text(encoding="utf-8").splitlines()
        if not line.startswith(("analysis", "management"))
    ]
    recipients.write_text("\n".join([*kept, *READERS, ""]), encoding="utf-8")
    zone = ZoneInfo("Asia/Shanghai")
    runs.publish(warehouse, runs.open_run(warehouse, Moment.of_day(date(2026, 6, 30), zone), zone, "tiny"))
    monkeypatch.setenv("EARLY_WARNING_COMPANY", str(folder))
    monkeypatch.setenv("EARLY_WARNING_DSN", warehouse.dsn)
    monkeypatch.setenv("EARLY_WARNING_READER_DSN", warehouse.reader_dsn)
    return folder


@pytest.fixture
def proposal(searched: Callable[..., Proposal]) -> Proposal:
    return replace(searched(planted()), diff="--- a/policy/level_rules.csv\n", proposed_hash="sha256:other")


@pytest.fixture
def asked(proposal: Proposal, monkeypatch: pytest.MonkeyPatch) -> list[list[date]]:
    """Days that were searched, call by call, in place of a search that takes minutes."""
    calls: list[list[date]] = []

    def searches(_: Warehouse, __: Path, moments: list[Moment], **___: object) -> Proposal:
        calls.append([moment.as_of_date for moment in moments])
        return proposal

    monkeypatch.setattr(propose, "propose", searches)
    return calls


def review(box: Postbox, monkeypatch: pytest.MonkeyPatch, day: date = REVIEWED_ON) -> str:
    monkeypatch.setenv("EARLY_WARNING_SMTP_URL", box.url)
    return tasks.review_policy(day)


def test_review_is_mailed_once_a_quarter_and_reader_however_often_it_is_tried(
    company: Path, asked: list[list[date]], monkeypatch: pytest.MonkeyPatch, warehouse: Warehouse
) -> None:
    monkeypatch.setenv("EARLY_WARNING_SMTP_URL", closed_port())
    assert tasks.review_policy(REVIEWED_ON) == "3 mails composed, 0 sent, 3 waiting"
    with postbox() as box:
        assert review(box, monkeypatch) == "0 mails composed, 3 sent, 0 waiting"
        for day in (date(2026, 7, 9), date(2026, 8, 20), date(2026, 9, 30)):
            assert review(box, monkeypatch, day) == "0 mails composed, 0 sent, 0 waiting"
        assert len(asked) == 1  # and it is searched once
        assert sorted(to for _, to in box.taken) == [
            "analysts@example.com",
            "board.en@example.com",
            "board@example.com",
        ]
        assert review(box, monkeypatch, date(2026, 10, 5)) == "3 mails composed, 3 sent, 0 waiting"
        assert box.twice == []
    [days, _] = asked
    assert (days[0], days[-1], len(days)) == (date(2025, 4, 30), date(2026, 3, 31), 12)  # 90 days before 30 June


def test_review_says_all_in_the_readers_language_and_brings_diff_and_figures(
    company: Path, asked: list[list[date]], monkeypatch: pytest.MonkeyPatch, warehouse: Warehouse, proposal: Proposal
) -> None:
    with postbox() as box:
        review(box, monkeypatch)
    mails = {row["recipient"]: row for row in warehouse.rows("select recipient, subject, mime from ops.outbox")}
    assert mails["analysts@example.com"]["subject"] == "【预警规则复核】2026年第2季度：建议修改 2 处"
    assert mails["board@example.com"]["subject"] == "【預警規則檢討】2026年第2季：建議修改 2 處"
    assert mails["board.en@example.com"]["subject"] == "[Warning rules] Q2 2026: changes proposed: 2"
    message = message_from_bytes(mails["board.en@example.com"]["mime"], policy=mime.SMTP)
    files = {part.get_filename(): part.get_payload(decode=True) for part in message.iter_attachments()}
    assert files["proposal.diff"] == proposal.diff.encode()
    told = json.loads(files["review.json"])
    assert told["proposed_policy"] == "sha256:other"
    assert len(told["changes"]) == 2
    text, html = (message.get_body((kind,)).get_content().replace("\r\n", "\n") for kind in ("plain", "html"))
    for body in (text, html):
        assert "owing: Level 2 becomes Level 3" in body
        assert "quiet: silence_days &gt; 100" in body or "quiet: silence_days > 100" in body
        assert "It holds on later month ends" in body
        assert "360 warnings of levels 1 and 2 (360 lost) and drops 360 (0 lost)" in body
    assert "Lost, of those warned: 40.0% → 100.0% (+60.0; 95 % +" in text
    chinese = (
        message_from_bytes(mails["board@example.com"]["mime"], policy=mime.SMTP).get_body(("plain",)).get_content()
    )
    assert "owing：由二級改為三級" in chinese
    assert "預警客戶中實際流失：40.0% → 100.0% (+60.0; 95% 區間 +" in chinese


def test_review_that_proposes_nothing_says_so(proposal: Proposal, company: Path, asked: list[list[date]]) -> None:
    current = tasks.company()
    found = tasks._review(current, date(2026, 6, 30))
    for language, said in (
        ("zh-CN", "建议维持现行规则"),
        ("zh-TW", "建議維持現行規則"),
        ("en", "keep them as they are"),
    ):
        rendered = render_review(replace(found, changes=(), expected={}, verdict=None), language, "A")
        assert said in rendered.subject
        assert "{" not in rendered.text + rendered.subject
    rendered = render_review(replace(found, company="<b>A & B"), "en", "<i>")
    assert "&lt;b&gt;A &amp; B" in rendered.html
    assert "<i>" not in rendered.html


def test_company_without_readers_is_told_so_and_nobody_is_mailed(
    company: Path, asked: list[list[date]], warehouse: Warehouse
) -> None:
    recipients = company / "recipients.csv"
    lines = recipients.read_text(encoding="utf-8").splitlines()
    recipients.write_text("\n".join([*lines[: -len(READERS)], ""]), encoding="utf-8")
    assert "nobody is told" in tasks.review_policy(REVIEWED_ON)
    assert asked == []
    assert warehouse.rows("select from ops.outbox") == []
