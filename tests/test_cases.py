"""The life of a warning as people meet it: cases, measures, notes and mutes, in the views that analysts read."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from early_warning import tasks
from early_warning.problems import ConfigurationError
from early_warning.settings import Mute, load_company
from early_warning.warehouse import Warehouse
from histories import SHANGHAI
from homes import demo_company
from judged_by_sql import POLICY, differences, judge_by_sql, land, open_run_of
from oracle import Moment, Policy, follow, follow_cases, judge
from oracle.world import row

DAYS = [date(2025, 6, 28), date(2025, 6, 29), date(2025, 6, 30)]


def at(day: str) -> datetime:
    """Ten in the morning in Shanghai."""
    return datetime.fromisoformat(f"{day}T02:00").replace(tzinfo=UTC)


def story() -> dict[str, list[dict[str, Any]]]:
    """Owing & Co. buys less and owes; Angry & Co. complains; Uneasy & Co. complains a little."""
    world: dict[str, list[dict[str, Any]]] = {
        "sales.customers": [row("sales.customers", customer_id=name, name=f"{name} & Co.") for name in NAMES],
        "sales.orders": [],
        "finance.invoices": [],
        "finance.payments": [],
        "service.tickets": [],
        "handling.actions": [],
    }
    for name in NAMES:
        months = range(1, 4) if name == "Owing" else range(1, 7)
        world["sales.orders"] += [
            row(
                "sales.orders",
                order_id=f"{name} {month}",
                customer_id=name,
                ordered_at=at(f"2025-{month:02}-20"),
                amount=Decimal(100),
            )
            for month in months
        ]
    debt = {"issued_on": date(2025, 1, 1), "due_on": date(2025, 3, 1), "amount": Decimal(50)}
    world["finance.invoices"].append(row("finance.invoices", invoice_id="I", customer_id="Owing", **debt))
    for name, days in (("Angry", ("05-02", "05-12", "06-10")), ("Uneasy", ("05-02", "06-10"))):
        world["service.tickets"] += [
            row(
                "service.tickets",
                ticket_id=f"{name} {day}",
                customer_id=name,
                kind="complaint",
                opened_at=at(f"2025-{day}"),
                first_responded_at=at(f"2025-{day}"),
            )
            for day in days
        ]
    contacted = {"department": "sales", "actor": "Lin", "outcome": "contacted", "follow_up_on": DAYS[2]}
    world["handling.actions"].append(
        row("handling.actions", action_id="1", customer_id="Owing", taken_at=at("2025-06-29"), **contacted)
    )
    return world


NAMES = ("Owing", "Angry", "Uneasy")


@pytest.mark.slow
def test_case_is_opened_handled_and_comes_back_with_the_next_measure(warehouse: Warehouse) -> None:
    world, policy = story(), Policy.read(POLICY)
    land(warehouse, world, SHANGHAI)
    mute = Mute("Angry", DAYS[1], DAYS[1], "a lawsuit, legal answers", "the head of service")
    judged, told = [], []
    for day in DAYS:
        moment = Moment.midnight_after(day, SHANGHAI)
        tasks.note_mutes(warehouse, open_run_of(warehouse, moment, SHANGHAI), day, [mute])
        run_id = judge_by_sql(warehouse, moment, SHANGHAI)
        judged.append(judge(world, moment, policy))
        held = follow(judged, policy)
        if day != mute.muted_on:  # the oracle knows of no mutes
            cases = follow_cases(judged, held, policy)
            assert differences(warehouse, run_id, judged[-1], held[-1], cases[-1]) == []
        told.append(
            {
                "cases": {case["customer_id"]: case for case in warehouse.rows("select * from bi.cases")},
                "actions": warehouse.rows("select * from bi.case_actions order by customer_id, department"),
                "worded": warehouse.rows("select * from marts.rpt_case_actions where run_id = %s", run_id),
                "warnings": {
                    warning["customer_id"]: warning
                    for warning in warehouse.rows("select * from bi.warnings where as_of_date = %s", day)
                },
                "notes": warehouse.rows("select * from bi.notes where as_of_date = %s", day),
            }
        )

    # the first day opens both cases; who owes and buys less is one case of sales and finance with one plan
    first, second, third = told
    owing, angry = first["cases"]["Owing"], first["cases"]["Angry"]
    assert (owing["case_id"], owing["state"], owing["last_event"]) == ("Owing-20250628", "open", "opened")
    assert (owing["warning_level"], owing["is_joint"], owing["departments"]) == (2, True, ["finance", "sales"])
    assert owing["deadline_at"] == datetime(2025, 7, 1, 16, tzinfo=UTC)
    assert (angry["warning_level"], angry["is_joint"], angry["departments"]) == (3, False, ["service"])
    assert angry["deadline_at"] == datetime(2025, 7, 5, 16, tzinfo=UTC)
    assert first["warnings"]["Owing"]["told_departments"] == ["finance", "sales"]
    assert first["warnings"]["Angry"]["told_departments"] == ["product", "service"]  # service acts, product hears of it
    assert first["warnings"]["Owing"]["case_id"] == owing["case_id"]
    assert first["warnings"]["Owing"]["deadline_at"] == owing["deadline_at"]
    measures = {(each["customer_id"], each["department"]): each for each in first["actions"]}
    assert measures.keys() == {
        ("Angry", "product"),
        ("Angry", "service"),
        ("Owing", "finance"),
        ("Owing", "sales"),
    }
    assert "未经财务同意" in measures["Owing", "sales"]["action"]
    assert measures["Angry", "product"]["indicator_codes"] == ["complaint_rate"]

    # what each of them is to do is there in every language, of every run, a measure's wording once
    worded = {(each["customer_id"], each["department"], each["language"]): each for each in first["worded"]}
    assert len(worded) == len(first["worded"])
    assert worded.keys() == {(*measure, language) for measure in measures for language in ("zh-CN", "zh-TW", "en")}
    for (customer, department), measure in measures.items():
        own = worded[customer, department, "zh-CN"]
        assert [own[column] for column in ("case_id", "action", "indicator_codes")] == [
            measure[column] for column in ("case_id", "action", "indicator_codes")
        ]
    assert "未經財務同意" in worded["Owing", "sales", "zh-TW"]["action"]
    assert "without finance" in worded["Owing", "sales", "en"]["action"]
    assert worded["Owing", "sales", "en"]["indicator_codes"] == measures["Owing", "sales"]["indicator_codes"]
    kept = warehouse.rows("select * from marts.rpt_case_actions where run_id = %s", first["worded"][0]["run_id"])
    assert sorted(map(str, kept)) == sorted(map(str, first["worded"])), "a later run changed an earlier one's measures"

    # the second day sees the first one handled in time; the other is muted for the day and stays visible
    assert (second["cases"]["Owing"]["state"], second["cases"]["Owing"]["is_handled_in_time"]) == ("handled", True)
    assert {each["customer_id"] for each in second["actions"]} == {"Angry"}
    assert {each["customer_id"] for each in second["worded"]} == {"Angry"}, "who is handled has nothing to do"
    assert [each["warnings"]["Angry"]["is_muted"] for each in told] == [False, True, False]
    [kept] = warehouse.rows("select reason, muted_by from ops.mute")
    assert kept == {"reason": mute.reason, "muted_by": mute.muted_by}

    # on the follow-up day it has become worse, level 1: it comes back with the next measure and a new deadline
    owing = third["cases"]["Owing"]
    assert (owing["warning_level"], owing["peak_level"], owing["was_handled"]) == (1, 1, True)
    assert (owing["case_id"], owing["last_event"], owing["step"]) == ("Owing-20250628", "reopened", 2)
    assert (owing["handled_at"], owing["deadline_at"]) == (None, datetime(2025, 7, 1, 16, tzinfo=UTC))
    [measure] = [each for each in third["actions"] if (each["customer_id"], each["department"]) == ("Owing", "sales")]
    assert "共同方案没有见效" in measure["action"]

    # a breach that makes no warning is a note, new but once
    notes = [{note["indicator_code"]: note for note in day["notes"] if note["customer_id"] == "Uneasy"} for day in told]
    assert [day["complaint_rate"]["state"] for day in notes] == ["watch"] * 3
    assert [day["complaint_rate"]["is_new"] for day in notes] == [True, False, False]
    assert "Uneasy" not in first["warnings"]


@pytest.mark.parametrize(
    ("line", "column", "message"),
    [
        (",2026-06-01,2026-06-30,lawsuit,Wu", "customer_id", "is empty"),
        ("C1,2026-06-01,2026-06-30,,Wu", "reason", "is empty"),
        ("C1,2026-06-01,2026-06-30,lawsuit,", "muted_by", "is empty"),
        ("C1,2026-06-01,for ever,lawsuit,Wu", "muted_until", "'for ever' is no date"),
        ("C1,2026-06-01,2026-05-30,lawsuit,Wu", "muted_until", "2026-05-30 lies before 2026-06-01"),
        ("C9,2026-06-01,2026-07-30,lawsuit,Wu", "muted_on", "repeats row 2"),
    ],
)
def test_mute_that_does_not_say_whom_why_or_until_when_is_refused(
    tmp_path: Path, line: str, column: str, message: str
) -> None:
    company = demo_company(tmp_path / "company")
    mutes = company / "mutes.csv"
    header = "customer_id,muted_on,muted_until,reason,muted_by"
    mutes.write_text(f"{header}\nC9,2026-06-01,2026-06-30,lawsuit,Wu\n{line}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        load_company(company)
    assert [(each.file, each.row, each.column) for each in refused.value.problems] == [("mutes.csv", 3, column)]
    assert message in refused.value.problems[0].message
    mutes.write_text(f"{header}\nC9,2026-06-01,2026-06-30,lawsuit,Wu\n", encoding="utf-8")
    assert load_company(company).mutes == (Mute("C9", date(2026, 6, 1), date(2026, 6, 30), "lawsuit", "Wu"),)
