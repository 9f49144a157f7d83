"""The pages of docs/indicators: people write them, what the policy knows is filled in between two comments.

`python -m early_warning.indicator_pages` after a threshold was edited or a page was added.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from early_warning.policy import exception, is_for_all, load
from early_warning.settings import PROJECT

FOLDER = PROJECT / "docs" / "indicators"

_FILLED = re.compile(r"(<!-- filled in by .*? -->\n).*?(<!-- to here -->)", re.DOTALL)
_MEANING = re.compile(r"^\| `(\w+)` \| (.*?) \|", re.MULTILINE)


def meanings(page: str) -> dict[str, str]:
    """What a page says of each parameter, empty where nobody has said anything yet."""
    filled = _FILLED.search(page)
    return {name: text.strip() for name, text in _MEANING.findall(filled[0])} if filled else {}


def as_filled(folder: Path = FOLDER, policy: Path = PROJECT / "company" / "policy") -> dict[Path, str]:
    """Each page that is there, and the index, as it reads when all that is filled in is up to date.

    Raises:
        ConfigurationError: when the policy can't be used.
    """
    tables = load(policy).tables
    read = {path: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.md"))}
    index = _table(
        ("code", "中文", "family", "department", ""),
        [
            (f"[{code}]({code}.md)", row["name"], row["family"], _departments(row), _summary(read[page]))
            for row in tables["indicators"]
            if (page := folder / f"{(code := row['indicator_code'])}.md") in read
        ],
    )
    parameters = tables["indicator_parameters"]
    return {
        path: _fill(page, index if path.name == "README.md" else _parameters(path.stem, parameters, meanings(page)))
        for path, page in read.items()
    }


def _fill(page: str, table: str) -> str:
    return _FILLED.sub(lambda found: found[1] + table + found[2], page)


def _parameters(code: str, rows: Iterable[dict[str, Any]], told: dict[str, str]) -> str:
    """The values for all customers and days, below them those of the exceptions."""
    usual: list[tuple[str, ...]] = []
    exceptions: list[tuple[str, ...]] = []
    for row in rows:
        if row["indicator_code"] == code:
            name, values = row["parameter"], (_value(row["serious"], "–"), _value(row["watch"], "the same"))
            if is_for_all(row):
                usual.append((f"`{name}`", told.get(name, ""), *values))
            else:
                exceptions.append((exception(row), name, *values))
    table = _table(("parameter", "meaning", "serious", "watch"), usual)
    return table + ("\n" + _table(("except", "parameter", "serious", "watch"), exceptions) if exceptions else "")


def _value(value: Decimal | None, empty: str) -> str:
    return empty if value is None else str(value)


def _departments(row: dict[str, Any]) -> str:
    also = row["also_departments"]
    return f"{row['department']} (also {', '.join(also)})" if also else str(row["department"])


def _summary(page: str) -> str:
    """The line under the title."""
    return next((line for line in page.splitlines()[1:] if line), "")


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(line) + " |" for line in [head, *rows]]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]]) + "\n"


if __name__ == "__main__":
    for place, text in as_filled().items():
        place.write_text(text, encoding="utf-8")
