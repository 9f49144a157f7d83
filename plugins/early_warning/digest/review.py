"""The quarterly review of the policy as a mail: what is proposed, what to expect, and the files to adopt it by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from babel.numbers import format_decimal

from early_warning.digest.outbox import Letter, mail_key, post, write_letter
from early_warning.digest.readers import usable_address
from early_warning.digest.render import Rendered, environment
from early_warning.digest.words import Words, words_for
from early_warning.settings import Recipient
from early_warning.warehouse import Warehouse

AUDIENCE = "policy_review"
ROLES = ("analysis", "management")


@dataclass(frozen=True)
class ChangedRule:
    """One change proposed: of a condition (`measure`, `operator`), of a level, or a rule left out (`after` is None)."""

    rule_code: str
    measure: str | None
    operator: str | None
    before: str
    after: str | None


@dataclass(frozen=True)
class Review:
    """What a review says. Effects are by figure, as of backtest.effect; `expected` is empty where nothing is expected.

    `ended_on`: a day of the quarter that it closes. `budget`: customers a day. `moved`: warnings added, added_lost,
    dropped, dropped_lost. `verdict`: holds, fails, open or fewer. `files`: attachments by name.
    """

    company: str
    ended_on: date
    days: Sequence[date]
    later_days: int
    horizon_days: int
    tried: int
    budget: float
    changes: Sequence[ChangedRule]
    expected: Mapping[str, Mapping[str, float | None]]
    in_sample: Mapping[str, Mapping[str, float | None]]
    verdict: str | None
    moved: Mapping[str, int]
    is_ordered: bool
    files: Mapping[str, bytes]


def is_reviewed(warehouse: Warehouse, ended_on: date, recipients: Iterable[Recipient]) -> bool:
    """Whether the review of a quarter is in the outbox: it is composed once, for all its readers together."""
    keys = [_key(ended_on, address) for address in _readers(recipients)]
    return bool(warehouse.rows("select from ops.outbox where mail_key = any(%s)", keys))


def post_review(warehouse: Warehouse, review: Review, recipients: Iterable[Recipient], from_address: str) -> int:
    """Put the review into the outbox, a mail for each reader, all or none; returns how many are new."""
    letters = [_letter(review, person, address, from_address) for address, person in _readers(recipients).items()]
    with warehouse.connect() as connection:
        newest = connection.execute("select run_id from ops.publication order by as_of_date desc limit 1").fetchone()
        assert newest is not None
        return sum(post(connection, letter, run_id=newest[0], audience=AUDIENCE) for letter in letters)


def _readers(recipients: Iterable[Recipient]) -> dict[str, Recipient]:
    """Who reads reviews, by address: one mail each, whatever roles a person has."""
    return {
        address: person for person in recipients if person.role in ROLES and (address := usable_address(person.email))
    }


def _key(ended_on: date, address: str) -> str:
    return mail_key(AUDIENCE, f"{ended_on.year}-Q{_quarter(ended_on)}", address)


def _quarter(day: date) -> int:
    return (day.month + 2) // 3


def _letter(review: Review, person: Recipient, address: str, from_address: str) -> Letter:
    rendered = render_review(review, person.language, person.name)
    return write_letter(
        _key(review.ended_on, address),
        sender=words_for(person.language).sender,
        from_address=from_address,
        reader=person.name,
        recipient=address,
        written_at=datetime.now(UTC),
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
        attachments=review.files,
    )


def render_review(review: Review, language: str, reader: str) -> Rendered:
    """Word a review in its reader's language."""
    words = words_for(language)
    _ = words.gettext
    quarter = _("Q{number} {year}").format(year=review.ended_on.year, number=_quarter(review.ended_on))
    count = len(review.changes)
    news = _("changes proposed: {count}").format(count=count) if count else _("keep them as they are")
    footer = _("Sent automatically by the customer early-warning platform of {company}; please do not reply")
    context: dict[str, Any] = {
        "review": review,
        "words": words,
        "quarter": quarter,
        "subject": _("[Warning rules] {quarter}: {news}").format(quarter=quarter, news=news),
        "greeting": _("Dear {reader},").format(reader=reader),
        "basis": _basis(review, words),
        "changes": [_change(change, words) for change in review.changes],
        "expected": _figures(review.expected, words),
        "in_sample": _figures(review.in_sample, words) if review.changes else [],
        "verdict": _verdicts(words)[review.verdict] if review.verdict else None,
        "moved": _moved(review, words),
        "footer": footer.format(company=review.company),
    }
    templates = environment(words.language)
    return Rendered(
        subject=context["subject"],
        text=templates.get_template("review.txt.j2").render(context),
        html=templates.get_template("review.html.j2").render(context),
    )


def _basis(review: Review, words: Words) -> str:
    basis = words.gettext(
        "{days} month ends from {first} to {last} were judged once more by the rules in force, and held against who "
        "was lost in the {horizon} days after each. {tried} ways to change the rules a little were looked at, with at "
        "most {budget} customers a day at levels 1 and 2."
    )
    return basis.format(
        days=len(review.days),
        first=words.long_date(review.days[0]),
        last=words.long_date(review.days[-1]),
        horizon=review.horizon_days,
        tried=_number(review.tried, words),
        budget=_number(review.budget, words),
    )


def _moved(review: Review, words: Words) -> str:
    moved = words.ngettext(
        "Over all month ends it adds {added} warning of levels 1 and 2 ({added_lost} lost) and drops {dropped} "
        "({dropped_lost} lost).",
        "Over all month ends it adds {added} warnings of levels 1 and 2 ({added_lost} lost) and drops {dropped} "
        "({dropped_lost} lost).",
        review.moved["added"],
    )
    return moved.format(**{name: _number(count, words) for name, count in review.moved.items()})


def _verdicts(words: Words) -> dict[str, str]:
    _ = words.gettext
    return {
        "holds": _("It holds on later month ends: more of the lost are warned of."),
        "fails": _("It does not hold on later month ends: fewer of the lost are warned of. Keep the rules."),
        "open": _("It is not shown to hold on later month ends: the difference may be chance."),
        "fewer": _("Fewer customers are warned, as the budget asks; see what of the lost that gives up."),
    }


def _change(change: ChangedRule, words: Words) -> str:
    _ = words.gettext
    if change.after is None:
        return _("{rule}: left out").format(rule=change.rule_code)
    if change.measure is None:
        before, after = (words.levels[int(level)] for level in (change.before, change.after))
        return _("{rule}: {before} becomes {after}").format(rule=change.rule_code, before=before, after=after)
    return _("{rule}: {measure} {operator} {before} becomes {after}").format(
        rule=change.rule_code,
        measure=change.measure,
        operator=change.operator,
        before=change.before,
        after=change.after,
    )


@dataclass(frozen=True)
class _Figure:
    name: str
    before: str
    after: str
    difference: str
    interval: str


def _figures(effect: Mapping[str, Mapping[str, float | None]], words: Words) -> list[_Figure]:
    _ = words.gettext
    texts = {
        "precision": _("Lost, of those warned"),
        "recall": _("Warned, of those lost"),
        "revenue_caught": _("Warned, of the revenue lost"),
        "warnings_a_day": _("Customers warned a day"),
    }
    found = []
    for name, text in texts.items():
        if name in effect:
            scale, unit = (1, "") if name == "warnings_a_day" else (100, "%")
            before, after, difference, low, high = (
                None if effect[name][part] is None else scale * (effect[name][part] or 0.0)
                for part in ("before", "after", "difference", "low", "high")
            )
            ends = _("{low} to {high}").format(low=_signed(low, words), high=_signed(high, words))
            shown = [_plain(one, words, unit) for one in (before, after)]
            found.append(_Figure(text, shown[0], shown[1], _signed(difference, words), ends))
    return found


def _plain(value: float | None, words: Words, unit: str) -> str:
    return "–" if value is None else f"{format_decimal(round(value, 1), '#,##0.0', words.locale)}{unit}"


def _signed(value: float | None, words: Words) -> str:
    return "–" if value is None else str(format_decimal(round(value, 1) + 0.0, "+#,##0.0;−#,##0.0", words.locale))


def _number(value: float, words: Words) -> str:
    return str(format_decimal(round(value, 1), "#,##0.#", words.locale))
