"""What commands tell people to type next, and what of a company folder is odd: fast, no home is made."""

from __future__ import annotations

import csv
import shlex
from pathlib import Path

import pytest

from early_warning import tasks
from early_warning.settings import PROJECT, load_company, typed
from early_warning.summary import summary
from homes import demo_company

SQL = "select reason from bi.warnings where as_of_date = '2026-06-30'"


@pytest.mark.parametrize("words", [("status",), ("sql", SQL), ("sql", 'select 1 as "a\'b$"'), ("explain", "C 1")])
def test_command_line_is_read_by_a_shell_as_it_was_meant(words: tuple[str, ...]) -> None:
    assert shlex.split(typed(*words))[-len(words) :] == list(words)


def test_command_line_names_home_and_company_that_are_not_the_usual_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.argv", [".venv/bin/early-warning", "run"])
    monkeypatch.delenv("EARLY_WARNING_HOME")
    assert typed("run", company=PROJECT / "company") == ".venv/bin/early-warning run"
    monkeypatch.setenv("EARLY_WARNING_HOME", str(tmp_path / "my home"))
    expected = [f"EARLY_WARNING_HOME={tmp_path / 'my home'}", ".venv/bin/early-warning", "run", "--company", "/c"]
    assert shlex.split(typed("run", company=Path("/c"))) == expected
    monkeypatch.setenv("EARLY_WARNING_HOME", ".early_warning")
    assert typed("run") == ".venv/bin/early-warning run"


def test_summary_of_a_stopped_run_says_with_which_command_to_go_on(tmp_path: Path) -> None:
    company = load_company(demo_company(tmp_path / "company"))
    stopped = {"as_of_date": "2026-06-30", "state": "stopped", "gates": [], "batches": {}, "mails": {"composed": 0}}
    text = summary(company, tmp_path, [stopped])
    assert text.endswith(f"{typed('run', company=company.folder)} --as-of 2026-06-30")


def test_department_without_head_is_a_notice_that_says_who_hears_instead(tmp_path: Path) -> None:
    folder = demo_company(tmp_path / "company")
    assert tasks.check_configuration(folder)[2] == ()
    path = folder / "recipients.csv"
    with path.open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.reader(lines) if row[:2] != ["head", "product"]]
    with path.open("w", encoding="utf-8", newline="") as lines:
        csv.writer(lines, lineterminator="\n").writerows(rows)
    company, _, [notice] = tasks.check_configuration(folder)
    assert (notice.file, notice.is_critical) == ("recipients.csv", False)
    assert "product has no head, so its mails go to nobody" in notice.message
    assert "complaint_rate, delivery_punctuality, negative_feedback, return_rate" in notice.message
    assert notice.remedy == "add a line with role head and department product"
    stopped = {"as_of_date": "2026-06-30", "state": "stopped", "gates": [], "batches": {}, "mails": {"composed": 0}}
    assert f"  notice      {notice}\n" in summary(company, tmp_path, [stopped], [notice])
