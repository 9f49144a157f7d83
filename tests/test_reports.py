"""Reports of the platform: what operators and internal audit are told, when, and that nothing is told twice."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from email import message_from_bytes, policy
from html import unescape

import pytest

from early_warning import tasks
from early_warning.digest import compose, outbox_resend
from early_warning.digest.reports import MOST_ROWS
from early_warning.settings import PROJECT
from early_warning.warehouse import Warehouse
from homes import closed_port
from test_digest import CUT_OFF, DAY, HOSTILE, MARTS, World, text_of

OPERATORS, AUDIT = ("operators_report", "ops@example.cn"), ("audit_report", "audit@example.cn")


@dataclass
class Platform(World):
    """A world whose runs lie on the real clock, by which reports tell what is new, with ledgers to write in."""

    def run(self, *, state: str = "published", cut_off: datetime = CUT_OFF, is_backfill: bool = False) -> int:
        """Open a run that ended in a state just now."""
        run_id = super().run(state=state, cut_off=cut_off, is_backfill=is_backfill)
        self.warehouse.execute(
            "update ops.run set published_at = case state when 'published' then now() end where run_id = %s", run_id
        )
        return run_id

    def batch(self, data_set: str, *, rows: int = 100, quarantined: int = 0, orphans: int = 0) -> None:
        """Say that the newest run landed a data set."""
        self.warehouse.execute(
            "insert into ops.batch (run_id, source, data_set, mode, state, rows, quarantined, orphans)"
            " values (%s, split_part(%s, '.', 1), %s, 'append', 'accepted', %s, %s, %s)",
            *(self.runs[-1], data_set, data_set, rows, quarantined, orphans),
        )

    def gate(self, gate: str, verdict: str, message: str, *, number: int = 1) -> None:
        """Say what a gate found in the newest run."""
        self.warehouse.execute(
            "insert into ops.gate_result values (%s, %s, %s, 'expectation', null, 'critical', %s, 1, %s)",
            *(self.runs[-1], gate, number, verdict, message),
        )

    def mute(self, customer_id: str, *, until: date, reason: str = "框架协议") -> None:
        """Let the newest run go by a mute."""
        self.warehouse.execute(
            "insert into ops.mute values (%s, %s, '2026-06-01', %s, %s, '郑建国')",
            *(customer_id, self.runs[-1], until, reason),
        )

    def report(self, key: tuple[str, str]) -> tuple[str, str]:
        """Compose the newest run and let its mails arrive; give a report's subject and text."""
        compose(self.warehouse, self.runs[-1])
        self.warehouse.execute(
            "update ops.outbox set state = 'sent', sent_at = now() where run_id = %s and state = 'pending'",
            self.runs[-1],
        )
        mail = self.mails()[key]
        return str(mail["Subject"]), text_of(mail)


@pytest.fixture
def platform(warehouse: Warehouse) -> Platform:
    """A platform with an operator and an auditor, and no run yet."""
    warehouse.execute(MARTS)
    warehouse.execute("insert into ops.company values ('/company', '南方五金', 'Asia/Shanghai', 'CNY', 'zh-CN')")
    warehouse.execute("insert into policy.policy (policy_hash) values ('p')")
    warehouse.execute(
        "insert into policy.hysteresis_and_budget select 'p', format('level_%s_deadline_hours', level), 24"
        " from generate_series(1, 3) as level"
    )
    found = Platform(warehouse)
    found.recipient("operators", "ops@example.cn", name="值班", language="en")
    found.recipient("internal_audit", "audit@example.cn", name="内审", language="en")
    return found


# When


def test_reports_are_always_sent_when_due_even_if_nothing_happened(platform: Platform) -> None:
    platform.run()

    assert compose(platform.warehouse, platform.runs[-1]) == 2

    mails = platform.mails()
    assert mails[OPERATORS]["Subject"] == "[Platform operations] 30 Jun: all is well"
    assert "\nAll is well.\n" in text_of(mails[OPERATORS])
    assert mails[AUDIT]["Subject"] == "[Audit of the warning platform] 30 Jun: nothing to report"
    assert "\nNothing of what is watched for happened: " in text_of(mails[AUDIT])
    assert "===" not in text_of(mails[AUDIT])


def test_operators_read_daily_and_audit_on_mondays_unless_their_lines_say_otherwise(platform: Platform) -> None:
    platform.recipient("operators", "never@example.cn", frequency="never")
    platform.recipient("internal_audit", "each@example.cn", frequency="each_run")
    platform.recipient("operators", "OPS@example.cn")
    told = []
    for hours in (0, 12, 24, 7 * 24):  # a Tuesday's run, one on Wednesday noon, one that night, one of the next Tuesday
        platform.run(cut_off=CUT_OFF + timedelta(hours=hours))
        compose(platform.warehouse, platform.runs[-1])
        told.append(sorted(recipient for _, recipient in platform.mails()))
    everybody = ["audit@example.cn", "each@example.cn", "ops@example.cn"]
    assert told == [everybody, ["each@example.cn"], ["each@example.cn", "ops@example.cn"], everybody]


def test_nothing_is_told_twice_and_a_backfill_with_the_next(platform: Platform) -> None:
    platform.run(state="stopped", cut_off=CUT_OFF - timedelta(days=1))
    platform.gate("sales", "fail", "orders are missing")
    platform.run()
    assert "orders are missing" in platform.report(OPERATORS)[1]
    assert compose(platform.warehouse, platform.runs[-1]) == 0
    backfill = platform.run(cut_off=CUT_OFF - timedelta(days=1), is_backfill=True)
    assert compose(platform.warehouse, backfill) == 0
    again = platform.run()
    assert compose(platform.warehouse, again) == 0, "its cut-off has been told"

    platform.run(cut_off=CUT_OFF + timedelta(days=7))
    subject, text = platform.report(OPERATORS)
    audit = text_of(platform.mails()[AUDIT])

    assert subject == "[Platform operations] 7 Jul: all is well"
    assert "orders are missing" not in text + audit
    for told in (text, audit):
        assert f"- 29 Jun · run {backfill}: published\n  back-fill" in told
        assert f"- 30 Jun · run {again}: published\n  judged again" in told
        assert "runs 3, published 3" in told


def test_run_of_before_that_is_gone_on_with_is_told_again(platform: Platform) -> None:
    failed = platform.run(state="failed", cut_off=CUT_OFF - timedelta(days=1))
    platform.run()
    assert "29 Jun is not published" in platform.report(OPERATORS)[0]
    platform.warehouse.execute(
        "insert into ops.run_step (run_id, step, state, seconds) values (%s, 'transform', 'failed', 3)", failed
    )
    platform.next_day()

    assert f"- 29 Jun · run {failed}: failed" in platform.report(OPERATORS)[1]


# What operators read


def test_operators_read_what_needs_a_hand_and_what_the_run_cost(platform: Platform) -> None:
    warehouse = platform.warehouse
    stopped = platform.run(state="stopped", cut_off=CUT_OFF - timedelta(days=1))
    platform.gate("finance", "fail", "payments.csv, row 12: found -3; expected a positive amount → correct it")
    platform.run(state="stopped")  # and mended: its day is published below
    run_id = platform.run()
    platform.batch("sales.orders", rows=1_200, quarantined=3, orphans=2)
    platform.gate("sales", "warn", "2 rows of unknown customers → deliver them")
    platform.gate("sales", "pass", "all is there", number=2)
    for step, seconds, rows in (("open_run", 2, None), ("extract_sales", 12.34, 1_200), ("transform", 200, 900)):
        warehouse.execute(
            "insert into ops.run_step (run_id, step, state, seconds, rows) values (%s, %s, 'done', %s, %s)",
            *(run_id, step, seconds, rows),
        )
    warehouse.execute("update ops.run set stale_data_sets = '{service.tickets}' where run_id = %s", run_id)
    platform.customer("甲", unknown=(("overdue_days", "no_data"),))
    platform.customer("乙", unknown=(("overdue_days", "short_history"), ("satisfaction", "expired")))
    for number, (recipient, state, error) in enumerate(
        [
            ("gone@example.cn", "refused", "550 no such user"),
            ("busy@example.cn", "pending", "421 try later"),
            ("back@example.cn", "refused", "550 full"),
            ("back@example.cn", "sent", None),
        ]
    ):
        warehouse.execute(
            "insert into ops.outbox (mail_key, run_id, as_of_at, audience, recipient, subject, message_id, state,"
            " last_error, sent_at) values (%s, %s, now(), 'owner', %s, 'Warnings', %s, %s, %s, now())",
            *(f"key{number}", stopped, recipient, f"id{number}", state, error),
        )

    subject, text = platform.report(OPERATORS)

    assert subject == (
        "[Platform operations] 30 Jun: 29 Jun is not published, data sets that stand still: 1, warnings of gates: 1,"
        " addresses refused: 1, mails still owed: 1"
    )
    for line in (
        "\nThis needs a hand:\n- 29 Jun is not published\n",
        f"- 29 Jun · run {stopped}: stopped by a gate\n",
        f"- 30 Jun · run {run_id}: published\n  3 min 20 s · 1 batches, 1,200 rows, 5 unusable\n",
        "- finance: failed\n  payments.csv, row 12: found -3; expected a positive amount → correct it\n",
        "- sales: warned\n  2 rows of unknown customers → deliver them\n",
        f"quarantine list --run {run_id}\n- sales · sales.orders: 5\n  of 1,203 rows · of unknown customers: 2\n",
        "=== Sources that stand still ===",
        "- service.tickets\n",
        "- gone@example.cn: since ",
        "\n  550 no such user\n",
        "- busy@example.cn: since ",
        "421 try later",
        "- overdue_days: 2\n  no data 1, history too short 1\n- satisfaction: 1\n  record expired 1\n",
        "- transform: 3 min 20 s\n  rows: 900\n- extract_sales: 12.3 s\n  rows: 1,200\n- open_run: 2.0 s\n",
    ):
        assert line in text
    assert "all is there" not in text
    assert "back@example.cn" not in text, "it has taken a mail since"
    assert "ops@example.cn" not in text, "its own mail is no mail that is still owed"


def test_steps_are_held_against_what_they_usually_take(platform: Platform) -> None:
    for seconds in (10, 30, 20, 60):
        platform.next_day()
        platform.warehouse.execute(
            "insert into ops.run_step (run_id, step, state, seconds) values (%s, 'transform', 'done', %s)",
            *(platform.runs[-1], seconds),
        )
    assert "- transform: 1 min 0 s\n  usually 20.0 s\n" in platform.report(OPERATORS)[1]


# What internal audit reads


def test_audit_reads_who_changed_what_and_what_was_left_undone(platform: Platform) -> None:
    warehouse = platform.warehouse
    before = platform.run()
    stays, ends, is_cut, changes = (platform.customer(name) for name in ("不变", "到期", "取消", "延长"))
    for muted in (stays, is_cut, changes):
        platform.mute(muted, until=DAY + timedelta(days=30))
    platform.mute(ends, until=DAY)
    assert "mutes: 4" in platform.report(AUDIT)[0]
    [mail] = warehouse.rows("select mail_key from ops.outbox where audience = 'audit_report'")

    run_id = platform.run(cut_off=CUT_OFF + timedelta(days=7))
    begins = platform.customer("新静音")
    for name, customer_id in (("到期", ends), ("取消", is_cut), ("延长", changes)):
        platform.customer(name, customer_id=customer_id, level=None, because=())
    for muted, days in ((stays, 30), (changes, 60), (begins, 30)):
        platform.mute(muted, until=DAY + timedelta(days=days))
    late = platform.customer("逾期客户", level=1, raised_days_ago=2, owner_name="王芳")
    platform.customer("已处理", level=1, raised_days_ago=2, is_handled=True)
    platform.customer("二级", level=2, raised_days_ago=9)
    differences = [
        {"file": "indicator_parameters.csv", "key": ["overdue_days", "days"], "column": "serious"}
        | {"before": 30, "after": 20},
        {"file": "level_rules.csv", "key": ["silent"], "column": None, "before": None, "after": {}},
        {"file": "level_rules.csv", "key": ["loud"], "column": "description", "before": "a", "after": "b"},
    ]
    warehouse.execute(
        "insert into ops.policy_change (run_id, as_of_date, policy_hash, previous_hash, previous_run_id, changed_by,"
        " differences) values (%s, %s, 'p', 'o', %s, 'Li Na', %s)",
        *(run_id, DAY + timedelta(days=7), before, json.dumps(differences)),
    )
    outbox_resend(warehouse, mail["mail_key"])

    subject, text = platform.report(AUDIT)

    assert subject == (
        "[Audit of the warning platform] 7 Jul: changes of the rules: 1, mutes: 4, overdue at level 1: 1,"
        " mails sent again: 1"
    )
    for line in (
        "- by Li Na: ",
        f"  first judged by it: 7 Jul · run {run_id}\n  overdue_days.days serious: 30 → 20\n"
        "  level_rules.csv: silent added\n  loud: described anew\n",
        f"- 到期 {ends}: ended as set\n  from 1 Jun to 30 Jun, by 郑建国\n  框架协议\n",
        f"- 取消 {is_cut}: ended early\n",
        f"- 延长 {changes}: changed\n  from 1 Jun to 29 Aug, by 郑建国\n",
        f"- 新静音 {begins}: began\n",
        f"- 逾期客户 {late}: 7 Jul 00:00\n  owner 王芳\n",
        "- audit@example.cn: ",
    ):
        assert line in text
    assert stays not in text
    assert "已处理" not in text
    assert "二级" not in text


# In which words


@pytest.mark.parametrize(
    ("language", "subject", "verdict"),
    [
        ("zh-CN", "【预警运维】6月30日：质量检查提示 1", "以下事项需要处理："),
        ("zh-TW", "【預警維運】6月30日：品質檢查提示 1", "以下事項需要處理："),
        ("en", "[Platform operations] 30 Jun: warnings of gates: 1", "This needs a hand:"),
    ],
)
def test_report_is_in_its_readers_language(platform: Platform, language: str, subject: str, verdict: str) -> None:
    platform.warehouse.execute("update ops.recipient set language = %s", language)
    platform.run()
    platform.gate("sales", "warn", "a message of the gate")
    assert platform.report(OPERATORS)[0] == subject
    assert f"\n{verdict}\n" in platform.report(OPERATORS)[1]


def test_text_from_outside_does_no_harm_and_is_bounded(platform: Platform) -> None:
    platform.run()
    platform.warehouse.execute("update ops.recipient set name = %s", HOSTILE)
    for number in range(MOST_ROWS + 5):
        platform.gate("sales", "fail", f"{number} {HOSTILE} {'long ' * 1_000}", number=number)

    compose(platform.warehouse, platform.runs[-1])

    mail = platform.mails()[OPERATORS]
    text, html = text_of(mail), text_of(mail, "html")
    assert mail["Bcc"] is None
    assert "<script" not in html
    assert "\u202e" not in text + html
    assert text.count("long …") + text.count("long lo") >= MOST_ROWS
    assert max(map(len, text.splitlines())) < 600
    assert "and 5 more" in text
    assert "{{ 7 * 7 }}" in text
    shown = unescape(html)
    for line in text.split("\n-- \n")[0].splitlines():
        if line.startswith("  "):
            assert line.strip() in shown, "the text says what the HTML says"


# Notices of failures


def test_notice_says_which_day_what_is_wrong_and_what_to_type(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (
        ("DSN", platform.warehouse.dsn),
        ("READER_DSN", platform.warehouse.reader_dsn),
        ("COMPANY", str(PROJECT / "company")),
        ("SMTP_URL", closed_port()),
    ):
        monkeypatch.setenv(f"EARLY_WARNING_{name}", value)
    stopped, failed = platform.run(state="stopped"), platform.run(state="failed", cut_off=CUT_OFF - timedelta(hours=12))

    tasks.tell_operators(stopped, "gate_sales", "orders.csv, row 3: found -3 → correct it\nanother")
    tasks.tell_operators(failed, "transform", "the disk is full")

    about = {
        mail["run_id"]: (mail["subject"], text)
        for mail in platform.warehouse.rows("select run_id, subject, mime from ops.outbox where audience = 'operators'")
        for text in [text_of(message_from_bytes(mail["mime"], policy=policy.SMTP))]
    }
    subject, text = about[stopped]
    assert subject == f"early-warning: run {stopped} of 2026-06-30, gate_sales: stopped"
    assert "\n- orders.csv, row 3: found -3 → correct it\n- another\n" in text
    assert f"quarantine list --run {stopped}\n" in text
    assert text.rstrip().endswith("run --as-of 2026-06-30")
    assert about[failed][0] == f"early-warning: run {failed} of 2026-06-30T12:00:00+08:00, transform: failed"
    assert "\n- the disk is full\n" in about[failed][1]
    assert "/airflow/logs" in about[failed][1]
