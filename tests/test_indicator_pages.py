"""The pages of docs/indicators: one for every indicator, complete, and up to date with policy and models."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from early_warning.indicator_pages import FOLDER, as_filled, meanings
from early_warning.indicators import declared
from early_warning.policy import load
from early_warning.settings import PROJECT
from exceptions import with_exceptions

NAMES = {row["indicator_code"]: row["name"] for row in load(PROJECT / "company" / "policy").tables["indicators"]}
SECTIONS = ["Definition", "Clause", "Example", "Why it warns", "What each department does", "Parameters"]


def page_of(code: str) -> str:
    return (FOLDER / f"{code}.md").read_text(encoding="utf-8")


def anchors_of(page: str) -> set[str]:
    """What a page's headings are called in links to them."""
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_pages_and_models_are_the_same() -> None:
    assert {path.stem for path in FOLDER.glob("*.md")} - {"README"} == set(declared())


@pytest.mark.parametrize("code", declared())
def test_page_of_an_indicator_has_every_section_filled(code: str) -> None:
    title, *parts = re.split(r"^## ", page_of(code), flags=re.MULTILINE)
    heading, *summary = [line for line in title.splitlines() if line]
    assert heading == f"# {code} · {NAMES[code]}"
    assert len(summary) == 1, "one line under the title, for the index"
    sections = {part.partition("\n")[0]: part.partition("\n")[2].strip() for part in parts}
    assert list(sections) == SECTIONS
    assert not [name for name, text in sections.items() if not text]
    assert "|---" in sections["Example"]


@pytest.mark.parametrize("code", declared())
def test_page_of_an_indicator_explains_every_parameter(code: str) -> None:
    told = meanings(page_of(code))
    assert set(told) == set(declared()[code].parameters)
    assert not [name for name, meaning in told.items() if not meaning]


@pytest.mark.parametrize("code", declared())
def test_page_of_an_indicator_names_every_measure(code: str) -> None:
    definition = page_of(code).partition("## Definition")[2].partition("\n## ")[0]
    assert not [measure for measure in declared()[code].measures if f"`{measure}`" not in definition]


def test_values_and_index_are_those_of_the_policy() -> None:
    stale = [path.name for path, text in as_filled().items() if text != path.read_text(encoding="utf-8")]
    assert not stale, "python -m early_warning.indicator_pages"


def test_exceptions_stand_below_the_values_for_everybody(tmp_path: Path) -> None:
    exceptions = [("overdue_days", "days", "45", "", "", "steel", "north", "2026-11-01")]
    page = as_filled(policy=with_exceptions(tmp_path / "policy", exceptions))[FOLDER / "overdue_days.md"]
    usual, _, below = page.partition("| except | parameter | serious | watch |\n|---|---|---|---|\n")
    assert "| 30 | 10 |" in usual
    assert below.startswith("| industry steel, region north, from 2026-11-01 | days | 45 | the same |\n<!-- to here")
    assert set(meanings(page)) == set(declared()["overdue_days"].parameters)


@pytest.mark.parametrize("code", [*declared(), "README"])
def test_links_of_a_page_lead_somewhere(code: str) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]+)(?:#([^)]*))?\)", page_of(code)):
        linked = FOLDER / target
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors_of(linked.read_text(encoding="utf-8")), f"{target}#{anchor}"
