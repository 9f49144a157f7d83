"""The languages of the digest room: English messages read in another language, and dates as it writes them.

Messages stand in English where they are said, in the modules and templates of this room; `locale/` holds a gettext
catalog for each other language, read as it is (CONTRIBUTING.md says how to bring it up to date). Figures, names and
sentences about customers come from the warehouse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, time
from functools import cache, cached_property
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from io import BytesIO

from babel.core import Locale
from babel.dates import format_date, format_time
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

_SOURCE = "en"  # needs no catalog
_ELSE = "zh-CN"


@dataclass(frozen=True)
class Words:
    """The words of one language; `locale` is how Babel writes figures in it.

    `gettext(message)`, `ngettext(one, many, count)`, `pgettext(context, message)` and
    `npgettext(context, one, many, count)` are gettext's. Placeholders, as {count}, are filled by `str.format` after
    them, so all that comes out is plain text, which templates escape. What the warehouse has codes for is read by code.
    """

    language: str
    locale: Locale
    gettext: Callable[[str], str]
    ngettext: Callable[[str, str, int], str]
    pgettext: Callable[[str, str], str]
    npgettext: Callable[[str, str, str, int], str]

    def long_date(self, day: date) -> str:
        """Write a day with its year."""
        return str(format_date(day, self.pgettext("date pattern", "d MMMM y"), locale=self.locale))

    def short_date(self, day: date) -> str:
        """Write a day of the year that the reader knows."""
        return str(format_date(day, self.pgettext("date pattern", "d MMM"), locale=self.locale))

    def time_of_day(self, moment: time) -> str:
        """Write hours and minutes."""
        return str(format_time(moment, self.pgettext("date pattern", "HH:mm"), locale=self.locale))

    @cached_property
    def sender(self) -> str:
        """Whom mails come from."""
        return self.gettext("Customer warnings")

    @cached_property
    def comma(self) -> str:
        """What stands between the entries of a list."""
        return self.pgettext("between entries", ", ")

    @cached_property
    def semicolon(self) -> str:
        """What stands between the sentences of a list."""
        return self.pgettext("between sentences", "; ")

    @cached_property
    def colon(self) -> str:
        """What stands between a name and what is said of it."""
        return self.pgettext("after a name", ": ")

    @cached_property
    def levels(self) -> Mapping[int, str]:
        """Warning levels."""
        return {
            1: self.pgettext("level", "Level 1"),
            2: self.pgettext("level", "Level 2"),
            3: self.pgettext("level", "Level 3"),
        }

    @cached_property
    def gravity(self) -> Mapping[int, str]:
        """How grave a warning level is."""
        return {
            1: self.pgettext("gravity", "very high"),
            2: self.pgettext("gravity", "high"),
            3: self.pgettext("gravity", "slight"),
        }

    @cached_property
    def changes(self) -> Mapping[str, str]:
        """What happened to a warning since the reader's last mail."""
        return {
            "new": self.pgettext("change", "new"),
            "reopened": self.pgettext("change", "again"),
            "escalated": self.pgettext("change", "escalated"),
            "eased": self.pgettext("change", "eased"),
            "unchanged": self.pgettext("change", "unchanged"),
        }

    @cached_property
    def gone(self) -> Mapping[str, str]:
        """Why the reader is warned of a customer no more, by select.Gone's `change`."""
        return {
            "resolved": self.pgettext("gone", "resolved"),
            "lost": self.pgettext("gone", "lost"),
            "eased": self.pgettext("gone", "eased and no longer listed"),
            "muted": self.pgettext("gone", "muted"),
            "moved": self.pgettext("gone", "now others'"),
            "unconcerned": self.pgettext("gone", "your department no longer concerned"),
        }

    @cached_property
    def trends(self) -> Mapping[str, str]:
        """How an indicator has been going; flat says nothing."""
        return {
            "worsening": self.pgettext("trend", "getting worse"),
            "improving": self.pgettext("trend", "getting better"),
        }

    @cached_property
    def states(self) -> Mapping[str, str]:
        """States of an indicator, and `silent` as of select.Sentence."""
        return {
            "serious": self.pgettext("state", "serious"),
            "watch": self.pgettext("state", "watch"),
            "clear": self.pgettext("state", "recovered"),
            "unknown": self.pgettext("state", "unknown"),
            "silent": self.pgettext("state", "basis"),
        }

    @cached_property
    def unknown_reasons(self) -> Mapping[str, str]:
        """Why an indicator could not be judged."""
        return {
            "no_data": self.pgettext("unknown reason", "no data"),
            "stale": self.pgettext("unknown reason", "data too old"),
            "short_history": self.pgettext("unknown reason", "history too short"),
            "no_base": self.pgettext("unknown reason", "nothing to compare with"),
            "expired": self.pgettext("unknown reason", "record expired"),
        }

    @cached_property
    def departments(self) -> Mapping[str, str]:
        """Departments of the company."""
        return {
            "sales": self.pgettext("department", "Sales"),
            "service": self.pgettext("department", "Service"),
            "product": self.pgettext("department", "Product"),
            "finance": self.pgettext("department", "Finance"),
            "analysis": self.pgettext("department", "Analysis"),
            "management": self.pgettext("department", "Management"),
            "internal_audit": self.pgettext("department", "Internal audit"),
        }


@cache
def words_for(language: str) -> Words:
    """Words of a language, 简体中文 for one that has none."""
    catalogs = {folder.name.replace("_", "-"): folder for folder in files(__package__).joinpath("locale").iterdir()}
    if language == _SOURCE:
        return _words(language, language, NullTranslations())
    if language not in catalogs:
        return words_for(_ELSE)
    folder = catalogs[language]
    with folder.joinpath("LC_MESSAGES", "digest.po").open("rb") as source, BytesIO() as compiled:
        write_mo(compiled, read_po(source))
        compiled.seek(0)
        return _words(language, folder.name, GNUTranslations(compiled))


def _words(language: str, locale: str, texts: NullTranslations) -> Words:
    return Words(language, Locale.parse(locale), texts.gettext, texts.ngettext, texts.pgettext, texts.npgettext)
