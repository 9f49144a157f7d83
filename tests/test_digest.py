"""The digest room up to the outbox: who is told what, in which words, once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

import fastexcel
import pytest

from early_warning.digest import compose, outbox_list
from early_warning.digest.readers import Reader, Run, is_due, usable_address
from early_warning.digest.render import LARGEST_HTML, render
from early_warning.digest.select import Action, Digest, Sentence, Unknown, Warned
from early_warning.digest.text import plain
from early_warning.warehouse import Warehouse

DAY = date(2026, 6, 30)
CUT_OFF = datetime(2026, 6, 30, 16, tzinfo=UTC)  # midnight after DAY in Shanghai
PUBLISHED = datetime(2026, 6, 30, 22, 14, 9, tzinfo=UTC)
MARTS = """
create schema if not exists marts;
create table marts.fct_customer_levels (
    customer_id text, run_id bigint, as_of_date date, customer_name text, owner_name text, owner_email text,
    warning_level integer, raw_level integer, change text, level_since date, peak_level integer, rule_codes text[],
    indicator_codes text[], money_at_risk_amount numeric
);
create table marts.fct_warning_cases (
    customer_id text, run_id bigint, case_id text, step integer, event text, raised_at timestamptz,
    deadline_at timestamptz, handled_at timestamptz, closed_on date, outcome text, is_muted boolean,
    is_held_back boolean
);
create schema if not exists words;
create table words.indicator_names (indicator_code text, language text, name text);
create schema if not exists bi;
create table bi.company_health (
    month date, dimension text, active_count bigint, churn_ratio numeric, csat_mean numeric, nps numeric,
    dso_days numeric, overdue_over_90_amount numeric
);
create table bi.warning_kpis (
    month date, dimension text, warned_count bigint, timely_handling_ratio numeric, win_back_ratio numeric,
    adjusted_accuracy_ratio numeric, lost_count bigint, caught_count bigint, matured_count bigint
);
create table marts.dim_customers (customer_id text, run_id bigint, customer_name text);
create table marts.fct_warning_trends (
    customer_id text, run_id bigint, first_month date, amounts numeric[], threshold_amount numeric
);
create table marts.rpt_case_actions (
    customer_id text, run_id bigint, case_id text, department text, language text, action text, indicator_codes text[]
);
create table marts.fct_indicator_values (
    customer_id text, run_id bigint, indicator_code text, state text, unknown_reason text, trend text
);
create table marts.rpt_indicator_sentences (
    customer_id text, run_id bigint, indicator_code text, department text, also_departments text[], state text,
    language text, name text, sentence text, trend text
);
create table marts.fct_product_quality (
    item_kind text, item_id text, run_id bigint, as_of_date date, item_name text, category text, window_start date,
    baseline_start date, line_count bigint, complaint_count bigint, return_count bigint, rate numeric,
    baseline_rate numeric, ratio numeric, is_conspicuous boolean
);
"""
INDICATORS = {
    "order_amount": ("交易金额", "Order amount", "demand", "sales", []),
    "days_since_last_order": ("未购天数", "Days without an order", "demand", "sales", []),
    "overdue_days": ("欠款时间", "Days overdue", "arrears", "finance", []),
    "complaint_rate": ("投诉率", "Complaint rate", "service", "service", ["product"]),
    "satisfaction": ("服务满意度", "Satisfaction", "satisfaction", "service", []),
}
KEY = ("order_amount", "days_since_last_order", "overdue_days")
SENTENCES = {
    "order_amount": (
        "近 3 个月每月最多 ¥12,400，不到自身基准 ¥48,200 的 40%",
        "at most ¥12,400 a month, under 40 % of ¥48,200",
    ),
    "days_since_last_order": ("已 172 天未下单，通常间隔 28 天", "no order for 172 days, usually 28 days apart"),
    "overdue_days": ("最早一笔欠款已逾期 71 天，阈值 30 天", "the oldest unpaid part is 71 days past due, limit 30"),
    "complaint_rate": ("90 天内投诉 4 次，阈值 3 次", "4 complaints in 90 days, limit 3"),
    "satisfaction": ("最近两次评分最高 52 分，低于 60 分", "the better of the last two scores is 52, below 60"),
}
KEPT = {
    "clear": ("已恢复正常，观察期内暂保留级别", "back to normal; the level is kept for the cool-down"),
    "unknown": ("目前无法判断，级别暂予保留", "can't be judged at present; the level is kept"),
}
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
HOURS = {1: 24, 2: 72, 3: 168}
HOSTILE = "恶意公司</td><script>alert(1)</script>\r\nBcc: all@example.com\r\n\r\n\u202eevil\u202c{{ 7 * 7 }}"


@dataclass
class World:
    """A published run over invented customers; each method says one thing about it."""

    warehouse: Warehouse
    customers: int = 0
    runs: list[int] = field(default_factory=list)

    def run(self, *, state: str = "published", cut_off: datetime = CUT_OFF, is_backfill: bool = False) -> int:
        """Open a run that ended in a state."""
        [row] = self.warehouse.rows(
            "insert into ops.run"
            " (as_of_date, as_of_at, company_time_zone, policy_hash, state, is_backfill, published_at, previous_run_id)"
            " values (%s, %s, 'Asia/Shanghai', 'p', %s, %s, %s, %s) returning run_id",
            (cut_off + timedelta(hours=8) - timedelta(microseconds=1)).date(),
            cut_off,
            state,
            is_backfill,
            PUBLISHED,
            self.runs[-1] if self.runs else None,
        )
        self.runs.append(row["run_id"])
        return self.runs[-1]

    def next_day(self) -> int:
        """Open the run of the day after the newest one."""
        return self.run(cut_off=CUT_OFF + timedelta(days=len(self.runs)))

    def recipient(
        self,
        role: str,
        email: str,
        *,
        department: str = "",
        name: str = "",
        language: str = "zh-CN",
        frequency: str = "",
        time_zone: str = "",
        chat: str = "",
    ) -> None:
        """Add a line of recipients.csv."""
        self.warehouse.execute(
            "insert into ops.recipient (role, department, name, email, language, frequency, time_zone, chat)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s)",
            *(role, department, name, email, language, frequency, time_zone, chat),
        )

    def customer(
        self,
        name: str,
        *,
        customer_id: str | None = None,
        level: int | None = 2,
        owner: str | None = "wang.fang@example.cn",
        owner_name: str = "王芳",
        money: int = 1000,
        because: tuple[str, ...] = ("days_since_last_order",),
        watch: tuple[str, ...] = (),
        kept: dict[str, str] | None = None,
        unknown: tuple[tuple[str, str], ...] = (),
        step: int = 1,
        raised_days_ago: int = 0,
        is_handled: bool = False,
        is_muted: bool = False,
        is_held_back: bool = False,
    ) -> str:
        """Add a customer to the newest run: its level, why, what else is out of line, what is unknown.

        `customer_id`: of an earlier run's. `kept`: indicators that the level came from and their state now, clear or
        unknown. A level's case was raised some days ago and is to be handled within the level's time.
        """
        if customer_id is None:
            self.customers += 1
            customer_id = f"C{self.customers:05}"
        kept, run_id = kept or {}, self.runs[-1]
        [run] = self.warehouse.rows("select as_of_at from ops.run where run_id = %s", run_id)
        raised_at = run["as_of_at"] - timedelta(days=raised_days_ago)
        self.warehouse.execute(
            "insert into marts.fct_customer_levels values"
            " (%s, %s, %s, %s, %s, %s, %s, %s, 'new', %s, %s, '{rule}', %s, %s)",
            *(customer_id, run_id, DAY, name, owner_name, owner, level, level),
            *(DAY - timedelta(days=self.customers % 9), level, [*because, *kept], money),
        )
        self.warehouse.execute("insert into marts.dim_customers values (%s, %s, %s)", customer_id, run_id, name)
        if level:
            self.warehouse.execute(
                "insert into marts.fct_warning_cases values (%s, %s, %s, %s, null, %s, %s, %s, null, null, %s, %s)",
                *(customer_id, run_id, f"{customer_id}-case", step, raised_at),
                *(raised_at + timedelta(hours=HOURS[level]), raised_at if is_handled else None, is_muted, is_held_back),
            )
        states = dict.fromkeys(because, "serious") | dict.fromkeys(watch, "watch") | kept
        for code, state in states.items():
            chinese, english, _, department, also = INDICATORS[code]
            sentences = KEPT.get(state) or SENTENCES[code]
            for language, label, sentence in zip(("zh-CN", "en"), (chinese, english), sentences, strict=True):
                self.warehouse.execute(
                    "insert into marts.rpt_indicator_sentences values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
                    *(customer_id, run_id, code, department, also, state, language, label, sentence),
                )
        for code, reason in unknown:
            self.warehouse.execute(
                "insert into marts.fct_indicator_values values (%s, %s, %s, 'unknown', %s, null)",
                *(customer_id, run_id, code, reason),
            )
        return customer_id

    def closed(self, customer_id: str, outcome: str) -> None:
        """Close the case of a customer that holds no level any more, in the newest run."""
        self.warehouse.execute(
            "insert into marts.fct_warning_cases values (%s, %s, %s, 1, null, null, null, null, %s, %s, false, false)",
            *(customer_id, self.runs[-1], f"{customer_id}-case", DAY, outcome),
        )

    def trend(self, customer_id: str, *amounts: int | None, least: int | None = 20_000) -> None:
        """Say what a customer ordered in each of the months before the newest run, and below what it is little."""
        self.warehouse.execute(
            "insert into marts.fct_warning_trends values (%s, %s, '2026-01-01', %s, %s)",
            *(customer_id, self.runs[-1], list(amounts or (None, 48_000, 50_000, 12_000, 0, 900)), least),
        )

    def action(
        self, customer_id: str, department: str, text: str, *, language: str = "zh-CN", codes: tuple[str, ...] = ()
    ) -> None:
        """Say what the playbook has a department do about a customer of the newest run."""
        self.warehouse.execute(
            "insert into marts.rpt_case_actions values (%s, %s, 'case', %s, %s, %s, %s)",
            *(customer_id, self.runs[-1], department, language, text, list(codes)),
        )

    def product(
        self,
        name: str,
        *,
        kind: str = "product",
        category: str | None = "密封件",
        complaints: int | None = 23,
        returns: int | None = 4,
        baseline_rate: str = "0.02",
        is_conspicuous: bool | None = True,
    ) -> None:
        """Add a product, or a category, of 500 order lines to the newest run; its name is its id."""
        rate, usual = Decimal((complaints or 0) + (returns or 0)) / 500, Decimal(baseline_rate)
        self.warehouse.execute(
            "insert into marts.fct_product_quality"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, 500, %s, %s, %s, %s, %s, %s)",
            *(kind, name, self.runs[-1], DAY, name, category, DAY - timedelta(days=89), DAY - timedelta(days=454)),
            *(complaints, returns, rate, usual, rate / usual if usual else None, is_conspicuous),
        )

    def mails(self) -> dict[tuple[str, str], EmailMessage]:
        """The newest run's mails by audience and recipient."""
        rows = self.warehouse.rows(
            "select audience, recipient, mime from ops.outbox where channel = 'mail' and run_id = %s",
            self.runs[-1],
        )
        return {
            (row["audience"], row["recipient"]): message_from_bytes(row["mime"], policy=policy.SMTP) for row in rows
        }

    def told(self) -> dict[tuple[str, str], str]:
        """What the newest run's mails say in their text, by audience and recipient."""
        return {key: text_of(mail) for key, mail in self.mails().items()}


@pytest.fixture
def world(warehouse: Warehouse) -> World:
    """A company in Shanghai with its policy's indicators, and no run yet."""
    warehouse.execute(MARTS)
    warehouse.execute("insert into ops.company values ('/company', '南方五金', 'Asia/Shanghai', 'CNY', 'zh-CN')")
    warehouse.execute("insert into policy.policy (policy_hash) values ('p')")
    for code, (name, english, family, department, also) in INDICATORS.items():
        for language, word in (("zh-CN", name), ("en", english)):
            warehouse.execute("insert into words.indicator_names values (%s, %s, %s)", *(code, language, word))
        warehouse.execute(
            "insert into policy.indicators values ('p', %s, %s, %s, %s, %s, 'unit', 'high', %s)",
            *(code, name, family, department, also, code in KEY),
        )
    for level, hours in HOURS.items():
        warehouse.execute(
            "insert into policy.hysteresis_and_budget values ('p', %s, %s)", f"level_{level}_deadline_hours", hours
        )
    return World(warehouse)


def text_of(mail: EmailMessage, kind: str = "plain") -> str:
    """One body of a mail."""
    body = mail.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


class _Html(HTMLParser):
    """What a reader of the HTML sees, and which elements made it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.seen: list[str] = []
        self._inside: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self._inside.append(tag)

    def handle_data(self, data: str) -> None:
        if data.strip() and not {"style", "title"} & set(self._inside[-1:]):
            self.seen.append(data.strip())


# Who is told


def test_compose_writes_one_mail_an_owner_and_a_head(world: World) -> None:
    run_id = world.run()
    world.recipient("head", "sales@example.cn", department="sales", name="李强")
    world.recipient("head", "product@example.cn", department="product", name="赵敏")
    world.recipient("head", "finance@example.cn", department="finance", name="孙丽")
    world.customer("上海明珠机电有限公司")
    world.customer("Harbour & Sons Ltd", owner="li.lei@example.cn", owner_name="李雷", because=("complaint_rate",))
    world.customer("健康客户", level=None, owner="nobody@example.cn", because=())

    assert compose(world.warehouse, run_id) == 4

    mails = world.mails()
    assert set(mails) == {
        ("owner", "wang.fang@example.cn"),
        ("owner", "li.lei@example.cn"),
        ("head:sales", "sales@example.cn"),
        ("head:product", "product@example.cn"),  # complaint_rate is also product's
    }
    assert "上海明珠机电有限公司" in text_of(mails["owner", "wang.fang@example.cn"])
    assert "Harbour" not in text_of(mails["owner", "wang.fang@example.cn"])
    assert "负责人 王芳" not in text_of(mails["owner", "wang.fang@example.cn"])
    assert "负责人 李雷" in text_of(mails["head:product", "product@example.cn"])


@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        "wang.fang",
        "a@example.cn; b@example.cn",
        "a@example.cn\r\nBcc: b@example.cn",
        ".a@example.cn",
        "王@例.cn",
    ],
)
def test_owner_without_usable_address_goes_to_the_fallback_owner(world: World, address: str | None) -> None:
    run_id = world.run()
    world.recipient("fallback_owner", "desk@example.cn", name="客户部")
    world.customer("无主客户", owner=address, owner_name="陈晨")
    world.customer("自己的客户", owner="Desk@example.cn", owner_name="客户部")

    assert compose(world.warehouse, run_id) == 1

    text = text_of(world.mails()["owner", "desk@example.cn"])
    assert "无主客户" in text
    assert "负责人 陈晨" in text
    assert "自己的客户" in text


def test_no_fallback_owner_tells_the_operators_instead(world: World) -> None:
    run_id = world.run()
    world.recipient("operators", "ops@example.cn", frequency="never")
    world.customer("无主客户", owner=None)

    compose(world.warehouse, run_id)

    assert set(world.mails()) == {("owner", "ops@example.cn")}


def test_no_warnings_no_mail(world: World) -> None:
    run_id = world.run()
    world.recipient("head", "sales@example.cn", department="sales")
    world.customer("健康客户", level=None, because=(), watch=("order_amount",))

    assert compose(world.warehouse, run_id) == 0
    assert world.mails() == {}
    assert is_composed(world, run_id)


def is_composed(world: World, run_id: int) -> bool:
    """Whether the run is noted as composed."""
    [row] = world.warehouse.rows("select composed_at from ops.run where run_id = %s", run_id)
    return row["composed_at"] is not None


# Once


def test_composing_again_adds_nothing(world: World) -> None:
    run_id = world.run()
    world.customer("上海明珠机电有限公司")

    assert compose(world.warehouse, run_id) == 1
    before = world.warehouse.rows("select * from ops.outbox")
    assert compose(world.warehouse, run_id) == 0
    assert world.warehouse.rows("select * from ops.outbox") == before


def test_rerun_of_the_same_cut_off_composes_nothing(world: World) -> None:
    first = world.run()
    world.customer("上海明珠机电有限公司")
    compose(world.warehouse, first)
    again = world.run()
    world.customer("今天才更正的客户", owner="new.owner@example.cn")

    assert compose(world.warehouse, again) == 0
    assert world.mails() == {}
    assert is_composed(world, again)


def test_backfill_composes_nothing(world: World) -> None:
    run_id = world.run(is_backfill=True)
    world.customer("上海明珠机电有限公司")

    assert compose(world.warehouse, run_id) == 0
    assert world.mails() == {}
    assert is_composed(world, run_id)


@pytest.mark.parametrize("state", ["running", "failed", "stopped"])
def test_run_that_is_not_published_is_not_told(world: World, state: str) -> None:
    run_id = world.run(state=state)
    world.customer("上海明珠机电有限公司")

    with pytest.raises(ValueError, match="not published"):
        compose(world.warehouse, run_id)
    assert world.mails() == {}


def test_failure_while_composing_leaves_nothing_behind(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = world.run()
    for number in range(3):
        world.customer("客户", owner=f"owner{number}@example.cn")
    rendered: list[Digest] = []

    def third_fails(digest: Digest) -> Any:
        rendered.append(digest)
        if len(rendered) == 3:
            raise RuntimeError("no")
        return render(digest)

    with monkeypatch.context() as patch:
        patch.setattr("early_warning.digest.composition.render", third_fails)
        with pytest.raises(RuntimeError):
            compose(world.warehouse, run_id)

    assert world.mails() == {}
    assert compose(world.warehouse, run_id) == 3


def test_later_cut_off_of_the_same_day_tells_whom_it_changed_anything_for(world: World) -> None:
    morning = world.run(cut_off=datetime(2026, 6, 30, 1, 30, tzinfo=UTC))
    known = world.customer("早已知道的客户")
    others = world.customer("别人的客户", owner="li.lei@example.cn")
    assert compose(world.warehouse, morning) == 2
    noon = world.run(cut_off=datetime(2026, 6, 30, 6, tzinfo=UTC))
    world.customer("早已知道的客户", customer_id=known)
    world.customer("别人的客户", customer_id=others, owner="li.lei@example.cn")
    world.customer("新的客户", level=1)

    assert compose(world.warehouse, noon) == 1

    [mail] = world.mails().values()
    assert "更新" in mail["subject"]
    assert "截至 2026年6月30日 14:00" in text_of(mail)
    assert "新的客户" in text_of(mail)
    assert "早已知道的客户" not in text_of(mail)


def test_nobody_gets_the_same_news_twice(world: World) -> None:
    world.recipient("head", "sales@example.cn", department="sales", name="李强")
    world.recipient("head", "finance@example.cn", department="finance", name="孙丽")
    compose(world.warehouse, world.run())
    first = world.next_day()
    debtor = world.customer("昨天的客户", because=("overdue_days",))
    old = [world.customer(f"老客户{number}", level=3, money=9_000_000) for number in range(3)]
    better = world.customer("好转的客户", level=2)
    others = world.customer("别人的老客户", owner="li.lei@example.cn")
    assert compose(world.warehouse, first) == 4
    second = world.next_day()
    world.customer("昨天的客户", customer_id=debtor, because=("overdue_days",))
    for number, customer_id in enumerate(old):
        world.customer(f"老客户{number}", customer_id=customer_id, level=3, money=9_000_000)
    world.customer("好转的客户", customer_id=better, level=3)
    world.customer("别人的老客户", customer_id=others, owner="li.lei@example.cn")

    assert compose(world.warehouse, second) == 2

    mails = world.mails()
    assert set(mails) == {("owner", "wang.fang@example.cn"), ("head:sales", "sales@example.cn")}
    mail = mails["owner", "wang.fang@example.cn"]
    assert mail["Subject"] == "【客户预警】7月2日：降级 1 — 王芳"
    text = text_of(mail)
    assert "您负责的客户中有 5 位需要处理" in text
    assert "二级 较高：1 位" in text
    assert "三级 轻微：4 位" in text
    assert "与上次邮件相比：降级 1、持续 4" in text
    assert "* 好转的客户 [降级 二级 → 三级]" in text
    assert "昨天的客户" not in text
    assert "另有持续预警 4 位：二级 1、三级 3\n附件" in text
    assert "另有持续预警 4 位：二级 1、三级 3" in text_of(mail, "html")
    assert "未在此列出" not in text


def test_news_is_held_against_what_the_reader_was_told_last_however_long_ago(world: World) -> None:
    """A run whose news a reader did not get, as of a day judged again, is made up for by the next mail."""
    first = world.run()
    customer_id = world.customer("上海明珠机电有限公司", level=3)
    assert compose(world.warehouse, first) == 1
    again = world.run()
    world.customer("上海明珠机电有限公司", customer_id=customer_id, level=1)
    missed = world.customer("重新判定才有的客户")
    assert compose(world.warehouse, again) == 0, "its cut-off has been told of"
    next_day = world.next_day()
    world.customer("上海明珠机电有限公司", customer_id=customer_id, level=1)
    world.customer("重新判定才有的客户", customer_id=missed)
    assert compose(world.warehouse, next_day) == 1

    [text] = world.told().values()
    assert "* 上海明珠机电有限公司 [升级 三级 → 一级]" in text
    assert "* 重新判定才有的客户 [新增]" in text


def test_customer_that_left_the_list_is_told_once_with_the_reason(world: World) -> None:
    world.recipient("management", "boss@example.cn", frequency="each_run")
    world.recipient("head", "sales@example.cn", department="sales")
    first = world.run()
    ids = {name: world.customer(name, level=1) for name in ("解除客户", "流失客户", "静音客户", "转交客户", "缓和客户")}
    compose(world.warehouse, first)

    def a_day_later() -> int:
        run_id = world.next_day()
        for name, outcome in (("解除客户", "cleared"), ("流失客户", "churned")):
            world.customer(name, customer_id=ids[name], level=None, because=())
            world.closed(ids[name], outcome)
        world.customer("静音客户", customer_id=ids["静音客户"], level=1, is_muted=True)
        world.customer("转交客户", customer_id=ids["转交客户"], level=1, owner="li.lei@example.cn")
        world.customer("缓和客户", customer_id=ids["缓和客户"], level=2)
        return compose(world.warehouse, run_id)

    assert a_day_later() == 4

    told = world.told()
    owners = told["owner", "wang.fang@example.cn"]
    assert "解除 1、流失 1、静音 1、转由他人负责 1" in owners.partition("与上次邮件相比")[2].splitlines()[0]
    for line in ("解除：解除客户", "流失：流失客户", "静音：静音客户", "转由他人负责：转交客户"):
        assert line in owners.partition("不再列入")[2]
    assert "* 缓和客户 [降级 一级 → 二级]" in owners
    assert "* 转交客户 [新增]" in told["owner", "li.lei@example.cn"]
    assert "转交客户" not in told["head:sales", "sales@example.cn"], "its department is told of it as before"
    management = told["management", "boss@example.cn"].partition("不再列入")[2]
    assert "缓和客户" in management
    assert a_day_later() == 0


def test_muted_customer_is_told_to_nobody_but_counted(world: World) -> None:
    run_id = world.run()
    world.recipient("head", "sales@example.cn", department="sales", name="李强")
    world.customer("静音的客户", is_muted=True)
    world.customer("另一位客户")
    assert compose(world.warehouse, run_id) == 2
    for text in world.told().values():
        assert "另一位客户" in text
        assert "静音的客户" not in text
        assert "静音、未计入：1 位" in text


def test_what_the_budget_holds_back_goes_to_the_head_only_until_it_is_let_through(world: World) -> None:
    world.recipient("head", "sales@example.cn", department="sales", name="李强")
    compose(world.warehouse, world.run())
    held_back = world.next_day()
    customer_id = world.customer("排在后面的客户", is_held_back=True)
    assert compose(world.warehouse, held_back) == 1
    assert "排在后面的客户" in world.told()["head:sales", "sales@example.cn"]

    def a_day_later(*, is_held_back: bool, level: int = 2) -> int:
        run_id = world.next_day()
        world.customer("排在后面的客户", customer_id=customer_id, level=level, is_held_back=is_held_back)
        return compose(world.warehouse, run_id)

    assert a_day_later(is_held_back=False) == 1
    assert "* 排在后面的客户 [新增]" in world.told()["owner", "wang.fang@example.cn"]
    assert a_day_later(is_held_back=True) == 0
    assert a_day_later(is_held_back=False) == 0, "it has been told"
    assert a_day_later(is_held_back=True, level=1) == 1, "the head hears"
    assert a_day_later(is_held_back=False, level=1) == 1
    assert "* 排在后面的客户 [升级 二级 → 一级]" in world.told()["owner", "wang.fang@example.cn"]


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("zh-CN", "另有 3 位超出提醒名额，未在此列出：二级 1、三级 2"),
        ("zh-TW", "另有 3 位超出提醒名額，未在此列出：二級 1、三級 2"),
        ("en", "Beyond what you are mailed at once, not listed here: 3 (Level 2: 1, Level 3: 2)"),
    ],
)
def test_owner_is_told_how_many_the_budget_holds_back(world: World, language: str, line: str) -> None:
    world.recipient("head", "sales@example.cn", department="sales", name="李强", language=language)
    world.recipient("owner", "wang.fang@example.cn", name="王芳", language=language)
    run_id = world.run()
    world.customer("名额内的客户", level=1)
    for number, level in enumerate((2, 3, 3)):
        world.customer(f"排在后面的客户{number}", level=level, is_held_back=True)
    world.customer("别人的客户", owner="li.lei@example.cn", is_held_back=True)

    compose(world.warehouse, run_id)

    mail = world.mails()["owner", "wang.fang@example.cn"]
    for part in ("plain", "html"):
        assert line in text_of(mail, part)
        assert "排在后面的客户" not in text_of(mail, part)
    for words in ("超出提醒", "Beyond what you are mailed"):
        assert words not in text_of(world.mails()["head:sales", "sales@example.cn"]), "who is told of them all"


def test_customer_that_is_muted_no_longer_is_news(world: World) -> None:
    compose(world.warehouse, world.run())
    muted = world.next_day()
    customer_id = world.customer("曾静音的客户", is_muted=True)
    assert compose(world.warehouse, muted) == 0
    run_id = world.next_day()
    world.customer("曾静音的客户", customer_id=customer_id)
    assert compose(world.warehouse, run_id) == 1
    assert "* 曾静音的客户 [新增]" in world.told()["owner", "wang.fang@example.cn"]


def test_case_raised_again_is_news_though_the_level_has_not_changed(world: World) -> None:
    first = world.run()
    ids = [world.customer(name) for name in ("没有好转的客户", "旧客户")]
    compose(world.warehouse, first)
    run_id = world.next_day()
    world.customer("没有好转的客户", customer_id=ids[0], step=2)
    world.customer("旧客户", customer_id=ids[1])
    assert compose(world.warehouse, run_id) == 1
    mail = world.mails()["owner", "wang.fang@example.cn"]
    assert mail["Subject"] == "【客户预警】7月1日：再次 1 — 王芳"
    assert "* 没有好转的客户 [再次]" in text_of(mail)
    assert "* 旧客户" not in text_of(mail)


def test_weekly_reader_gets_a_weeks_news_at_once_but_what_is_urgent_now(world: World) -> None:
    """30 June 2026 is a Tuesday, and read on Wednesday, the day that begins at its cut-off."""
    world.recipient("head", "sales@example.cn", department="sales", frequency="weekly_friday")
    world.recipient("analysis", "analysis@example.cn", frequency="weekly_friday")
    compose(world.warehouse, world.run())
    wednesday = world.next_day()
    ids = {"三级客户": world.customer("三级客户", level=3, owner="li.lei@example.cn")}
    ids["一级客户"] = world.customer("一级客户", level=1, owner="li.lei@example.cn")
    compose(world.warehouse, wednesday)
    mails = world.mails()
    assert set(mails) == {("owner", "li.lei@example.cn"), ("urgent:head:sales", "sales@example.cn")}
    urgent = mails["urgent:head:sales", "sales@example.cn"]
    assert urgent["Subject"] == "【客户预警·紧急】7月1日：新增一级 1 — 销售部"
    assert "三级客户" not in text_of(urgent)
    assert not [*urgent.iter_attachments()]

    assert "与上次邮件相比" not in text_of(urgent)

    friday = world.next_day()
    for (name, customer_id), level in zip(ids.items(), (3, 1), strict=True):
        world.customer(name, customer_id=customer_id, level=level, owner="li.lei@example.cn")
    compose(world.warehouse, friday)
    told = world.told()
    assert set(told) == {("head:sales", "sales@example.cn"), ("analysis", "analysis@example.cn")}
    assert "* 三级客户 [新增]" in told["head:sales", "sales@example.cn"]
    assert "* 一级客户" not in told["head:sales", "sales@example.cn"], "told on Wednesday"
    assert "* 一级客户 [新增]" in told["analysis", "analysis@example.cn"]


@pytest.mark.parametrize(
    ("frequency", "zone", "before", "now", "expected"),
    [
        ("each_run", "Asia/Shanghai", "2026-06-30T02:00Z", "2026-06-30T04:00Z", True),
        ("daily", "Asia/Shanghai", "2026-06-30T02:00Z", "2026-06-30T04:00Z", False),
        ("daily", "Asia/Shanghai", "2026-06-30T02:00Z", "2026-06-30T16:00Z", True),
        ("daily", "America/New_York", "2026-06-30T06:00Z", "2026-06-30T16:00Z", False),
        ("weekly_monday", "Asia/Shanghai", "2026-06-27T16:00Z", "2026-06-28T16:00Z", True),
        ("weekly_monday", "Asia/Shanghai", "2026-06-28T16:00Z", "2026-06-29T16:00Z", False),
        ("weekly_monday", "Asia/Shanghai", "2026-06-26T16:00Z", "2026-06-30T16:00Z", True),  # no run on Monday
        ("weekly_monday", "Asia/Shanghai", None, "2026-06-30T16:00Z", True),
    ],
)
def test_digest_is_due_when_its_day_has_begun_since_the_last(
    frequency: str, zone: str, before: str | None, now: str, expected: bool
) -> None:
    moments = [datetime.fromisoformat(one) if one else None for one in (now, before)]
    assert moments[0] is not None
    assert is_due(frequency, ZoneInfo(zone), moments[0], moments[1]) is expected


def test_reader_who_wants_nothing_gets_nothing(world: World) -> None:
    world.recipient("owner", "wang.fang@example.cn", frequency="never")
    run_id = world.run()
    world.customer("一级客户", level=1)
    assert compose(world.warehouse, run_id) == 0


def test_chat_gets_the_same_news_in_short_once(world: World) -> None:
    world.recipient("head", "sales@example.cn", department="sales", chat="sales_room")
    first = world.run()
    for number in range(9):
        world.customer(f"客户{number}", level=2)
    compose(world.warehouse, first)
    world.warehouse.execute("update ops.run set composed_at = null")
    compose(world.warehouse, first)
    [row] = world.warehouse.rows("select recipient, subject, mime from ops.outbox where channel = 'chat'")
    text = message_from_bytes(row["mime"], policy=policy.SMTP).get_content()
    assert (row["recipient"], row["subject"]) == (
        "sales_room",
        world.mails()["head:sales", "sales@example.cn"]["Subject"],
    )
    assert "二级 客户0 [新增] · 未购天数 · 风险金额 ¥1,000 · 7月3日 24:00 前" in text
    assert "另有 1 位" in text
    assert "客户8" not in text


def deliver_handling(world: World) -> None:
    """Let the company deliver what departments did."""
    world.warehouse.execute(
        "insert into ops.batch (run_id, source, data_set, mode, state)"
        " values (%s, 'desk', 'handling.actions', 'append', 'accepted')",
        world.runs[-1],
    )


def test_level_1_nobody_acts_on_is_reminded_of_up_the_line(world: World) -> None:
    world.recipient("head", "sales@example.cn", department="sales")
    world.recipient("management", "boss@example.cn")
    first = world.run()
    deliver_handling(world)
    silent, handled, milder = (world.customer(name, level=level) for name, level in (("甲", 1), ("乙", 1), ("丙", 2)))
    assert compose(world.warehouse, first) == 3

    def hours_later(hours: int) -> dict[tuple[str, str], str]:
        run_id = world.run(cut_off=CUT_OFF + timedelta(hours=hours))
        days = hours / 24
        for name, customer_id, level in (("甲", silent, 1), ("乙", handled, 1), ("丙", milder, 2)):
            world.customer(name, customer_id=customer_id, level=level, is_handled=name == "乙")
        world.warehouse.execute(
            "update marts.fct_warning_cases set raised_at = raised_at - %s * interval '1 day',"
            " deadline_at = deadline_at - %s * interval '1 day' where run_id = %s",
            *(days, days, run_id),
        )
        compose(world.warehouse, run_id)
        return world.told()

    soon = hours_later(12)
    assert set(soon) == {("owner", "wang.fang@example.cn")}
    assert "* 甲 [即将到期]" in soon["owner", "wang.fang@example.cn"]
    assert hours_later(18) == {}
    late = hours_later(24)
    assert set(late) == {("owner", "wang.fang@example.cn"), ("head:sales", "sales@example.cn")}
    assert all("* 甲 [逾期未处理]" in text and "* 乙" not in text for text in late.values())
    very_late = hours_later(48)
    assert set(very_late) == {*late, ("urgent:management", "boss@example.cn")}
    assert hours_later(96) == {}


def test_escalation_to_level_1_begins_its_time_to_act_anew(world: World) -> None:
    first = world.run()
    deliver_handling(world)
    customer_id = world.customer("甲", level=2)
    compose(world.warehouse, first)

    def days_later(days: int) -> str:
        run_id = world.run(cut_off=CUT_OFF + timedelta(days=days))
        world.customer("甲", customer_id=customer_id, level=1, raised_days_ago=days)
        since = DAY + timedelta(days=10)
        world.warehouse.execute(
            "update marts.fct_customer_levels set level_since = %s where run_id = %s", *(since, run_id)
        )
        compose(world.warehouse, run_id)
        return world.told().get(("owner", "wang.fang@example.cn"), "")

    assert "* 甲 [升级 二级 → 一级]" in days_later(10)
    assert "* 甲 [逾期未处理]" in days_later(11)


def test_muted_customer_is_no_reason_for_urgent_mail(world: World) -> None:
    world.recipient("management", "boss@example.cn")
    first = world.run()
    deliver_handling(world)
    customer_id = world.customer("甲", level=1)
    compose(world.warehouse, first)
    later = world.run(cut_off=CUT_OFF + timedelta(days=3))
    world.customer("甲", customer_id=customer_id, level=1, raised_days_ago=3, is_muted=True)
    compose(world.warehouse, later)
    assert ("urgent:management", "boss@example.cn") not in world.told()


def test_nobody_is_reminded_where_handling_can_not_be_known(world: World) -> None:
    first = world.run()
    customer_id = world.customer("甲", level=1)
    compose(world.warehouse, first)
    later = world.next_day()
    world.customer("甲", customer_id=customer_id, level=1, raised_days_ago=3)
    assert compose(world.warehouse, later) == 0


def test_change_of_the_rules_is_named_where_levels_come_from_it(world: World) -> None:
    first = world.run()
    ids = [world.customer(name, level=3) for name in ("甲", "乙")]
    world.customer("丙", level=3, owner="li.lei@example.cn")
    compose(world.warehouse, first)
    world.warehouse.execute("update ops.run set policy_hash = 'before' where run_id = %s", first)

    def a_day_later(level: int) -> str:
        run_id = world.next_day()
        world.customer("甲", customer_id=ids[0], level=level)
        world.customer("乙", customer_id=ids[1], level=3)
        world.customer("丙", customer_id="C00003", level=3, owner="li.lei@example.cn")
        compose(world.warehouse, run_id)
        [text] = world.told().values()
        return text.partition("一级 极高")[0]

    assert "预警规则" in a_day_later(2)
    assert "预警规则" not in a_day_later(1), "it has been said"


def test_older_cut_off_composed_late_tells_nobody(world: World) -> None:
    first = world.run()
    customer_id = world.customer("甲", level=2)
    second = world.next_day()
    world.customer("甲", customer_id=customer_id, level=1)
    assert compose(world.warehouse, second) == 1
    assert compose(world.warehouse, first) == 0
    third = world.next_day()
    world.customer("甲", customer_id=customer_id, level=1)
    assert compose(world.warehouse, third) == 0, "level 1 is known"


def test_owner_whose_last_customer_is_gone_is_told(world: World) -> None:
    first = world.run()
    customer_id = world.customer("甲", level=2)
    compose(world.warehouse, first)
    second = world.next_day()
    world.customer("甲", customer_id=customer_id, level=None, because=())
    world.closed(customer_id, "cleared")
    assert compose(world.warehouse, second) == 1
    assert "解除：甲" in world.told()["owner", "wang.fang@example.cn"]


def test_reader_who_comes_back_is_told_the_whole_list(world: World) -> None:
    world.recipient("head", "sales@example.cn", department="sales")
    first = world.run()
    customer_id = world.customer("甲", level=2)
    compose(world.warehouse, first)
    for department, told in (("service", False), ("sales", True)):
        world.warehouse.execute("update ops.recipient set department = %s", department)
        run_id = world.next_day()
        world.customer("甲", customer_id=customer_id, level=2)
        compose(world.warehouse, run_id)
        assert (("head:sales", "sales@example.cn") in world.told()) is told


def test_department_no_longer_concerned_is_not_told_that_somebody_else_took_over(world: World) -> None:
    world.recipient("head", "finance@example.cn", department="finance")
    first = world.run()
    customer_id = world.customer("甲", because=("overdue_days", "order_amount"))
    compose(world.warehouse, first)
    second = world.next_day()
    world.customer("甲", customer_id=customer_id, because=("order_amount",))
    compose(world.warehouse, second)
    assert world.told().keys() == {("head:finance", "finance@example.cn")}
    assert "不再涉及本部门：甲" in world.told()["head:finance", "finance@example.cn"]


def test_case_raised_again_is_told_as_such_to_who_never_heard_of_it(world: World) -> None:
    compose(world.warehouse, world.run())
    second = world.next_day()
    world.customer("甲", level=2, step=2)
    compose(world.warehouse, second)
    assert "* 甲 [再次]" in world.told()["owner", "wang.fang@example.cn"]


def test_deadlines_are_the_policys(world: World) -> None:
    run_id = world.run()
    world.warehouse.execute("update policy.hysteresis_and_budget set value = 100 where parameter like 'level_2%%'")
    world.warehouse.execute("update policy.hysteresis_and_budget set value = 240 where parameter like 'level_3%%'")
    for level in (1, 2, 3):
        world.customer(f"客户{level}", level=level)
    compose(world.warehouse, run_id)
    text = text_of(world.mails()["owner", "wang.fang@example.cn"])
    for told in ("请在 24 小时内处理", "请在 100 小时内处理", "请在 10 天内处理"):
        assert told in text


def test_first_run_of_a_home_is_told_in_full(world: World) -> None:
    run_id = world.run()
    for level in (1, 2, 3):
        world.customer(f"{level} 级客户", level=level)

    compose(world.warehouse, run_id)

    [mail] = world.mails().values()
    assert mail["Subject"] == "【客户预警】6月30日：新增一级 1、新增二级 1、新增三级 1 — 王芳"
    text = text_of(mail)
    assert all(f"* {level} 级客户 [新增]" in text for level in (1, 2, 3))
    assert "bi.warnings" not in text


def test_same_facts_give_the_same_bytes(world: World) -> None:
    run_id = world.run()
    world.recipient("head", "sales@example.cn", department="sales", name="李强")
    for number in range(20):
        world.customer(f"客户{number}", watch=("satisfaction",))
    world.trend("C00001")
    compose(world.warehouse, run_id)
    first = world.warehouse.rows("select mail_key, message_id, subject, mime from ops.outbox order by 1")
    world.warehouse.execute("delete from ops.outbox")
    world.warehouse.execute("delete from ops.told")
    world.warehouse.execute("update ops.run set composed_at = null")

    compose(world.warehouse, run_id)

    assert world.warehouse.rows("select mail_key, message_id, subject, mime from ops.outbox order by 1") == first


# What a mail says


def test_mail_has_the_headers_of_a_ledger_mail(world: World) -> None:
    run_id = world.run()
    world.recipient("operators", "ops@example.cn", frequency="never")
    world.customer("上海明珠机电有限公司", level=1)
    world.trend("C00001")

    compose(world.warehouse, run_id, from_address="warning@nanfang.example")

    mail = world.mails()["owner", "wang.fang@example.cn"]
    [entry] = [entry for entry in outbox_list(world.warehouse) if entry["audience"] == "owner"]
    assert mail["From"] == "客户预警 <warning@nanfang.example>"
    assert mail["To"] == "王芳 <wang.fang@example.cn>"
    assert mail["Subject"] == entry["subject"] == "【客户预警】6月30日：新增一级 1 — 王芳"
    assert mail["Date"].datetime == PUBLISHED
    assert mail["Message-ID"] == entry["message_id"] == f"<{entry['mail_key'][:32]}@nanfang.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-Unsubscribe"].startswith("<mailto:ops@example.cn?subject=")
    kinds = [part.get_content_type() for part in mail.walk() if not part.is_multipart()]
    assert kinds == ["text/plain", "text/html", "image/png", XLSX]
    assert [part.get_filename() for part in mail.iter_attachments()][-1] == "customer-warnings-2026-06-30.xlsx"
    [row] = world.warehouse.rows("select mime from ops.outbox where audience = 'owner'")
    assert row["mime"].isascii()
    assert max(map(len, row["mime"].splitlines())) <= 998


def test_warnings_are_ranked_and_the_rest_is_counted(world: World) -> None:
    before = world.run()
    eased, escalated = world.customer("二级降级客户", level=1), world.customer("二级升级客户", level=3)
    old = world.customer("一级老客户", level=1, money=900_000)
    compose(world.warehouse, before)
    run_id = world.next_day()
    for number in range(16):
        world.customer(f"三级客户{number:02}", level=3, money=number)
    world.customer("二级降级客户", customer_id=eased, money=5)
    world.customer("二级新客户", money=10)
    world.customer("二级升级客户", customer_id=escalated, money=20)
    world.customer("一级客户", level=1, money=5)
    world.customer("一级老客户", customer_id=old, level=1, money=900_000)

    compose(world.warehouse, run_id)

    [mail] = world.mails().values()
    text = text_of(mail)
    order = ["一级客户", "二级升级客户", "二级新客户", "二级降级客户", "三级客户15", "三级客户05"]
    assert [text.index(name) for name in order] == sorted(text.index(name) for name in order)
    assert "三级客户04" not in text
    assert "另有 5 位客户的变化未在此列出：三级 5\n另有持续预警 1 位：一级 1\n附件" in text
    assert mail["Subject"] == "【客户预警】7月1日：新增一级 1、新增二级 1、新增三级 16、升级 1、降级 1 — 王芳"
    [book] = [part for part in mail.iter_attachments() if part.get_content_type() == XLSX]
    rows = fastexcel.read_excel(book.get_content()).load_sheet(0).to_arrow().to_pylist()
    assert len(rows) == 21
    assert [row["客户"] for row in rows[:2]] == ["一级客户", "二级升级客户"]
    assert {row["变化"] for row in rows if row["客户"] == "一级老客户"} == {"持续"}


def test_each_warning_says_level_change_since_money_and_reasons(world: World) -> None:
    before = world.run()
    customer_id = world.customer("上海明珠机电有限公司", level=2)
    compose(world.warehouse, before)
    run_id = world.next_day()
    world.customer(
        "上海明珠机电有限公司",
        customer_id=customer_id,
        level=1,
        money=1_284_500,
        because=("order_amount", "overdue_days"),
        watch=("satisfaction",),
    )
    world.trend(customer_id)
    world.action(customer_id, "finance", "商定还款计划")
    world.action(customer_id, "sales", "先与财务商定一个共同方案，再联系客户")

    compose(world.warehouse, run_id)

    [mail] = world.mails().values()
    for seen in (text_of(mail), " ".join(_Html(text_of(mail, "html")).seen)):
        for words in (
            "上海明珠机电有限公司",
            "C00001",
            "一级",
            "极高",
            "升级 二级 → 一级",
            "24 小时内",
            "7月2日 24:00 前",
            "销售部：先与财务商定一个共同方案，再联系客户",
            "财务部：商定还款计划",
            "近 6 个月订货金额",
            "¥20,000",
            "自6月29日起",
            "风险金额 ¥1,284,500",
            "近 3 个月每月最多 ¥12,400，不到自身基准 ¥48,200 的 40%",
            "最早一笔欠款已逾期 71 天",
            "其他异常指标",
            "关注",
            "服务满意度",
        ):
            assert words in seen


def test_measure_of_a_key_indicator_comes_first(world: World) -> None:
    run_id = world.run()
    customer_id = world.customer("上海明珠机电有限公司", level=1, because=("complaint_rate", "order_amount"))
    world.action(customer_id, "sales", "A 告知投诉进度", codes=("complaint_rate",))
    world.action(customer_id, "sales", "B 拜访客户", codes=("order_amount", "satisfaction"))
    compose(world.warehouse, run_id)
    [text] = world.told().values()
    assert text.index("B 拜访客户") < text.index("A 告知投诉进度")


def test_kept_level_says_what_it_came_from(world: World) -> None:
    run_id = world.run()
    world.recipient("head", "sales@example.cn", department="sales", name="Ana Silva", language="en")
    kept = {"order_amount": "clear", "complaint_rate": "unknown"}
    world.customer("缓和的客户", because=("overdue_days",), watch=("satisfaction",), kept=kept)

    compose(world.warehouse, run_id)

    owners = world.mails()["owner", "wang.fang@example.cn"]
    reasons = text_of(owners).partition("其他异常指标")[0]
    order = ["[严重] 欠款时间", "[待判断] 投诉率：目前无法判断", "[已恢复] 交易金额：已恢复正常，观察期内暂保留级别"]
    assert [reasons.index(words) for words in order] == sorted(reasons.index(words) for words in order)
    html = text_of(owners, "html")
    for calm in ("待判断", "已恢复"):
        assert f'<span class="soft" style="font-size:12px;font-weight:600;color:#566373">{calm}</span>' in html
    heads = text_of(world.mails()["head:sales", "sales@example.cn"])
    assert "[recovered] Order amount: back to normal; the level is kept for the cool-down" in heads
    assert "[unknown] Complaint rate: can't be judged at present" in heads


def test_level_from_an_indicator_without_a_sentence_still_names_it(world: World) -> None:
    run_id = world.run()
    world.recipient("head", "sales@example.cn", department="sales", name="李强")
    customer_id = world.customer("已流失的客户", watch=("overdue_days",))
    world.warehouse.execute(
        "delete from marts.rpt_indicator_sentences where customer_id = %s and state = 'serious'", customer_id
    )

    compose(world.warehouse, run_id)

    for mail in world.mails().values():
        for seen in (text_of(mail), " ".join(_Html(text_of(mail, "html")).seen)):
            assert "依据" in seen
            assert "级别由此指标得出" in seen
            assert seen.index("未购天数") < seen.index("欠款时间")


def test_head_reads_the_departments_sentences_first(world: World) -> None:
    run_id = world.run()
    world.recipient("head", "finance@example.cn", department="finance", name="孙丽")
    world.customer("上海明珠机电有限公司", because=("order_amount", "overdue_days"), watch=("satisfaction",))

    compose(world.warehouse, run_id)

    text = text_of(world.mails()["head:finance", "finance@example.cn"])
    order = ["欠款时间", "其他部门的指标", "交易金额", "服务满意度"]
    assert [text.index(words) for words in order] == sorted(text.index(words) for words in order)


def test_unknown_counts_are_the_readers_own(world: World) -> None:
    run_id = world.run()
    world.recipient("head", "finance@example.cn", department="finance")
    blind = (("satisfaction", "expired"), ("overdue_days", "no_data"))
    world.customer("有预警", because=("overdue_days",), unknown=(("satisfaction", "short_history"),))
    world.customer("同一负责人", level=None, because=(), unknown=blind)
    world.customer("同一负责人", level=None, because=(), unknown=blind)
    world.customer("别人的", level=None, because=(), owner="li.lei@example.cn", unknown=blind)

    compose(world.warehouse, run_id)

    owners = text_of(world.mails()["owner", "wang.fang@example.cn"])
    assert "- 服务满意度：记录已过期 2 位、历史太短 1 位" in owners
    assert "- 欠款时间：没有数据 2 位" in owners
    finance = text_of(world.mails()["head:finance", "finance@example.cn"])
    assert "- 欠款时间：没有数据 3 位" in finance
    assert "服务满意度：" not in finance


def test_english_reader_reads_english(world: World) -> None:
    run_id = world.run()
    world.recipient("head", "sales@example.cn", department="sales", name="Ana Silva", language="en")
    eased = world.customer("Long Quay Trading", level=2, because=("order_amount",))
    old = world.customer("Old Pier Ltd", level=3)
    compose(world.warehouse, run_id)
    run_id = world.next_day()
    new = world.customer("Harbour & Sons Ltd", level=1, money=1_284_500, unknown=(("overdue_days", "no_base"),))
    world.customer("Long Quay Trading", customer_id=eased, level=3, because=("order_amount",))
    world.customer("Old Pier Ltd", customer_id=old, level=3)
    world.trend(new)
    world.action(new, "sales", "Contact the customer", language="en")

    compose(world.warehouse, run_id)

    mail = world.mails()["head:sales", "sales@example.cn"]
    assert mail["Subject"] == "[Customer warnings] 1 Jul: Level 1 new: 1, eased: 1 — Sales Ana Silva"
    text = text_of(mail)
    assert "as of 1 July 2026" in text
    assert "What to do (before 2 Jul 24:00):\n  → Sales: Contact the customer" in text
    assert "Days without an order: no order for 172 days" in text
    assert "CN¥1,284,500 at risk" in text
    assert "Warned as before: 1 (Level 3: 1)" in text
    assert not any("\u4e00" <= character <= "\u9fff" for character in text.replace("王芳", "").replace("南方五金", ""))


def test_reader_in_taiwan_reads_traditional_chinese(world: World) -> None:
    run_id = world.run()
    world.recipient("head", "sales@example.cn", department="sales", language="zh-TW")
    customer_id = world.customer("上海明珠機電有限公司")
    world.warehouse.execute(
        "insert into marts.rpt_indicator_sentences values"
        " (%s, %s, 'days_since_last_order', 'sales', '{}', 'serious', 'zh-TW', '未購天數', '已 172 天未下單')",
        *(customer_id, run_id),
    )

    compose(world.warehouse, run_id)

    mail = world.mails()["head:sales", "sales@example.cn"]
    assert mail["Subject"] == "【客戶預警】6月30日：新增二級 1 — 業務部"
    assert "未購天數：已 172 天未下單" in text_of(mail)
    assert "風險金額合計" in text_of(mail)


def test_management_reads_key_figures_and_a_chart(world: World) -> None:
    world.recipient("management", "boss@example.cn", name="王总")
    run_id = world.run()
    world.customer("一级客户", level=1)
    world.customer("二级客户", level=2)
    world.warehouse.execute(
        "insert into bi.company_health values ('2026-05-01', 'all', 1800, null, 79.33, 55.9, 36.47, 2068709),"
        " ('2026-06-01', 'all', 1817, 0.0123, 80, null, 35, 2000000), ('2026-06-01', 'segment', 5, 0, 0, 0, 0, 0)"
    )
    world.warehouse.execute(
        "insert into bi.warning_kpis values ('2026-05-01', 'all', 400, 0.5, 0.1, null, 30, 20, 9),"
        " ('2026-06-01', 'all', 420, 0.25, 0, null, 0, 0, 0)"
    )

    compose(world.warehouse, run_id)

    mail = world.mails()["management", "boss@example.cn"]
    for told in (text_of(mail), " ".join(_Html(text_of(mail, "html")).seen)):
        assert "一级预警客户共 1 位" in told
        assert "二级客户" not in told
        assert "2026-05" in told
    assert "活跃客户：1,800、1,817" in text_of(mail)
    assert "当月流失率：–、1.2%" in text_of(mail)
    assert "逾期 90 天以上欠款：¥2,068,709、¥2,000,000" in text_of(mail)
    assert "及时处理率" not in text_of(mail), "nobody delivers what was done"
    assert 'alt="流失客户：30 – 其中事先预警：20 – "' in text_of(mail, "html")
    assert [part["Content-ID"] for part in mail.walk() if part.get_content_maintype() == "image"] == ["<kpis>"]
    owners = text_of(world.mails()["owner", "wang.fang@example.cn"])
    assert "活跃客户" not in owners


# Products


PRODUCT_MAIL = ("head:product", "product@example.cn")


def test_newly_conspicuous_product_is_news_for_the_head_of_product_alone(world: World) -> None:
    run_id = world.run()
    world.recipient("head", "product@example.cn", department="product", name="赵敏")
    world.recipient("head", "sales@example.cn", department="sales")
    world.product("断路器 32A", category="电气元件")
    world.product("接触器 32A", is_conspicuous=False)
    world.product("新品", is_conspicuous=None)

    assert compose(world.warehouse, run_id) == 1

    mail = world.mails()[PRODUCT_MAIL]
    assert mail["Subject"] == "【客户预警】6月30日：问题产品 1 — 产品部 赵敏"
    text = text_of(mail)
    assert "* 断路器 32A [新增]\n  产品 断路器 32A · 电气元件\n" in text
    usual = "此前 365 天每百行 2.0 次，是平时的 2.7 倍"
    assert f"近 90 天投诉 23 次、退货 4 次，订单明细 500 行：每百行 5.4 次，{usual}" in text
    assert "接触器" not in text
    assert "新品" not in text
    assert "断路器 32A" in text_of(mail, "html")


def test_product_is_told_again_only_with_other_news(world: World) -> None:
    world.recipient("head", "product@example.cn", department="product")
    first = world.run()
    world.product("断路器 32A")
    assert compose(world.warehouse, first) == 1
    still = world.next_day()
    world.product("断路器 32A")
    assert compose(world.warehouse, still) == 0
    other_news = world.next_day()
    world.product("断路器 32A")
    world.customer("上海明珠机电有限公司", because=("complaint_rate",), owner=None)

    assert compose(world.warehouse, other_news) == 1

    [told] = world.warehouse.rows("select mime, subject from ops.outbox where run_id = %s", other_news)
    assert "问题产品" not in told["subject"]
    assert "断路器 32A [持续]" in text_of(message_from_bytes(told["mime"], policy=policy.SMTP))


def test_product_is_news_to_a_reader_whose_last_mail_did_not_tell_of_it(world: World) -> None:
    world.recipient("head", "product@example.cn", department="product")
    first = world.run()
    world.product("断路器 32A")
    world.product("密封件", kind="category")
    compose(world.warehouse, first)
    calm = world.next_day()
    world.product("密封件", kind="category")
    assert compose(world.warehouse, calm) == 0, "that one has recovered is no news"
    back = world.next_day()
    world.product("断路器 32A")
    world.product("密封件", kind="category")
    assert compose(world.warehouse, back) == 0, "the last mail did tell of it"
    world.recipient("head", "other@example.cn", department="product")
    another = world.next_day()
    world.product("断路器 32A")
    world.product("骨架油封")

    assert compose(world.warehouse, another) == 2

    rows = world.warehouse.rows("select recipient, subject from ops.outbox where run_id = %s", another)
    told = {row["recipient"]: row["subject"] for row in rows}
    assert "问题产品 1 " in told["product@example.cn"]
    assert "问题产品 2 " in told["other@example.cn"]


def test_products_are_told_in_the_readers_language(world: World) -> None:
    run_id = world.run()
    for language in ("zh-TW", "en"):
        world.recipient("head", f"{language.lower()}@example.cn", department="product", language=language)
    world.product("Seal", kind="category", category="Seal", returns=None, baseline_rate="0")

    compose(world.warehouse, run_id)

    mails = world.mails()
    taiwan, english = (text_of(mails["head:product", f"{language}@example.cn"]) for language in ("zh-tw", "en"))
    assert "* Seal [新增]\n  品類\n" in taiwan
    assert "近 90 天客訴 23 次，訂單明細 500 筆：每百筆 4.6 次，此前 365 天沒有客訴和退貨" in taiwan
    assert "* Seal [new]\n  category\n" in english
    assert "complaints 23 in 90 days, on 500 order lines: 4.6 in a hundred, and none in the 365 days before" in english


def test_products_with_hostile_names_and_without_end_stay_a_short_list(world: World) -> None:
    run_id = world.run()
    world.recipient("head", "product@example.cn", department="product")
    world.product(HOSTILE, category=HOSTILE, complaints=400)
    for number in range(12):
        world.product(f"产品{number:02}")

    compose(world.warehouse, run_id)

    mail = world.mails()[PRODUCT_MAIL]
    html = text_of(mail, "html")
    assert "script" not in _Html(html).tags
    assert "\u202e" not in html + text_of(mail)
    assert text_of(mail).count("[新增]") == 8
    assert "另有 5 项" in text_of(mail)


# Nothing that a source says can change a mail's form


def test_hostile_names_stay_text(world: World) -> None:
    run_id = world.run()
    world.recipient("head", "sales@example.cn", department="sales", name="李强\r\nBcc: x@example.com\u202e")
    world.customer(HOSTILE, owner_name='"王芳" <x@example.com>\r\nBcc: y@example.com')
    world.customer("很长" * 400)

    assert compose(world.warehouse, run_id) == 2

    for mail in world.mails().values():
        assert mail["Bcc"] is None
        assert len(mail["To"].addresses) == 1
        html = text_of(mail, "html")
        parsed = _Html(html)
        assert not {"script", "img", "a", "link", "iframe", "form"} & parsed.tags
        [book] = mail.iter_attachments()
        [first, *_] = fastexcel.read_excel(book.get_content()).load_sheet(0).to_arrow().to_pylist()
        assert "\u202e" not in str(first)
        assert "{{ 7 * 7 }}" in html
        assert "\u202e" not in mail.as_string() + html + text_of(mail)
        line = next(line for line in text_of(mail).splitlines() if "恶意公司" in line)
        assert "Bcc: all@example.com evil" in line
        assert len(html.encode()) < LARGEST_HTML


def test_plain_and_usable_address() -> None:
    assert plain("a\r\nb\u2066c\x00d\u2028e") == "a b c d e"
    assert plain(None) == ""
    assert plain("👩\u200d🔧") == "👩\u200d🔧"
    assert len(plain("长" * 500)) == 120
    assert usable_address(" Wang.Fang@Example.CN ") == "wang.fang@example.cn"
    assert usable_address("a..b@example.cn") is None


# Pure rendering


READER = Reader("owner", "", "wang.fang@example.cn", "王芳", "zh-CN", ZoneInfo("Asia/Shanghai"), is_due=True, chat="")


def digest(**changes: Any) -> Digest:
    """A small digest to be changed."""
    warned = Warned(
        customer_id="C1",
        name="上海明珠机电有限公司",
        owner_name="",
        level=1,
        change="new",
        told_level=None,
        level_since=DAY,
        money_at_risk=Decimal("1284500.50"),
        case_id="C1-20260630",
        deadline_at=CUT_OFF + timedelta(hours=24),
        reminder=0,
        reasons=(Sentence("order_amount", "serious", "交易金额", "近 3 个月每月最多 ¥12,400", "worsening"),),
        also=(),
        more_sentences=0,
        actions=(Action("sales", "联系客户"),),
        amounts=(None, Decimal(48000), Decimal(900)),
        least_amount=Decimal(20000),
    )
    base = Digest(
        company="南方五金",
        currency="CNY",
        reader=READER,
        run=Run(7, DAY, CUT_OFF, "Asia/Shanghai", "p", PUBLISHED, is_update=False),
        deadline_hours=HOURS,
        counts={(1, "new"): 1},
        money_at_risk=Decimal("1284500.50"),
        news=(warned,),
        open_warnings=(),
        gone=(),
    )
    return replace(base, **changes)


def test_html_needs_nothing_from_outside_and_suits_phone_and_dark() -> None:
    rendered = render(digest())
    html = rendered.html
    assert not {"a", "link", "script", "iframe"} & _Html(html).tags
    assert not {"href", "background"} & _Html(html).attributes
    assert re.findall(r'src="cid:([^"]*)"', html) == [*rendered.images]
    assert html.count("src=") == len(rendered.images) == 1
    assert "url(" not in html
    assert "http" not in html
    for needed in ('name="viewport"', 'content="light dark"', "prefers-color-scheme:dark", "max-width:640px"):
        assert needed in html


def test_one_link_leads_to_the_desk_where_there_is_one() -> None:
    [warned] = digest().news
    warned = replace(warned, case_id="C 1&x")
    rendered = render(digest(news=(warned,), desk_url="https://desk.example.com/record?from=mail"))
    link = "https://desk.example.com/record?from=mail&case=C%201%26x"
    assert f'href="{link.replace("&", "&amp;")}"' in rendered.html
    assert link in rendered.text


def test_html_stays_below_the_clip_by_showing_fewer() -> None:
    [warned] = digest().news
    endless = Sentence("order_amount", "serious", "指标" * 60, "<&>" * 100)
    many = tuple(
        replace(warned, customer_id=f"C{number}", name="<长>" * 40, reasons=(endless,) * 6) for number in range(15)
    )
    rendered = render(digest(news=many, counts={(1, "new"): 15}))
    assert len(rendered.html.encode()) <= LARGEST_HTML
    shown = rendered.text.count("[新增]")
    assert 0 < shown < 15
    assert f"另有 {15 - shown} 位客户的变化" in rendered.text


def test_the_nameless_are_greeted() -> None:
    rendered = render(digest(reader=replace(READER, name="")))
    assert rendered.subject == "【客户预警】6月30日：新增一级 1 — wang.fang@example.cn"
    assert "您好！" in rendered.text


def test_long_list_of_unknowns_is_cut_short() -> None:
    unknown = tuple(Unknown(f"指标{number}", (("no_data", 1200),)) for number in range(9))
    text = render(digest(unknown=unknown)).text
    assert "- 指标0：没有数据 1,200 位" in text
    assert "指标6" not in text
    assert "另有 3 项指标" in text


def contrast(one: str, other: str) -> float:
    """WCAG contrast of two colours such as #b42318."""

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def pairs() -> Iterator[tuple[str, str]]:
    """Ink on ground as the template puts them, light then dark."""
    yield from (("#ffffff", ink) for ink in ("#b42318", "#a84300", "#175cd3"))
    yield from (("#b42318", "#fef3f2"), ("#a84300", "#fff6ed"), ("#175cd3", "#eff8ff"), ("#46525f", "#edf0f4"))
    yield from (("#7a5200", "#ffffff"), ("#566373", "#ffffff"), ("#566373", "#eef1f5"), ("#1d2733", "#ffffff"))
    yield from (("#1d2733", "#f3f6fa"), ("#b42318", "#f3f6fa"), ("#a84300", "#f3f6fa"), ("#175cd3", "#f3f6fa"))
    yield from ((ink, "#1f2630") for ink in ("#e6edf3", "#ff8f85", "#ffa861", "#84b9ff"))
    yield from (("#b42318", "#eef1f5"), ("#a84300", "#eef1f5"), ("#175cd3", "#eef1f5"))
    yield from (("#ff8f85", "#3b1513"), ("#ffa861", "#38200c"), ("#84b9ff", "#122644"), ("#d5dce4", "#2b323b"))
    yield from ((ink, "#161b22") for ink in ("#e6edf3", "#9ea7b3", "#ff8f85", "#e5b567", "#ffa861", "#84b9ff"))


@pytest.mark.parametrize(("ink", "ground"), list(pairs()))
def test_colours_are_readable(ink: str, ground: str) -> None:
    template = files("early_warning.digest").joinpath("templates/digest.html.j2").read_text(encoding="utf-8")
    assert ink in template, "the list of pairs has fallen behind the template"
    assert ground in template, "the list of pairs has fallen behind the template"
    assert contrast(ink, ground) >= 4.5
