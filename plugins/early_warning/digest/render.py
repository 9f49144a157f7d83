"""A digest in words: subject, complete text and HTML. Pure: the same digest gives the same bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import cache
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time
from babel.numbers import format_currency, format_decimal
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from early_warning.digest.products import Product
from early_warning.digest.select import Digest, Unknown, Warned
from early_warning.digest.text import plain
from early_warning.digest.words import Words, words_for

# Gmail cuts a mail off above about 102 KB of HTML, and what is cut off is not seen.
LARGEST_HTML = 100_000
_MOST_UNKNOWN = 6
_MOST_PRODUCTS = 8
_LEVELS = (1, 2, 3)
_NEWS = ("new", "reopened", "escalated", "eased")
_CHANGES = (*_NEWS, "unchanged")


@dataclass(frozen=True)
class Rendered:
    """A mail's subject, its plain text and its HTML; the text says all that the HTML says."""

    subject: str
    text: str
    html: str


def render(digest: Digest) -> Rendered:
    """Word a digest in its reader's language; the last warnings give way to a count until the HTML is small enough."""
    rendered = _render(digest)
    while len(rendered.html.encode()) > LARGEST_HTML and len(digest.warned) > 1:
        digest = replace(digest, warned=digest.warned[:-1])
        rendered = _render(digest)
    return rendered


def _render(digest: Digest) -> Rendered:
    words = words_for(digest.language)
    figures = _Figures(words, digest.currency)
    subject = _subject(digest, words, figures)
    context: dict[str, Any] = {
        "digest": digest,
        "words": words,
        "figures": figures,
        "subject": subject,
        "as_of": _as_of(digest, words),
        "greeting": words.greeting.format(reader=digest.reader) if digest.reader else words.greeting_nameless,
        "summary": _summary(digest, words, figures),
        "levels": [(level, _count(digest, [level], _CHANGES)) for level in _LEVELS],
        "changes": [(change, count) for change in _CHANGES if (count := _count(digest, _LEVELS, [change]))],
        "groups": [
            (level, warned) for level in _LEVELS if (warned := [one for one in digest.warned if one.level == level])
        ],
        "also": words.also_owner if digest.department is None else words.also_head,
        "preheader": words.comma.join(_names(digest)[:3]),
        "products": digest.products[:_MOST_PRODUCTS],
        "more_products": len(digest.products) - _MOST_PRODUCTS,
        "rest": _rest(digest, words, figures),
        "unknown": [_unknown(entry, words, figures) for entry in digest.unknown[:_MOST_UNKNOWN]],
        "more_unknown": len(digest.unknown) - _MOST_UNKNOWN,
        "footer": words.footer.format(company=digest.company, run_id=digest.run.run_id),
    }
    templates = environment()
    return Rendered(
        subject=subject,
        text=templates.get_template("digest.txt.j2").render(context),
        html=templates.get_template("digest.html.j2").render(context),
    )


@dataclass(frozen=True)
class _Figures:
    """Figures as the reader's language writes them."""

    words: Words
    currency: str

    def money(self, amount: Decimal) -> str:
        """Whole units: cents only make a list harder to read."""
        whole = format_currency(
            amount, self.currency, format="¤#,##0;-¤#,##0", locale=self.words.locale, currency_digits=False
        )
        return str(whole)

    def number(self, count: int) -> str:
        return str(format_decimal(count, locale=self.words.locale))

    def customers(self, count: int) -> str:
        return self.words.count.format(count=self.number(count))

    def counted(self, what: str, count: int) -> str:
        return self.words.counted.format(what=what, count=self.number(count))

    def by_level(self, sentence: str, counts: Mapping[int, int]) -> list[str]:
        """Say a sentence of how many customers and how many a level; nothing if there are none."""
        levels = [self.counted(self.words.levels[level], count) for level, count in counts.items() if count]
        count = self.number(sum(counts.values()))
        return [sentence.format(count=count, levels=self.words.comma.join(levels))] if levels else []

    def day(self, day: date) -> str:
        return str(format_date(day, self.words.short_date, locale=self.words.locale))

    def act_within(self, hours: int) -> str:
        """By when to react; whole days from four on."""
        days, rest = divmod(hours, 24)
        unit, count = (self.words.days, days) if days > 3 and not rest else (self.words.hours, hours)
        return self.words.act_within.format(time=unit.format(count=self.number(count)))

    def facts(self, warned: Warned) -> list[str]:
        """List what stands under a customer's name: its id, since when, how much money, whose customer."""
        facts = [
            warned.customer_id,
            self.words.since.format(date=self.day(warned.level_since)),
            self.words.money.format(money=self.money(warned.money_at_risk)),
        ]
        return [*facts, self.words.owner.format(name=warned.owner_name)] if warned.owner_name else facts

    def of_product(self, product: Product) -> list[str]:
        """List what stands under a product's name: what it is, and of which category."""
        if product.kind == "category":
            return [self.words.product_kinds["category"]]
        return [f"{self.words.product_kinds['product']} {plain(product.item_id)}", *filter(None, [product.category])]

    def problems(self, product: Product) -> str:
        """Say how often a product was complained about and came back, beside how often that is usual."""
        words = self.words
        kinds = ((words.complaints, product.complaints), (words.returns, product.returns))
        now = words.comma.join(kind.format(count=self.number(count)) for kind, count in kinds if count is not None)
        sentence = words.product_sentence if product.ratio else words.product_sentence_first
        return sentence.format(
            days=product.days,
            problems=now,
            lines=self.number(product.lines),
            rate=self.of_hundred(product.rate),
            baseline_days=product.baseline_days,
            baseline_rate=self.of_hundred(product.baseline_rate),
            ratio=format_decimal(product.ratio or 0, "#,##0.0", locale=words.locale),
        )

    def of_hundred(self, rate: Decimal) -> str:
        return str(format_decimal(100 * rate, "#,##0.0", locale=self.words.locale))


def _names(digest: Digest) -> list[str]:
    return [*(one.name for one in digest.warned), *(product.name for product in digest.products)]


def _subject(digest: Digest, words: Words, figures: _Figures) -> str:
    """The news, nothing else: a reader with only the subject knows whether to open the mail now."""
    news = [
        words.subject_new.format(level=words.levels[level], count=figures.number(count))
        for level in _LEVELS
        if (count := _count(digest, [level], ["new"]))
    ]
    news += [
        figures.counted(words.changes[change], count)
        for change in _NEWS[1:]
        if (count := _count(digest, _LEVELS, [change]))
    ]
    if new_products := sum(product.is_new for product in digest.products):
        news.append(figures.counted(words.product_news, new_products))
    department = words.departments.get(digest.department or "", digest.department or "")
    subject = words.subject_update if digest.run.is_update else words.subject
    return subject.format(
        date=figures.day(digest.run.as_of_date),
        news=words.comma.join(news),
        reader=" ".join(part for part in (department, digest.reader) if part) or digest.recipient,
    )


def _as_of(digest: Digest, words: Words) -> str:
    """The as-of date, with the time of day for a cut-off within the day."""
    when = str(format_date(digest.run.as_of_date, words.date, locale=words.locale))
    local = digest.run.as_of_at.astimezone(ZoneInfo(digest.run.time_zone))
    if (local.hour, local.minute) != (0, 0):
        when = f"{when} {format_time(local.time(), words.time, locale=words.locale)}"
    return words.as_of.format(date=when)


def _summary(digest: Digest, words: Words, figures: _Figures) -> str:
    summary = words.summary_head if digest.department else words.summary_owner
    department = words.departments.get(digest.department or "", digest.department or "")
    return summary.format(total=figures.number(sum(digest.counts.values())), department=department)


def _count(digest: Digest, levels: Iterable[int], changes: Iterable[str]) -> int:
    return sum(digest.counts.get(kind, 0) for kind in product(levels, changes))


def _rest(digest: Digest, words: Words, figures: _Figures) -> list[str]:
    """How many warnings are not shown and why, by level, and where to see them all; nothing if all are shown."""
    shown = Counter(one.level for one in digest.warned)
    missing = {level: _count(digest, [level], _NEWS) - shown[level] for level in _LEVELS}
    persisting = {level: _count(digest, [level], ["unchanged"]) for level in _LEVELS}
    rest = figures.by_level(words.rest, missing) + figures.by_level(words.persisting, persisting)
    rest += figures.by_level(words.held_back, digest.held_back)
    condition = f"as_of_date = '{digest.run.as_of_date.isoformat()}'"
    if digest.owner_email:
        quoted = digest.owner_email.replace("'", "''")
        condition += f" and lower(trim(owner_email)) = '{quoted}'"
    return [*rest, words.rest_where.format(condition=condition)] if rest else []


def _unknown(entry: Unknown, words: Words, figures: _Figures) -> tuple[str, str]:
    reasons = (
        f"{words.unknown_reasons.get(reason, reason)} {figures.customers(count)}" for reason, count in entry.reasons
    )
    return entry.name, words.comma.join(reasons)


@cache
def environment() -> Environment:
    """The templates."""
    return Environment(
        loader=PackageLoader("early_warning.digest", "templates"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
