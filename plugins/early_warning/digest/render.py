"""A digest in words: subject, complete text and HTML. Pure: the same digest gives the same bytes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from itertools import product
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from babel.numbers import format_currency, format_decimal, format_percent
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from early_warning.digest import sparkline
from early_warning.digest.kpis import MonthOfKpis
from early_warning.digest.products import Product
from early_warning.digest.readers import ANALYSIS, MANAGEMENT, OWNER
from early_warning.digest.select import Action, Digest, Sentence, Unknown, Warned
from early_warning.digest.text import plain
from early_warning.digest.words import Words, words_for
from early_warning.digest.workbook import workbook

# Gmail cuts a mail off above about 102 KB of HTML, and what is cut off is not seen.
LARGEST_HTML = 100_000
MOST_WARNINGS = 15
KPI_PICTURE = "kpis"
_MOST_UNKNOWN = 6
_MOST_PRODUCTS = 8
_MOST_GONE = 10  # names of each kind
_MOST_ACTIONS = 4
_MOST_IN_CHAT = 8
_LEVELS = (1, 2, 3)
_NEWS = ("new", "reopened", "escalated", "eased")
_CHANGES = (*_NEWS, "unchanged")
_GONE = ("resolved", "lost", "eased", "muted", "moved", "unconcerned")


@dataclass(frozen=True)
class Rendered:
    """A mail's subject, its plain text and its HTML; the text says all that the HTML says.

    `images`: the pictures that the HTML shows, PNG by content id. `attachments`: files by name.
    """

    subject: str
    text: str
    html: str
    images: Mapping[str, bytes] = field(default_factory=dict)
    attachments: Mapping[str, bytes] = field(default_factory=dict)


def render(digest: Digest) -> Rendered:
    """Word a digest in its reader's language; the last warnings give way to a count until the HTML is small enough."""
    shown = digest.news[:MOST_WARNINGS]
    rendered = _render(digest, shown)
    while len(rendered.html.encode()) > LARGEST_HTML and len(shown) > 1:
        shown = shown[:-1]
        rendered = _render(digest, shown)
    return replace(rendered, images=_images(digest, shown), attachments=_attachments(digest))


def render_short(digest: Digest) -> tuple[str, str]:
    """Word a digest for a chat: the mail's subject, and a line a warning; the mail has the rest."""
    words = words_for(digest.reader.language)
    figures = _Figures(words, digest.currency, digest.reader.time_zone, digest.run.as_of_at, digest.desk_url)
    lines = [
        " · ".join(
            filter(
                None,
                [
                    f"{words.levels[one.level]} {one.name} [{figures.change(one)}]",
                    words.comma.join(reason.name for reason in one.reasons),
                    words.gettext("{money} at risk").format(money=figures.money(one.money_at_risk)),
                    figures.deadline(one),
                ],
            )
        )
        for one in digest.news[:_MOST_IN_CHAT]
    ]
    more = len(digest.news) - _MOST_IN_CHAT
    rest = [words.ngettext("{count} more", "{count} more", more).format(count=more)] if more > 0 else []
    gone = [f"{words.gone[change]}{words.colon}{names}" for change in _GONE if (names := _gone(digest, change, words))]
    return _subject(digest, words, figures), "\n".join([*_remarks(digest, words), *lines, *rest, *gone])


def _render(digest: Digest, shown: Sequence[Warned]) -> Rendered:
    words = words_for(digest.reader.language)
    figures = _Figures(words, digest.currency, digest.reader.time_zone, digest.run.as_of_at, digest.desk_url)
    _, subject = words.gettext, _subject(digest, words, figures)
    context: dict[str, Any] = {
        "digest": digest,
        "department": words.departments.get(digest.reader.department, digest.reader.department),
        "words": words,
        "figures": figures,
        "subject": subject,
        "as_of": _as_of(digest, words),
        "greeting": _greeting(digest, words),
        "summary": _summary(digest, words, figures),
        "remarks": _remarks(digest, words),
        "levels": [(level, _count(digest, [level], _CHANGES)) for level in _levels(digest)],
        "changes": [] if digest.is_urgent else _changes(digest, words),
        "since": _("Since your last mail") if digest.run.told_before_at else _("In this first mail"),
        "asides": _asides(digest, words, figures),
        "groups": [(level, warned) for level in _LEVELS if (warned := [one for one in shown if one.level == level])],
        "also": _also(digest, words),
        "kpis": _kpis(digest, words, figures),
        "kpi_picture": KPI_PICTURE,
        "kpi_months": [_month(one.month) for one in digest.kpis[-2:]],
        "chart": _chart(digest, words) if len(digest.kpis) > 1 else None,
        "preheader": words.comma.join([*(one.name for one in shown), *(one.name for one in digest.products)][:3]),
        "products": digest.products[:_MOST_PRODUCTS],
        "more_products": len(digest.products) - _MOST_PRODUCTS,
        "gone": [(change, names) for change in _GONE if (names := _gone(digest, change, words))],
        "rest": _rest(digest, shown, words, figures),
        "unknown": [_unknown(entry, words, figures) for entry in digest.unknown[:_MOST_UNKNOWN]],
        "more_unknown": len(digest.unknown) - _MOST_UNKNOWN,
        "footer": _footer(digest, words),
    }
    templates = environment(words.language)
    return Rendered(
        subject=subject,
        text=templates.get_template("digest.txt.j2").render(context),
        html=templates.get_template("digest.html.j2").render(context),
    )


def _images(digest: Digest, shown: Sequence[Warned]) -> dict[str, bytes]:
    images = {picture_of(one): sparkline.png(one.amounts, one.least_amount) for one in shown if one.amounts}
    if len(digest.kpis) > 1:
        series = [(name, values) for name, _, values in _chart(digest, words_for(digest.reader.language))]
        images[KPI_PICTURE] = sparkline.kpi_png([_month(one.month) for one in digest.kpis], series)
    return images


def _month(month: date) -> str:
    return f"{month:%Y-%m}"


def _chart(digest: Digest, words: Words) -> list[tuple[str, str, list[Decimal | None]]]:
    """Name, colour and values of what the chart of months shows: the lost and who of them was warned of, once known."""
    _ = words.gettext
    counted = [(_("Customers newly warned"), [one.warned for one in digest.kpis])]
    if any(one.lost for one in digest.kpis):
        counted = [
            (_("Lost"), [one.lost for one in digest.kpis]),
            (_("of them warned of before"), [one.caught for one in digest.kpis]),
        ]
    return [
        (name, colour, [None if count is None else Decimal(count) for count in counts])
        for (name, counts), colour in zip(counted, sparkline.SERIES_COLOURS, strict=False)
    ]


def _kpis(digest: Digest, words: Words, figures: _Figures) -> list[tuple[str, list[str]]]:
    """Name and figures, in the newest months, of what the management is to know; what nobody knows yet is left out."""
    _ = words.gettext
    rows: list[tuple[str, Callable[[MonthOfKpis], Decimal | int | None], Callable[[Any], str]]] = [
        (_("Active customers"), lambda one: one.active, figures.number),
        (_("Churn rate of the month"), lambda one: one.churn_ratio, figures.percent),
        (_("Customers newly warned"), lambda one: one.warned, figures.number),
        (_("… handled in time"), lambda one: one.timely_handling_ratio, figures.percent),
        (_("… won back"), lambda one: one.win_back_ratio, figures.percent),
        (_("… right, or saved"), lambda one: one.adjusted_accuracy_ratio, figures.percent),
        (_("Satisfaction (CSAT, of 100)"), lambda one: one.csat_mean, figures.tenth),
        (_("Recommendation (NPS)"), lambda one: one.nps, figures.tenth),
        (_("Days sales outstanding"), lambda one: one.dso_days, figures.tenth),
        (_("Overdue by more than 90 days"), lambda one: one.overdue_over_90_amount, figures.money),
    ]
    newest = digest.kpis[-2:]
    return [
        (name, ["–" if (value := read(one)) is None else written(value) for one in newest])
        for name, read, written in rows
        if any(read(one) is not None for one in newest)
    ]


def picture_of(warned: Warned) -> str:
    """Content id of the picture of a customer's months."""
    return f"{hashlib.sha256(warned.customer_id.encode()).hexdigest()[:16]}.months"


def _attachments(digest: Digest) -> dict[str, bytes]:
    """All of the reader's warnings, as a file that people sort and filter: what is new first."""
    if digest.is_urgent or not (digest.news or digest.open_warnings):
        return {}
    words = words_for(digest.reader.language)
    figures = _Figures(words, digest.currency, digest.reader.time_zone, digest.run.as_of_at, digest.desk_url)
    _ = words.gettext
    heads = [
        *(_("Level"), _("Change"), _("Customer no."), _("Customer"), _("Owner"), _("Since")),
        *(_("Money at risk ({currency})").format(currency=digest.currency), _("Act before"), _("Why"), _("Next step")),
    ]
    rows = (
        (
            one.level,
            figures.change(one),
            one.customer_id,
            one.name,
            one.owner_name or digest.reader.name,
            one.level_since,
            one.money_at_risk,
            one.deadline_at.astimezone(digest.reader.time_zone) if one.deadline_at else None,
            words.semicolon.join(f"{reason.name}{words.colon}{reason.text}" for reason in one.reasons),
            words.semicolon.join(figures.action(action) for action in one.actions),
        )
        for one in (*digest.news, *digest.open_warnings)
    )
    name = f"customer-warnings-{digest.run.as_of_date.isoformat()}.xlsx"
    written_at = digest.run.published_at.astimezone(digest.reader.time_zone)
    return {name: workbook(words.gettext("Customer warnings"), heads, rows, written_at=written_at)}


@dataclass(frozen=True)
class _Figures:
    """Figures as the reader's language writes them."""

    words: Words
    currency: str
    time_zone: ZoneInfo
    as_of_at: datetime
    desk_url: str | None

    def money(self, amount: Decimal) -> str:
        """Whole units: cents only make a list harder to read."""
        whole = format_currency(
            amount, self.currency, format="¤#,##0;-¤#,##0", locale=self.words.locale, currency_digits=False
        )
        return str(whole)

    def number(self, count: int) -> str:
        return str(format_decimal(count, locale=self.words.locale))

    def tenth(self, value: Decimal) -> str:
        """With one decimal."""
        return str(format_decimal(value, "#,##0.0", locale=self.words.locale))

    def percent(self, ratio: Decimal) -> str:
        """A share of one as percent, with one decimal."""
        return str(format_percent(ratio, "#,##0.0%", locale=self.words.locale))

    def customers(self, count: int) -> str:
        return self.words.pgettext("customers", "{count}").format(count=self.number(count))

    def counted(self, what: str, count: int) -> str:
        return self.words.gettext("{what}: {count}").format(what=what, count=self.number(count))

    def by_level(self, sentence: str, counts: Mapping[int, int]) -> list[str]:
        """Say a sentence of how many customers and how many a level; nothing if there are none."""
        levels = [self.counted(self.words.levels[level], count) for level, count in sorted(counts.items()) if count]
        count = self.number(sum(counts.values()))
        return [sentence.format(count=count, levels=self.words.comma.join(levels))] if levels else []

    def day(self, day: date) -> str:
        return self.words.short_date(day)

    def act_within(self, hours: int) -> str:
        """By when to react; whole days from four on."""
        days, rest = divmod(hours, 24)
        if days > 3 and not rest:
            time = self.words.ngettext("{count} day", "{count} days", days).format(count=self.number(days))
        else:
            time = self.words.gettext("{count} h").format(count=self.number(hours))
        return self.words.gettext("act within {time}").format(time=time)

    def change(self, warned: Warned) -> str:
        """Say what is new about a warning: whether nobody acts, where it came from, or that it only goes on."""
        if warned.reminder:
            late, soon = self.words.pgettext("change", "overdue"), self.words.pgettext("change", "act now")
            return late if warned.reminder > 1 else soon
        change = self.words.changes[warned.change]
        if warned.change in ("escalated", "eased") and warned.told_level:
            return f"{change} {self.words.levels[warned.told_level]} → {self.words.levels[warned.level]}"
        return change

    def deadline(self, warned: Warned) -> str:
        """Say until when to act, in the reader's time zone, and whether that is over."""
        if warned.deadline_at is None:
            return ""
        local = warned.deadline_at.astimezone(self.time_zone)
        when = f"{self.words.short_date(local.date())} {self.words.time_of_day(local.time())}"
        if local.time() == time():  # "before 2 July 00:00" is read as "on 2 July"
            when = f"{self.words.short_date(local.date() - timedelta(days=1))} 24:00"
        if warned.deadline_at <= self.as_of_at:
            return self.words.gettext("was due by {time}: act now").format(time=when)
        return self.words.gettext("before {time}").format(time=when)

    def action(self, action: Action) -> str:
        """Name the department and what it is to do."""
        department = self.words.departments.get(action.department, action.department)
        return f"{department}{self.words.colon}{action.text}"

    def actions(self, warned: Warned) -> list[str]:
        """List what is to be done."""
        return [self.action(action) for action in warned.actions[:_MOST_ACTIONS]]

    def trend(self, sentence: Sentence) -> str:
        """Say whether an indicator has been getting worse or better."""
        return self.words.trends.get(sentence.trend or "", "")

    def months(self, warned: Warned) -> str:
        """Draw the months in a line of text."""
        return sparkline.text(warned.amounts)

    def months_title(self, warned: Warned) -> str:
        """Say what the drawing shows."""
        count = len(warned.amounts)
        title = self.words.ngettext("ordered in the last month", "ordered in the last {count} months", count)
        title = title.format(count=count)
        if not warned.least_amount:
            return title
        limit = self.words.gettext("line: {money}, below it counts as collapsed")
        return f"{title}{self.words.semicolon}{limit.format(money=self.money(warned.least_amount))}"

    def picture(self, warned: Warned) -> str:
        """Where the HTML finds the drawing."""
        return f"cid:{picture_of(warned)}"

    def desk(self, warned: Warned) -> str | None:
        """Where to record what was done about a warning."""
        if not self.desk_url or not warned.case_id:
            return None
        joint = "&" if "?" in self.desk_url else "?"
        return f"{self.desk_url}{joint}case={quote(warned.case_id, safe='')}"

    def facts(self, warned: Warned) -> list[str]:
        """List what stands under a customer's name: its id, since when, how much money, whose customer."""
        _ = self.words.gettext
        facts = [
            warned.customer_id,
            _("since {date}").format(date=self.day(warned.level_since)),
            _("{money} at risk").format(money=self.money(warned.money_at_risk)),
        ]
        return [*facts, _("owner {name}").format(name=warned.owner_name)] if warned.owner_name else facts

    def of_product(self, product: Product) -> list[str]:
        """List what stands under a product's name: what it is, and of which category."""
        if product.kind == "category":
            return [self.words.pgettext("kind of item", "category")]
        kind = self.words.pgettext("kind of item", "product")
        return [f"{kind} {plain(product.item_id)}", *filter(None, [product.category])]

    def problems(self, product: Product) -> str:
        """Say how often a product was complained about and came back, beside how often that is usual."""
        _ = self.words.gettext
        kinds = ((_("complaints {count}"), product.complaints), (_("returns {count}"), product.returns))
        now = self.words.comma.join(kind.format(count=self.number(count)) for kind, count in kinds if count is not None)
        sentence = _(
            "{problems} in {days} days, on {lines} order lines: {rate} in a hundred, "
            "and none in the {baseline_days} days before"
        )
        if product.ratio:
            sentence = _(
                "{problems} in {days} days, on {lines} order lines: {rate} in a hundred, "
                "against {baseline_rate} in the {baseline_days} days before ({ratio} times as many)"
            )
        return sentence.format(
            days=product.days,
            problems=now,
            lines=self.number(product.lines),
            rate=self.of_hundred(product.rate),
            baseline_days=product.baseline_days,
            baseline_rate=self.of_hundred(product.baseline_rate),
            ratio=format_decimal(product.ratio or 0, "#,##0.0", locale=self.words.locale),
        )

    def of_hundred(self, rate: Decimal) -> str:
        """How many of a hundred, with one decimal."""
        return self.tenth(100 * rate)


def _subject(digest: Digest, words: Words, figures: _Figures) -> str:
    """The news, nothing else: a reader with only the subject knows whether to open the mail now."""
    _ = words.gettext
    fresh = [one for one in digest.news if not one.reminder]
    news = [
        _("{level} new: {count}").format(level=words.levels[level], count=figures.number(count))
        for level in _LEVELS
        if (count := sum(one.level == level and one.change == "new" for one in fresh))
    ]
    counts = Counter(one.change for one in fresh)
    overdue = sum(one.reminder > 1 for one in digest.news)
    soon = sum(one.reminder == 1 for one in digest.news)
    news += [
        figures.counted(what, count)
        for what, count in (
            *((words.changes[change], counts[change]) for change in _NEWS[1:]),
            (words.pgettext("change", "overdue"), overdue),
            (words.pgettext("change", "act now"), soon),
            *((words.gone[change], sum(one.change == change for one in digest.gone)) for change in _GONE),
            (_("products to look at"), sum(product.is_new for product in digest.products)),
        )
        if count
    ]
    department = words.departments.get(digest.reader.department, digest.reader.department)
    subject = _("[Customer warnings] {date}: {news} — {reader}")
    if digest.is_urgent:
        subject = _("[Customer warnings, urgent] {date}: {news} — {reader}")
    elif digest.run.is_update:
        subject = _("[Customer warnings, update] {date}: {news} — {reader}")
    return subject.format(
        date=figures.day(digest.run.as_of_date),
        news=words.comma.join(news),
        reader=" ".join(part for part in (department, digest.reader.name) if part) or digest.reader.recipient,
    )


def _as_of(digest: Digest, words: Words) -> str:
    """The as-of date, with the time of day for a cut-off within the day."""
    when = words.long_date(digest.run.as_of_date)
    local = digest.run.as_of_at.astimezone(ZoneInfo(digest.run.time_zone))
    if (local.hour, local.minute) != (0, 0):
        when = f"{when} {words.time_of_day(local.time())}"
    return words.gettext("as of {date}").format(date=when)


def _levels(digest: Digest) -> Sequence[int]:
    return (1,) if digest.reader.audience == MANAGEMENT else _LEVELS


def _greeting(digest: Digest, words: Words) -> str:
    if not digest.reader.name:
        return words.gettext("Good day,")
    return words.gettext("Dear {reader},").format(reader=digest.reader.name)


def _remarks(digest: Digest, words: Words) -> list[str]:
    """What has to be known before the rest is read."""
    _ = words.gettext
    remarks = []
    if digest.is_urgent:
        remarks.append(_("These can't wait. All else comes with your next regular mail."))
    if digest.rules_changed:
        remarks.append(_("The warning rules were changed since your last mail; some changes of level come from that."))
    return remarks


def _changes(digest: Digest, words: Words) -> list[tuple[str, int]]:
    """What has happened since the reader's last mail, and how many warnings go on as they were."""
    gone = Counter(one.change for one in digest.gone)
    counted = [
        *((words.changes[change], _count(digest, _LEVELS, [change])) for change in _NEWS),
        *((words.gone[change], gone[change]) for change in _GONE),
        (words.changes["unchanged"], _count(digest, _LEVELS, ["unchanged"])),
    ]
    return [(what, count) for what, count in counted if count]


def _asides(digest: Digest, words: Words, figures: _Figures) -> list[str]:
    """What the counts by level don't tell."""
    _ = words.gettext
    asides = []
    if digest.overdue:
        asides.append(_("Past their deadline without a record: {count}").format(count=figures.number(digest.overdue)))
    if digest.muted:
        asides.append(_("Muted by a person, not counted: {count}").format(count=figures.number(digest.muted)))
    return asides


def _gone(digest: Digest, change: str, words: Words) -> str:
    names = [one.name for one in digest.gone if one.change == change]
    more = len(names) - _MOST_GONE
    rest = [words.ngettext("{count} more", "{count} more", more).format(count=more)] if more > 0 else []
    return words.comma.join([*names[:_MOST_GONE], *rest])


def _also(digest: Digest, words: Words) -> str:
    if not digest.reader.department:
        return words.gettext("Other indicators out of line")
    return words.gettext("Indicators of other departments")


def _footer(digest: Digest, words: Words) -> str:
    footer = words.gettext(
        "Sent automatically by the customer early-warning platform of {company}; please do not reply · run {run_id}"
    )
    return footer.format(company=digest.company, run_id=digest.run.run_id)


def _summary(digest: Digest, words: Words, figures: _Figures) -> str:
    _ = words.gettext
    total = figures.number(sum(digest.counts.values()))
    if digest.reader.department:
        department = words.departments.get(digest.reader.department, digest.reader.department)
        summary = _("Customers with warnings that concern {department}: {total}.")
        return summary.format(total=total, department=department)
    summary = {
        OWNER: _("Your customers that need attention: {total}."),
        MANAGEMENT: _("Customers at level 1: {total}."),
        ANALYSIS: _("Customers with warnings: {total}."),
    }[digest.reader.audience]
    return summary.format(total=total)


def _count(digest: Digest, levels: Iterable[int], changes: Iterable[str]) -> int:
    return sum(digest.counts.get(kind, 0) for kind in product(levels, changes))


def _rest(digest: Digest, shown: Sequence[Warned], words: Words, figures: _Figures) -> list[str]:
    """How many warnings are not shown and why, by level, and that the attachment has them all; nothing if all are."""
    _ = words.gettext
    missing = Counter(one.level for one in digest.news[len(shown) :])
    if digest.is_urgent:
        return figures.by_level(_("Changed but not listed here: {count} ({levels})"), missing)
    persisting = Counter(one.level for one in digest.open_warnings)
    rest = [
        *figures.by_level(_("Changed but not listed here: {count} ({levels})"), missing),
        *figures.by_level(_("Warned as before: {count} ({levels})"), persisting),
        *figures.by_level(
            _("Beyond what you are mailed at once, not listed here: {count} ({levels})"), digest.held_back
        ),
    ]
    listed = _("The attached workbook lists all of your warnings with their reasons.")
    return [*rest, listed] if missing or persisting else rest


def _unknown(entry: Unknown, words: Words, figures: _Figures) -> tuple[str, str]:
    reasons = (
        f"{words.unknown_reasons.get(reason, reason)} {figures.customers(count)}" for reason, count in entry.reasons
    )
    return entry.name, words.comma.join(reasons)


@cache
def environment(language: str) -> Environment:
    """Make the templates of a language: they say messages by `_`, `ngettext`, `pgettext` and `npgettext`.

    What these give is escaped as any text is: a message holds no markup.
    """
    words = words_for(language)
    templates = Environment(
        loader=PackageLoader("early_warning.digest", "templates"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals |= {
        "_": words.gettext,
        "ngettext": words.ngettext,
        "pgettext": words.pgettext,
        "npgettext": words.npgettext,
    }
    return templates
