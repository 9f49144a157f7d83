"""Who is told what: lays out one `Digest` a reader from a published run's news and its marts. Knows no words."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from importlib.resources import files
from typing import Any

from psycopg.rows import dict_row

from early_warning.digest.kpis import MonthOfKpis, read_kpis
from early_warning.digest.news import find_news
from early_warning.digest.products import AUDIENCE, Product, ProductNews, read_products
from early_warning.digest.readers import MANAGEMENT, OWNER, Reader, Run, read_readers, usable_address
from early_warning.digest.text import plain
from early_warning.warehouse import Connection

MOST_SENTENCES = 6
_LONGEST_SENTENCE = 300
_LONGEST_ACTION = 400
# So many owners' customers are in memory at a time.
_BATCH = 100
_WARNINGS = files(__package__).joinpath("warnings.sql").read_bytes()
_STATES = ("serious", "watch", "unknown", "clear")


@dataclass(frozen=True)
class Sentence:
    """One indicator of one customer in words with its figures, and whether it has been getting worse or better.

    `state` is serious or watch; clear or unknown where the level is kept all the same; silent, with an empty `text`,
    where the level came from the indicator and the marts have no sentence for it.
    """

    indicator_code: str
    state: str
    name: str
    text: str
    trend: str | None = None


@dataclass(frozen=True)
class Action:
    """What the playbook has a department do now."""

    department: str
    text: str


@dataclass(frozen=True)
class Warned:
    """A customer with a level as one reader sees it: what concerns the reader, then what else is out of line.

    `change` and `told_level` compare with what this reader was told last. `owner_name` is empty where the reader is the
    owner; `more_sentences` counts what was left out of `also`. `reminder`: 0 none, 1 half the time to act is over, 2
    all of it, 3 twice as much. `amounts`: ordered in each of the last closed months, oldest first, None before the
    first order; below `least_amount` a month counts as collapsed.
    """

    customer_id: str
    name: str
    owner_name: str
    level: int
    change: str
    told_level: int | None
    level_since: date
    money_at_risk: Decimal
    case_id: str | None
    deadline_at: datetime | None
    reminder: int
    reasons: tuple[Sentence, ...]
    also: tuple[Sentence, ...]
    more_sentences: int
    actions: tuple[Action, ...] = ()
    amounts: tuple[Decimal | None, ...] = ()
    least_amount: Decimal | None = None

    @property
    def is_new(self) -> bool:
        """Whether it stands before what only goes on."""
        return self.change in ("new", "reopened", "escalated") or self.reminder > 0


@dataclass(frozen=True)
class Gone:
    """A customer that the reader is warned of no more: resolved, lost, muted, eased, or now somebody else's."""

    customer_id: str
    name: str
    change: str


@dataclass(frozen=True)
class Unknown:
    """An indicator that could not be judged: how many customers for which reason, most first."""

    name: str
    reasons: tuple[tuple[str, int], ...]

    @property
    def customers(self) -> int:
        """Customers for whom it is unknown."""
        return sum(count for _, count in self.reasons)


@dataclass(frozen=True)
class Digest:
    """All that one mail says.

    `counts` covers every warning of the reader by level and change; `news` is what has changed for this reader, the
    gravest and dearest first; `open_warnings` what has not. `held_back`: by level, how many warnings the budget keeps
    out of an owner's mail; those and the `muted` are in none of the counts. `overdue`: how many of the open ones nobody
    has acted on in time. `deadline_hours`: within how many hours to react to a level. `is_urgent`: sent before the
    reader's digest is due. `rules_changed`: the policy did since the reader's last digest. `kpis`: of the last
    months, oldest first, for the management alone.
    """

    company: str
    currency: str
    reader: Reader
    run: Run
    deadline_hours: Mapping[int, int]
    counts: Mapping[tuple[int, str], int]
    money_at_risk: Decimal
    news: tuple[Warned, ...]
    open_warnings: tuple[Warned, ...]
    gone: tuple[Gone, ...]
    unknown: tuple[Unknown, ...] = ()
    products: tuple[Product, ...] = ()
    held_back: Mapping[int, int] = field(default_factory=dict)
    muted: int = 0
    overdue: int = 0
    rules_changed: bool = False
    desk_url: str | None = None
    kpis: Sequence[MonthOfKpis] = ()

    @property
    def is_urgent(self) -> bool:
        """Whether it tells of what can't wait alone."""
        return not self.reader.is_due


@dataclass(frozen=True)
class _Facts:
    """What a run's digests have in common."""

    run: Run
    company: Mapping[str, Any]
    departments: Mapping[str, frozenset[str]]  # by indicator
    names: Mapping[tuple[str, str], str]  # of indicators, by language and code
    own_names: Mapping[str, str]  # those that the policy gives, by code
    deadline_hours: Mapping[int, int]
    unknown: Mapping[str, Counter[tuple[str, str]]]  # customers by owner's address as delivered, indicator and reason
    unknown_in_all: Counter[tuple[str, str]]
    products: ProductNews
    owners: Mapping[str, frozenset[str]]  # whose customers, as delivered, by reader's address
    kpis: Sequence[MonthOfKpis]

    def codes_of(self, department: str) -> frozenset[str]:
        """Give the indicators that concern a department."""
        return frozenset(code for code, departments in self.departments.items() if department in departments)


@dataclass(frozen=True)
class _Words:
    """What the marts word, by language and customer."""

    sentences: Mapping[tuple[str, str], Sequence[Sentence]]
    actions: Mapping[tuple[str, str], Sequence[Action]]


def select_digests(connection: Connection, run: Run) -> Iterator[Digest]:
    """Digests of a published run, one a reader who has any news since the last, in a stable order.

    Leaves ops.news behind, from which `note_told` keeps what they tell.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        company = cursor.execute("select name, currency, language, desk_url from ops.company").fetchone()
    if company is None:
        raise ValueError("the home belongs to no company yet: ops.company is empty")
    readers = read_readers(connection, run, company["language"])
    find_news(connection, run.run_id, readers)
    by_key = {reader.key: reader for reader in readers.everybody}
    products = read_products(connection, run.run_id, run.as_of_at)
    with_news = [
        by_key[row[0], row[1]]
        for row in connection.execute("select distinct audience, recipient from ops.news where is_news").fetchall()
    ]
    with_news += [
        reader
        for reader in readers.everybody
        if reader.audience == AUDIENCE and reader.is_due and products.is_news_to(reader.recipient)
    ]
    if not with_news:
        return
    reads_kpis = any(reader.audience == MANAGEMENT and reader.is_due for reader in with_news)
    facts = _read_facts(connection, run, company, products, readers.owners, reads_kpis=reads_kpis)
    for batch in _batches([by_key[key] for key in sorted({reader.key for reader in with_news})]):
        yield from _digests(connection, facts, batch)


def _batches(readers: Sequence[Reader]) -> Iterator[Sequence[Reader]]:
    """Readers whose rows fit into memory together: owners by the hundred, who reads of a whole department alone."""
    owners = [reader for reader in readers if reader.audience == OWNER]
    yield from ([reader] for reader in readers if reader.audience != OWNER)
    yield from (owners[start : start + _BATCH] for start in range(0, len(owners), _BATCH))


def _read_facts(
    connection: Connection,
    run: Run,
    company: Mapping[str, Any],
    products: ProductNews,
    owners: Sequence[tuple[str, str]],
    *,
    reads_kpis: bool,
) -> _Facts:
    with connection.cursor(row_factory=dict_row) as cursor:
        indicators = cursor.execute(
            "select indicator_code, name, department, also_departments from policy.indicators where policy_hash = %s",
            (run.policy_hash,),
        ).fetchall()
        deadlines = cursor.execute(
            "select level, value::integer as hours from generate_series(1, 3) as level"
            " join policy.hysteresis_and_budget on parameter = format('level_%%s_deadline_hours', level)"
            " where policy_hash = %s",
            (run.policy_hash,),
        ).fetchall()
    unknown: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for owner_email, code, reason, customers in connection.execute(
        "select coalesce(levels.owner_email, ''), vals.indicator_code, coalesce(vals.unknown_reason, 'no_data'),"
        " count(*) from marts.fct_indicator_values as vals join marts.fct_customer_levels as levels"
        " on levels.customer_id = vals.customer_id and levels.run_id = vals.run_id"
        " where vals.run_id = %s and vals.state = 'unknown' group by 1, 2, 3",
        (run.run_id,),
    ):
        unknown[owner_email][code, reason] = customers
    names = connection.execute("select language, indicator_code, name from words.indicator_names").fetchall()
    served: dict[str, set[str]] = defaultdict(set)
    for delivered, address in owners:
        served[address].add(delivered)
    return _Facts(
        run=run,
        company=company,
        departments={
            row["indicator_code"]: frozenset((row["department"], *(row["also_departments"] or ())))
            for row in indicators
        },
        names={(language, code): plain(name) for language, code, name in names},
        own_names={row["indicator_code"]: plain(row["name"]) for row in indicators},
        deadline_hours={row["level"]: row["hours"] for row in deadlines},
        unknown=unknown,
        unknown_in_all=sum(unknown.values(), Counter()),
        products=products,
        owners={address: frozenset(delivered) for address, delivered in served.items()},
        kpis=read_kpis(connection) if reads_kpis else (),
    )


def _digests(connection: Connection, facts: _Facts, readers: Sequence[Reader]) -> Iterator[Digest]:
    """Lay out the digests of some readers, whose rows are read together."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(
            _WARNINGS,
            {
                "run_id": facts.run.run_id,
                "audiences": [reader.audience for reader in readers],
                "recipients": [reader.recipient for reader in readers],
            },
        ).fetchall()
    rows: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in found:
        rows[row["audience"], row["recipient"]].append(row)
    words = _read_words(connection, facts.run, {reader.language for reader in readers}, found)
    for reader in readers:
        yield _digest(facts, reader, rows[reader.key], words)


def _read_words(connection: Connection, run: Run, languages: set[str], rows: Sequence[Mapping[str, Any]]) -> _Words:
    """What the marts say of the customers that still hold a level, in the languages that are read.

    A department's measure that rests on a key indicator comes first.
    """
    asked = (run.run_id, sorted({row["customer_id"] for row in rows if not row["is_gone"]}), sorted(languages))
    sentences: dict[tuple[str, str], list[Sentence]] = defaultdict(list)
    for customer_id, language, code, state, name, text, trend in connection.execute(
        "select customer_id, language, indicator_code, state, name, sentence, trend from marts.rpt_indicator_sentences"
        " where run_id = %s and customer_id = any(%s) and language = any(%s)",
        asked,
    ):
        sentence = Sentence(code, state, plain(name), plain(text, _LONGEST_SENTENCE), trend)
        sentences[language, customer_id].append(sentence)
    for spoken in sentences.values():
        spoken.sort(key=lambda one: (_STATES.index(one.state), one.indicator_code))
    actions: dict[tuple[str, str], list[Action]] = defaultdict(list)
    for customer_id, language, department, action in connection.execute(
        "select customer_id, language, department, action from marts.rpt_case_actions"
        " where run_id = %s and customer_id = any(%s) and language = any(%s)"
        " order by customer_id, language, department,"
        " not indicator_codes && array(select indicator_code from policy.indicators where policy_hash = %s and is_key),"
        " action",
        (*asked, run.policy_hash),
    ):
        actions[language, customer_id].append(Action(department, plain(action, _LONGEST_ACTION)))
    return _Words(sentences, actions)


def _digest(facts: _Facts, reader: Reader, rows: Sequence[Mapping[str, Any]], words: _Words) -> Digest:
    current = [row for row in rows if not row["is_gone"] and row["change"] != "held_back"]
    warned = [_warned(facts, reader, row, words) for row in current]
    is_news = [row["is_news"] for row in current]
    return Digest(
        company=plain(facts.company["name"]),
        currency=facts.company["currency"],
        reader=reader,
        run=facts.run,
        deadline_hours=facts.deadline_hours,
        counts=Counter((row["warning_level"], row["change"]) for row in current),
        money_at_risk=sum((row["money_at_risk_amount"] or Decimal(0) for row in current), Decimal(0)),
        news=tuple(one for one, is_new in zip(warned, is_news, strict=True) if is_new),
        open_warnings=tuple(one for one, is_new in zip(warned, is_news, strict=True) if not is_new),
        gone=tuple(
            Gone(plain(row["customer_id"]), _name_of(row), row["change"])
            for row in rows
            if row["is_gone"] and row["is_news"]
        ),
        unknown=_unknown(facts, reader),
        products=facts.products.to(reader.recipient) if reader.audience == AUDIENCE and reader.is_due else (),
        held_back=Counter(row["warning_level"] for row in rows if row["change"] == "held_back"),
        muted=sum(row["change"] == "muted" for row in rows),
        overdue=sum(row["is_overdue"] for row in current),
        rules_changed=reader.told_policy_hash not in (None, facts.run.policy_hash),
        desk_url=facts.company["desk_url"],
        kpis=facts.kpis if reader.audience == MANAGEMENT and reader.is_due else (),
    )


def _name_of(row: Mapping[str, Any]) -> str:
    return plain(row["customer_name"]) or plain(row["customer_id"])


def _warned(facts: _Facts, reader: Reader, row: Mapping[str, Any], words: _Words) -> Warned:
    """First what concerns the reader: a head's own indicators; for others those that the level rests on.

    If none of them has a sentence they are named alone: no warning is without a reason.
    """
    language, codes = reader.language, frozenset(row["indicator_codes"] or ())
    sentences = words.sentences.get((language, row["customer_id"]), ())
    first = facts.codes_of(reader.department) if reader.department else codes
    shown = _most_telling(sentences, first)
    spoken = tuple(sentence for sentence in shown if sentence.indicator_code in first)
    silent = (Sentence(code, "silent", _indicator(facts, language, code), "") for code in codes & first)
    reasons = spoken or tuple(sorted(silent, key=lambda one: one.name))[:MOST_SENTENCES]
    also = tuple(sentence for sentence in shown if sentence.indicator_code not in first)
    is_own = reader.audience == OWNER and usable_address(row["owner_email"]) == reader.recipient
    return Warned(
        customer_id=plain(row["customer_id"]),
        name=_name_of(row),
        owner_name="" if is_own else plain(row["owner_name"]),
        level=row["warning_level"],
        change=row["change"],
        told_level=row["told_level"],
        level_since=row["level_since"],
        money_at_risk=row["money_at_risk_amount"] or Decimal(0),
        case_id=row["case_id"],
        deadline_at=row["deadline_at"],
        reminder=row["reminder"] if row["is_news"] and row["change"] == "unchanged" else 0,
        reasons=reasons,
        also=also,
        more_sentences=len(sentences) - len(shown),
        actions=_actions(reader, words.actions.get((language, row["customer_id"]), ())),
        amounts=tuple(row["amounts"] or ()),
        least_amount=row["threshold_amount"],
    )


def _most_telling(sentences: Sequence[Sentence], first: frozenset[str]) -> Sequence[Sentence]:
    """Choose what there is room for: what is serious, and of that the reader's own, of which one at least is heard."""
    ranked = sorted(sentences, key=lambda one: (one.state != "serious", one.indicator_code not in first))
    own = next((one for one in ranked if one.indicator_code in first), None)
    chosen = ranked[:MOST_SENTENCES]
    if own and own not in chosen:
        chosen[-1] = own
    return [one for one in sentences if one in chosen]


def _actions(reader: Reader, actions: Sequence[Action]) -> tuple[Action, ...]:
    """What the reader's department is to do; an owner, who is sales, and who leads all read the others' part too."""
    if reader.department:
        return tuple(action for action in actions if action.department == reader.department)
    return tuple(sorted(actions, key=lambda action: action.department != "sales"))


def _unknown(facts: _Facts, reader: Reader) -> tuple[Unknown, ...]:
    """Count what could not be judged by indicator and reason, most customers first."""
    if reader.audience == MANAGEMENT or (reader.audience == OWNER and not reader.is_due):
        return ()
    codes = facts.codes_of(reader.department) if reader.department else None
    counted = facts.unknown_in_all
    if reader.audience == OWNER:
        counted = sum((facts.unknown[one] for one in facts.owners[reader.recipient] if one in facts.unknown), Counter())
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for (code, reason), customers in counted.items():
        if codes is None or code in codes:
            reasons[code][reason] += customers
    unknown = [
        Unknown(
            name=_indicator(facts, reader.language, code),
            reasons=tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0]))),
        )
        for code, counts in reasons.items()
    ]
    return tuple(sorted(unknown, key=lambda entry: (-entry.customers, entry.name)))


def _indicator(facts: _Facts, language: str, code: str) -> str:
    """Name an indicator: as the warehouse words it, else as the policy does (in Chinese), else by its code."""
    own = facts.own_names.get(code, "") if language != "en" else ""
    return facts.names.get((language, code)) or own or code.replace("_", " ").capitalize()
