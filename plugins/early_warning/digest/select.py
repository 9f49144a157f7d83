"""Who is told what: reads a published run from the marts and lays out one `Digest` per reader. Knows no words."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from email.errors import MessageError
from email.headerregistry import Address
from typing import Any

from psycopg.rows import dict_row

from early_warning.digest.products import AUDIENCE, Product, ProductNews, read_products
from early_warning.digest.text import plain
from early_warning.digest.words import words_for
from early_warning.settings import is_email
from early_warning.warehouse import Connection

MOST_WARNINGS = 15
MOST_SENTENCES = 6
_LONGEST_SENTENCE = 300
_LONGEST_ADDRESS, _LONGEST_LOCAL_PART = 254, 64  # RFC 5321
_NEWS = ("new", "escalated", "reopened")


@dataclass(frozen=True)
class Run:
    """The published run that a digest tells of. `is_update`: an earlier cut-off of the same day has been told."""

    run_id: int
    as_of_date: date
    as_of_at: datetime
    time_zone: str
    policy_hash: str
    published_at: datetime
    is_update: bool


@dataclass(frozen=True)
class Sentence:
    """One indicator of one customer in words with its figures.

    `state` is serious or watch; clear or unknown where the level is kept all the same; silent, with an empty `text`,
    where the level came from the indicator and the marts have no sentence for it.
    """

    indicator_code: str
    state: str
    name: str
    text: str


@dataclass(frozen=True)
class Warned:
    """A customer with a level as one reader sees it: what concerns the reader, then what else is out of line.

    `owner_name` is empty where the reader is the owner; `more_sentences` counts what was left out of `also`.
    """

    customer_id: str
    name: str
    owner_name: str
    level: int
    change: str
    level_since: date
    money_at_risk: Decimal
    reasons: tuple[Sentence, ...]
    also: tuple[Sentence, ...]
    more_sentences: int


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
    """All that one mail says. `counts` covers every warning by level and change, `warned` only the news shown.

    `department` is None in an owner's mail. `owner_email`: whose warnings are the whole list, if it is one person's.
    `held_back`: by level, how many warnings the budget keeps out of an owner's mail; they are in none of the counts.
    `deadline_hours`: within how many hours to react to a level.
    """

    company: str
    currency: str
    language: str
    audience: str
    department: str | None
    recipient: str
    reader: str
    run: Run
    counts: Mapping[tuple[int, str], int]
    money_at_risk: Decimal
    warned: tuple[Warned, ...]
    unknown: tuple[Unknown, ...]
    owner_email: str | None
    deadline_hours: Mapping[int, int]
    products: tuple[Product, ...] = ()
    held_back: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Row:
    customer_id: str
    name: str
    owner_name: str
    owner_email: str
    level: int
    change: str
    level_since: date
    indicator_codes: frozenset[str]
    money_at_risk: Decimal
    is_held_back: bool
    was_told: bool

    @property
    def to_owner(self) -> _Row:
        """The row as the owner sees it, to whom what the budget lets through for the first time is new."""
        return self if self.was_told or self.change in _NEWS else replace(self, change="new")


@dataclass(frozen=True)
class _Indicator:
    code: str
    name: str
    departments: frozenset[str]


@dataclass(frozen=True)
class _Facts:
    company: Mapping[str, str]
    recipients: Sequence[Mapping[str, str]]
    indicators: Mapping[str, _Indicator]
    deadline_hours: Mapping[int, int]
    rows: Sequence[_Row]  # of customers that are not muted
    unknown: Sequence[tuple[str, str, str, int]]  # owner's address, indicator, reason, customers
    products: ProductNews


@dataclass(frozen=True)
class _Mailing:
    audience: str
    department: str | None
    recipient: str
    reader: str
    language: str
    rows: Sequence[_Row]
    unknown: Sequence[tuple[str, str, int]]
    owner_email: str | None
    products: tuple[Product, ...] = ()
    held_back: Mapping[int, int] = field(default_factory=dict)

    @property
    def shown(self) -> Sequence[_Row]:
        return [row for row in self.rows if row.change != "unchanged"][:MOST_WARNINGS]

    @property
    def has_news(self) -> bool:
        return bool(self.shown) or any(product.is_new for product in self.products)


@dataclass(frozen=True)
class _Wording:
    """What the marts worded: sentences by language and customer, names by language and indicator."""

    sentences: Mapping[tuple[str, str], Sequence[Sentence]]
    names: Mapping[tuple[str, str], str]


def select_digests(connection: Connection, run: Run) -> Iterator[Digest]:
    """Digests of a published run, one a reader who has any news since the run before, in a stable order."""
    facts = _read_facts(connection, run)
    mailings = [mailing for mailing in (*_to_owners(facts), *_to_heads(facts)) if mailing.has_news]
    wording = _read_wording(connection, run, mailings)
    for mailing in mailings:
        yield _digest(facts, run, mailing, wording)


def usable_address(address: str | None) -> str | None:
    """Give the address in lower case if it is one plain address that a header and a server can take, else None."""
    candidate = (address or "").strip().lower()
    if not is_email(candidate) or len(candidate) > _LONGEST_ADDRESS:
        return None
    if candidate.index("@") > _LONGEST_LOCAL_PART:
        return None
    try:
        return Address(addr_spec=candidate).addr_spec
    except (MessageError, ValueError, IndexError):
        return None


def _read_facts(connection: Connection, run: Run) -> _Facts:
    with connection.cursor(row_factory=dict_row) as cursor:
        company = cursor.execute("select name, currency, language from ops.company").fetchone()
        if company is None:
            raise ValueError("the home belongs to no company yet: ops.company is empty")
        recipients = cursor.execute(
            "select role, department, name, email, language from ops.recipient order by role, department, email, name"
        ).fetchall()
        indicators = cursor.execute(
            "select indicator_code, name, department, also_departments from policy.indicators where policy_hash = %s",
            (run.policy_hash,),
        ).fetchall()
        rows = cursor.execute(
            "select levels.customer_id, levels.customer_name, levels.owner_name, levels.owner_email,"
            " levels.warning_level, levels.level_since, levels.indicator_codes, levels.money_at_risk_amount,"
            " case when cases.event = 'reopened' and levels.change in ('new', 'unchanged') then 'reopened'"
            "  else levels.change end as change,"
            " cases.is_held_back, cases.is_muted, before.is_muted as was_muted,"
            " coalesce(before.is_told, not (before.is_muted or before.is_held_back), true) as was_told"
            " from marts.fct_customer_levels as levels"
            " join ops.run on levels.run_id = run.run_id"
            " left join marts.fct_warning_cases as cases on levels.customer_id = cases.customer_id"
            "  and levels.run_id = cases.run_id and cases.closed_on is null"
            " left join marts.fct_warning_cases as before on levels.customer_id = before.customer_id"
            "  and run.previous_run_id = before.run_id and before.closed_on is null"
            " where levels.run_id = %s and levels.warning_level is not null",
            (run.run_id,),
        ).fetchall()
        unknown = cursor.execute(
            "select levels.owner_email, vals.indicator_code, vals.unknown_reason, count(*) as customers"
            " from marts.fct_indicator_values as vals"
            " join marts.fct_customer_levels as levels"
            " on levels.customer_id = vals.customer_id and levels.run_id = vals.run_id"
            " where vals.run_id = %s and vals.state = 'unknown'"
            " group by levels.owner_email, vals.indicator_code, vals.unknown_reason",
            (run.run_id,),
        ).fetchall()
        deadlines = cursor.execute(
            "select level, value::integer as hours from generate_series(1, 3) as level"
            " join policy.hysteresis_and_budget on parameter = format('level_%%s_deadline_hours', level)"
            " where policy_hash = %s",
            (run.policy_hash,),
        ).fetchall()
    return _Facts(
        company=company,
        recipients=recipients,
        indicators={
            row["indicator_code"]: _Indicator(
                row["indicator_code"], row["name"], frozenset((row["department"], *(row["also_departments"] or ())))
            )
            for row in indicators
        },
        deadline_hours={row["level"]: row["hours"] for row in deadlines},
        rows=sorted((_row(row) for row in rows if not row["is_muted"]), key=_rank),
        unknown=[
            (row["owner_email"] or "", row["indicator_code"], row["unknown_reason"] or "no_data", row["customers"])
            for row in unknown
        ],
        products=read_products(connection, run.run_id, run.as_of_at),
    )


def _row(row: Mapping[str, Any]) -> _Row:
    return _Row(
        customer_id=row["customer_id"],
        name=plain(row["customer_name"]) or plain(row["customer_id"]),
        owner_name=plain(row["owner_name"]),
        owner_email=row["owner_email"] or "",
        level=row["warning_level"],
        change="new" if row["was_muted"] and row["change"] == "unchanged" else row["change"] or "unchanged",
        level_since=row["level_since"],
        indicator_codes=frozenset(row["indicator_codes"] or ()),
        money_at_risk=row["money_at_risk_amount"] or Decimal(0),
        is_held_back=bool(row["is_held_back"]),
        was_told=row["was_told"],
    )


def _rank(row: _Row) -> tuple[int, bool, Decimal, str]:
    """Gravest first, then what is new, then the most money; the id makes the order the same every time."""
    return row.level, row.change not in _NEWS, -row.money_at_risk, row.customer_id


def _to_owners(facts: _Facts) -> Iterator[_Mailing]:
    """One mailing an owner. Customers whose owner can't be reached go to the fallback owners, else to the operators."""
    known = {usable_address(person["email"]): person for person in facts.recipients}
    by_role: dict[str, list[str | None]] = defaultdict(list)
    for person in facts.recipients:
        by_role[person["role"]].append(usable_address(person["email"]))
    fallback = [address for address in by_role["fallback_owner"] or by_role["operators"] if address]

    def readers(owner_email: str) -> Iterable[str]:
        address = usable_address(owner_email)
        return (address,) if address else fallback

    rows: dict[str, list[_Row]] = defaultdict(list)
    held_back: dict[str, Counter[int]] = defaultdict(Counter)
    unknown: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
    names: dict[str, str] = {}
    for row in sorted((row.to_owner for row in facts.rows), key=_rank):
        for address in readers(row.owner_email):
            if row.is_held_back:
                held_back[address][row.level] += 1
                continue
            rows[address].append(row)
            if usable_address(row.owner_email):
                names.setdefault(address, row.owner_name)
    for owner_email, code, reason, customers in facts.unknown:
        for address in readers(owner_email):
            unknown[address].append((code, reason, customers))
    for address in sorted(rows):
        person = known.get(address, {})
        is_fallback = any(not usable_address(row.owner_email) for row in rows[address])
        yield _Mailing(
            audience="owner",
            department=None,
            recipient=address,
            reader=plain(person.get("name")) or names.get(address, ""),
            language=words_for(person.get("language") or facts.company["language"]).language,
            rows=rows[address],
            unknown=unknown[address],
            owner_email=None if is_fallback else address,
            held_back=held_back[address],
        )


def _to_heads(facts: _Facts) -> Iterator[_Mailing]:
    """One mailing a head and department: customers whose warning rests on an indicator of the department.

    The head of the department product also hears of conspicuous products.
    """
    told = set()
    for person in facts.recipients:
        address, department = usable_address(person["email"]), person["department"]
        if person["role"] != "head" or address is None or (address, department) in told:
            continue
        told.add((address, department))
        codes = _codes_of(facts, department)
        rows = [row for row in facts.rows if row.indicator_codes & codes]
        audience = f"head:{department}"
        products = facts.products.to(address) if audience == AUDIENCE else ()
        if rows or products:
            yield _Mailing(
                audience=audience,
                department=department,
                recipient=address,
                reader=plain(person["name"]),
                language=words_for(person["language"]).language,
                rows=rows,
                unknown=[entry[1:] for entry in facts.unknown if entry[1] in codes],
                owner_email=None,
                products=products,
            )


def _codes_of(facts: _Facts, department: str) -> frozenset[str]:
    return frozenset(code for code, indicator in facts.indicators.items() if department in indicator.departments)


def _read_wording(connection: Connection, run: Run, mailings: Sequence[_Mailing]) -> _Wording:
    """Sentences of the customers that some mail shows, in the languages that are read."""
    shown = sorted({row.customer_id for mailing in mailings for row in mailing.shown})
    languages = sorted({mailing.language for mailing in mailings})
    found = connection.execute(
        "select customer_id, language, indicator_code, state, name, sentence from marts.rpt_indicator_sentences"
        " where run_id = %s and customer_id = any(%s) and language = any(%s)"
        " order by customer_id, array_position(array['serious', 'watch', 'unknown', 'clear'], state), indicator_code",
        (run.run_id, shown, languages),
    )
    sentences: dict[tuple[str, str], list[Sentence]] = defaultdict(list)
    names = {}
    for customer_id, language, code, state, name, text in found:
        names[language, code] = plain(name)
        sentences[language, customer_id].append(Sentence(code, state, plain(name), plain(text, _LONGEST_SENTENCE)))
    return _Wording(sentences, names)


def _digest(facts: _Facts, run: Run, mailing: _Mailing, wording: _Wording) -> Digest:
    return Digest(
        company=plain(facts.company["name"]),
        currency=facts.company["currency"],
        language=mailing.language,
        audience=mailing.audience,
        department=mailing.department,
        recipient=mailing.recipient,
        reader=mailing.reader,
        run=run,
        counts=Counter((row.level, row.change) for row in mailing.rows),
        money_at_risk=sum((row.money_at_risk for row in mailing.rows), Decimal(0)),
        warned=tuple(_warned(facts, row, mailing, wording) for row in mailing.shown),
        unknown=_unknown(facts, mailing, wording),
        owner_email=mailing.owner_email,
        deadline_hours=facts.deadline_hours,
        products=mailing.products,
        held_back=mailing.held_back,
    )


def _warned(facts: _Facts, row: _Row, mailing: _Mailing, wording: _Wording) -> Warned:
    """First what concerns the reader: a head's own indicators; for an owner those that the level rests on.

    If none of them has a sentence they are named alone: no warning is without a reason.
    """
    language = mailing.language
    sentences = wording.sentences.get((language, row.customer_id), ())
    first = _codes_of(facts, mailing.department) if mailing.department else row.indicator_codes
    spoken = tuple(sentence for sentence in sentences if sentence.indicator_code in first)
    silent = (
        Sentence(code, "silent", _name(facts, language, code, wording), "") for code in row.indicator_codes & first
    )
    reasons = (spoken or tuple(sorted(silent, key=lambda one: one.name)))[:MOST_SENTENCES]
    rest = tuple(sentence for sentence in sentences if sentence.indicator_code not in first)
    also = rest[: MOST_SENTENCES - len(reasons)]
    is_own = mailing.department is None and usable_address(row.owner_email) == mailing.recipient
    return Warned(
        customer_id=plain(row.customer_id),
        name=row.name,
        owner_name="" if is_own else row.owner_name,
        level=row.level,
        change=row.change,
        level_since=row.level_since,
        money_at_risk=row.money_at_risk,
        reasons=reasons,
        also=also,
        more_sentences=len(spoken[MOST_SENTENCES:]) + len(rest) - len(also),
    )


def _unknown(facts: _Facts, mailing: _Mailing, wording: _Wording) -> tuple[Unknown, ...]:
    """Count what could not be judged by indicator and reason, most customers first."""
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for code, reason, customers in mailing.unknown:
        reasons[code][reason] += customers
    unknown = [
        Unknown(
            name=_name(facts, mailing.language, code, wording),
            reasons=tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0]))),
        )
        for code, counts in reasons.items()
    ]
    return tuple(sorted(unknown, key=lambda entry: (-entry.customers, entry.name)))


def _name(facts: _Facts, language: str, code: str, wording: _Wording) -> str:
    """Name an indicator: as the marts word it, else as the policy does (in Chinese), else by its code made readable."""
    indicator = facts.indicators.get(code)
    own = plain(indicator.name) if indicator and language != "en" else ""
    return wording.names.get((language, code)) or own or code.replace("_", " ").capitalize()
