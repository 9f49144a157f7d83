"""The catalogs of the digest room: every message, nothing else, complete, and in the usage of its own country."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterator
from string import Formatter
from typing import get_args

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.frontend import CommandLineInterface
from babel.messages.pofile import read_po
from babel.numbers import get_currency_symbol

from early_warning.digest.words import words_for
from early_warning.settings import PROJECT, Language

PACKAGE = PROJECT / "plugins" / "early_warning"
ROOM = PACKAGE / "digest"
LOCALES = sorted(folder.name for folder in (ROOM / "locale").iterdir())
# Characters of one script that both character sets have, and terms of one country that the other says otherwise.
FOREIGN = {
    "zh_CN": "客诉 资料 检视 寄送 稽核 业务部 月底 档案 纪录 网路 软体 讯息 辨识 预设 回覆 後 著",
    "zh_TW": "數據 投訴 視圖 發送 審計 銷售部 月末 文件 記錄 網絡 軟件 信息 識別 默認 復核 回復 用戶 質量"
    " 后 里 于 个 么 几 余 价",
}
CHARACTER_SETS = {"zh_CN": "gb2312", "zh_TW": "big5"}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """All messages that modules and templates say now, found as `make catalogs` finds them."""
    found = tmp_path_factory.mktemp("messages") / "digest.pot"
    mapping = str(PROJECT / "pyproject.toml")
    CommandLineInterface().run(["pybabel", "--quiet", "extract", "--mapping", mapping, "-o", str(found), str(ROOM)])
    with found.open("rb") as file:
        return read_po(file)


@pytest.fixture(params=LOCALES)
def catalog(request: pytest.FixtureRequest) -> Catalog:
    with (ROOM / "locale" / request.param / "LC_MESSAGES" / "digest.po").open("rb") as file:
        return read_po(file, locale=request.param)


def messages(catalog: Catalog) -> list[Message]:
    """All but the header."""
    return [message for message in catalog if message.id]


def texts(one_or_forms: str | tuple[str, ...]) -> tuple[str, ...]:
    return (one_or_forms,) if isinstance(one_or_forms, str) else tuple(one_or_forms)


def places(text: str) -> list[str]:
    """Names of the {places} in a text, those that come twice twice."""
    return sorted(name for _, name, _, _ in Formatter().parse(text) if name is not None)


def translations(catalog: Catalog) -> Iterator[str]:
    for message in messages(catalog):
        yield from texts(message.string)


def test_catalog_has_every_message_that_is_said_and_no_other(catalog: Catalog, said: Catalog) -> None:
    now, known = ({(message.context, message.id) for message in messages(each)} for each in (said, catalog))
    assert len(now) > 90
    assert now - known == set(), "missing: make catalogs, then translate"
    assert known - now == set(), "said no more: make catalogs"
    assert not catalog.obsolete


def test_every_message_is_translated_and_none_guessed(catalog: Catalog) -> None:
    for message in messages(catalog):
        assert all(text.strip() for text in texts(message.string)), message.id
        assert len(texts(message.string)) == (1 if isinstance(message.id, str) else catalog.num_plurals), message.id
        assert not message.fuzzy, message.id


def test_translation_has_the_places_of_its_source(catalog: Catalog) -> None:
    for message in messages(catalog):
        source = places(texts(message.id)[-1])
        for text in texts(message.string):
            assert places(text) == source, text


def test_catalog_is_in_the_usage_of_its_own_country(catalog: Catalog) -> None:
    for text in translations(catalog):
        for character in text:
            if "\u4e00" <= character <= "\u9fff":
                assert character.encode(CHARACTER_SETS[str(catalog.locale_identifier)], "ignore"), (character, text)
        assert [term for term in FOREIGN[str(catalog.locale_identifier)].split() if term in text] == [], text


def test_every_language_of_readers_has_words_and_any_other_reads_simplified_chinese() -> None:
    assert sorted(get_args(Language)) == sorted(["en", *(locale.replace("_", "-") for locale in LOCALES)])
    for language in get_args(Language):
        assert words_for(language).language == language
    assert words_for("fr") is words_for("zh-CN")
    assert [words_for(language).states["clear"] for language in ("zh-CN", "zh-TW", "en")] == [
        "已恢复",
        "已恢復",
        "recovered",
    ]


def test_catalogs_are_installed_with_the_package() -> None:
    setuptools = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    installed = {path for pattern in setuptools["package-data"]["early_warning"] for path in PACKAGE.glob(pattern)}
    assert {ROOM / "locale" / locale / "LC_MESSAGES" / "digest.po" for locale in LOCALES} <= installed


def test_sentences_of_the_warehouse_write_currencies_as_mails_do() -> None:
    with (PROJECT / "dbt_project" / "seeds" / "currency_symbols.csv").open(encoding="utf-8", newline="") as lines:
        rows = [*csv.DictReader(lines)]
    assert len(rows) > 30
    for row in rows:
        assert row["symbol"] == get_currency_symbol(row["currency"], locale=words_for(row["language"]).locale), row
