"""docs/adding-an-indicator.md carried out on a copy of the project: an indicator is what that page says, no more."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from early_warning.settings import PROJECT
from homes import Home, demo_company, environment

PAGE = PROJECT / "docs" / "adding-an-indicator.md"
STEP = re.compile(r"^`([\w/.-]+)`\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def steps() -> Iterator[tuple[str, str]]:
    """File and content of each step of the page."""
    yield from STEP.findall(PAGE.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_indicator_is_added_and_taken_away_as_the_page_says(tmp_path: Path) -> None:
    copy = tmp_path / "project"
    ignored = shutil.ignore_patterns(".git", ".venv", ".early_warning", "target", "logs", "__pycache__", "*_cache")
    shutil.copytree(PROJECT, copy, ignore=ignored)
    home = Home.new(tmp_path / "home", demo_company(tmp_path / "company"))
    shutil.rmtree(home.company / "policy")
    (home.company / "policy").symlink_to(copy / "company" / "policy")
    of_the_copy = {"PYTHONPATH": str(copy / "plugins")}
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}

    for file, content in steps():
        path = copy / file
        path.write_text((path.read_text(encoding="utf-8") if path.exists() else "") + content, encoding="utf-8")
    added = home.run("--as-of", "2026-06-30", **of_the_copy)
    assert added.code == 0, added.stderr
    states = (
        "select state, count(*)::integer as n from bi.indicator_values where indicator_code = 'urgent_tickets'"
        " group by state"
    )
    told = {row["state"]: row["n"] for row in home.command("sql", states, "--format", "json", **of_the_copy).json}
    assert told["clear"] > 0
    assert told["serious"] > 0
    reasons = home.command(
        "sql",
        "select customer_id, reason from bi.warnings where 'urgent_tickets' = any(indicator_codes)",
        *("--format", "json"),
        **of_the_copy,
    ).json
    assert reasons
    assert all(re.search(r"紧急工单：近 60 天紧急工单 \d+ 件，达到 1 件", row["reason"]) for row in reasons)
    explained = home.command("explain", reasons[0]["customer_id"], **of_the_copy).stdout
    assert "clears once fewer than 1 urgent tickets come in 60 days" in explained
    subprocess.run([sys.executable, "-m", "early_warning.indicator_pages"], env=environment(**of_the_copy), check=True)
    assert "| `count` |  | 1 | the same |" in (copy / "docs/indicators/urgent_tickets.md").read_text(encoding="utf-8")

    for path in [path for path in copy.rglob("*") if path.is_file() and path not in before]:
        path.unlink()
    for path, content in before.items():
        path.write_bytes(content)
    taken_away = home.run("--as-of", "2026-07-01", **of_the_copy)
    assert taken_away.code == 0, taken_away.stderr
    query = "select distinct indicator_code from bi.indicator_values where as_of_date = '2026-07-01'"
    codes = {row["indicator_code"] for row in home.command("sql", query, "--format", "json", **of_the_copy).json}
    assert "response_time" in codes
    assert "urgent_tickets" not in codes
