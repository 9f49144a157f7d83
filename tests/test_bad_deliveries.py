"""What a bad delivery does to a whole run: few bad rows are told, a broken file stops the day, mending it goes on."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
import yaml

from homes import Answer, Home, made_once
from tiny_company import CUSTOMERS, FIRST, SECOND, deliver, deliveries, file_of, write_company, write_table

pytestmark = pytest.mark.slow
ORDERS = file_of("orders", FIRST)
GOOD_ORDERS = len(deliveries(FIRST)["orders"])
BAD_ORDERS = {
    "text in a number": ["X1", "C20", "2026-05-20 10:00", "twelve"],
    "date of another age": ["X2", "C20", "0202-01-01 10:00", "10"],
    "negative amount": ["X3", "C20", "2026-05-20 10:00", "-10"],
    "orphan": ["X4", "C99", "2026-05-20 10:00", "10"],
    "first of two": ["X5", "C20", "2026-05-20 10:00", "10"],
    "second of two": ["X5", "C20", "2026-05-20 10:00", "10"],
}


@pytest.fixture(scope="module")
def story() -> dict[str, Any]:
    """A first day with a few bad rows, a second whose deliveries are broken, the second again once they are mended."""
    folder = made_once("bad-deliveries", _tell)
    return dict(json.loads((folder / "story.json").read_text(encoding="utf-8")))


def _tell(folder: Path) -> None:
    home, exports = Home.new(folder / "home", write_company(folder / "company")), folder / "exports"
    deliver(exports, FIRST)
    write_table(exports, "orders", FIRST, [*deliveries(FIRST)["orders"], *BAD_ORDERS.values()])
    first = home.run("--as-of", str(FIRST))
    quarantine = home.rows("select * from ops.quarantine order by source_row, quarantine_id")

    deliver(exports, SECOND)
    _break(exports)
    stopped = home.run("--as-of", str(SECOND))
    seen = [_seen(home), *_mails(home)]

    deliver(exports, SECOND)
    mended = home.run("--as-of", str(SECOND))
    told = {
        "first": asdict(first),
        "quarantine": quarantine,
        "stopped": asdict(stopped),
        "seen while stopped": seen[0],
        "mails while stopped": seen[1:],
        "mended": asdict(mended),
        "seen when mended": _seen(home),
        "tickets": home.rows(
            "select ticket_id from landing.service_tickets join ops.batch on batch_id = _batch_id"
            " where state = 'accepted' and ticket_id like %s order by 1",
            f"T{SECOND}-%",
        ),
    }
    home.remove()
    (folder / "story.json").write_text(json.dumps(told, default=str), encoding="utf-8")


def _break(exports: Path) -> None:
    """Damage four deliveries of three sources; the fourth source's is fine."""
    orders = exports / file_of("orders", SECOND)
    orders.write_bytes(orders.read_bytes()[:-20])
    (exports / file_of("surveys", SECOND)).unlink()
    header = ["no", "customer", "issued", "gross"]
    write_table(exports, "invoices", SECOND, [[*line[:3], line[4]] for line in deliveries(SECOND)["invoices"]], header)
    payments = write_table(exports, "payments", SECOND, [["P1", "C11", "", SECOND, "10", "转账"]])
    payments.write_bytes(payments.read_text(encoding="utf-8").encode("gb18030"))


def _seen(home: Home) -> list[dict[str, Any]]:
    """Days that BI tools see, with the rows of each view."""
    return list(
        home.command(
            "sql",
            "select as_of_date, count(*) as customers,"
            " (select count(*) from bi.indicator_values where as_of_date = day.as_of_date) as indicator_values,"
            " (select count(*) from bi.warnings where as_of_date = day.as_of_date) as warnings"
            " from bi.customers as day group by as_of_date order by as_of_date",
            "--format",
            "json",
        ).json
    )


def _mails(home: Home) -> Iterator[dict[str, str]]:
    for path in sorted((home.folder / "mail").glob("*.eml")):
        message = message_from_bytes(path.read_bytes(), policy=policy.default)
        body = message.get_body(("plain",))
        yield {"to": str(message["To"]), "subject": str(message["Subject"]), "text": body.get_content() if body else ""}


def answer(story: dict[str, Any], name: str) -> Answer:
    return Answer(**story[name])


# A few bad rows


def test_few_bad_rows_are_told_and_the_day_is_published(story: dict[str, Any]) -> None:
    first = answer(story, "first")
    assert first.code == 0
    assert first.run["batches"]["sales.orders"]["rows"] >= GOOD_ORDERS
    assert first.run["batches"]["sales.orders"]["quarantined"] == len(story["quarantine"])
    gates = {gate["name"]: gate for gate in first.run["gates"]}
    for name in ("shop", "landing"):
        assert (gates[name]["verdict"], gates[name]["critical"]) == ("pass", 0)
        assert gates[name]["warnings"] > 0, f"the gate {name} said nothing"
    assert story["seen while stopped"][0]["customers"] == len(CUSTOMERS)


@pytest.mark.parametrize(
    ("row", "column", "reason", "remedy"),
    [
        ("text in a number", "net", "net is not a number: 'twelve'", "write it such as 1234.56"),
        ("date of another age", "ordered_at", "ordered_at is no date of our time: 0202-01-01", "correct the date"),
        ("negative amount", "amount", "amount is negative: -10", "deliver it as a return or credit note"),
        ("orphan", "customer_id", "the customer_id is not in sales.customers", "deliver the customer"),
        ("second of two", "order_id", "X5", "deliver"),
    ],
)
def test_bad_row_lies_in_quarantine_with_place_reason_and_remedy(
    story: dict[str, Any], row: str, column: str, reason: str, remedy: str
) -> None:
    position = GOOD_ORDERS + 2 + list(BAD_ORDERS).index(row)
    [found] = [one for one in story["quarantine"] if one["source_row"] == position]
    assert (found["source"], found["data_set"], found["source_file"]) == ("shop", "sales.orders", ORDERS)
    assert found["column_name"] == column
    assert reason in found["reason"]
    assert remedy in found["remedy"]
    assert found["row_data"]


# Broken files


BROKEN = {  # what one line has to say of each: source, file, damage, remedy
    "truncated file": ("source shop", file_of("orders", SECOND), "truncated", "deliver the whole file again"),
    "missing file": ("source panel", file_of("surveys", SECOND), "the file is missing", "deliver it there"),
    "missing column": ("source books", file_of("invoices", SECOND), "column due", "is missing", "deliver it"),
    "wrong encoding": ("source books", file_of("payments", SECOND), "rows are no utf-8 text", "set encoding: gb18030"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_file_is_told_with_place_and_remedy(story: dict[str, Any], fault: str) -> None:
    stopped = answer(story, "stopped")
    for said in (stopped.run["message"], stopped.stderr):
        assert any(all(part in line for part in BROKEN[fault]) for line in said.splitlines()), said


def test_broken_files_stop_the_day_and_readers_keep_the_last_good_one(story: dict[str, Any]) -> None:
    stopped = answer(story, "stopped")
    assert stopped.code == 3
    assert stopped.run["state"] == "stopped"
    verdicts = {gate["name"]: gate["verdict"] for gate in stopped.run["gates"]}
    assert verdicts == {"shop": "fail", "panel": "fail", "books": "fail", "desk": "pass"}
    assert "transform" not in stopped.run["seconds"]
    assert [day["as_of_date"] for day in story["seen while stopped"]] == [str(FIRST)]
    assert story["seen while stopped"] == story["seen when mended"][:1]


@pytest.mark.parametrize("fault", BROKEN)
def test_operators_alone_are_mailed_every_fault(story: dict[str, Any], fault: str) -> None:
    about_the_second_day = [mail for mail in story["mails while stopped"] if "run 2" in mail["subject"]]
    assert {"data.operations@huachen.example.com"} == {
        mail["to"].split("<")[-1].rstrip(">") for mail in about_the_second_day
    }
    assert any(all(part in mail["text"] for part in BROKEN[fault]) for mail in about_the_second_day)


def test_mended_delivery_is_published_with_the_good_rows_of_other_sources(story: dict[str, Any]) -> None:
    mended = answer(story, "mended")
    assert mended.code == 0, mended.stderr
    assert mended.run["previous_run_id"] == answer(story, "first").run["run_id"]
    news = {name: len(lines) for name, lines in deliveries(SECOND).items()}
    rows = {data_set: batch["rows"] for data_set, batch in mended.run["batches"].items()}
    assert rows == {
        "sales.orders": news["orders"],
        "service.tickets": news["tickets"],
        "finance.invoices": news["invoices"],
        "finance.payments": news["payments"],
    }
    assert len(story["tickets"]) == news["tickets"], "read in the stopped run, and once more in this one"
    assert [day["as_of_date"] for day in story["seen when mended"]] == [str(FIRST), str(SECOND)]


def test_gzip_of_the_tiny_company_is_a_gzip(tmp_path: Path) -> None:
    path = write_table(tmp_path, "orders", SECOND, deliveries(SECOND)["orders"])
    assert gzip.decompress(path.read_bytes()).startswith(b"no,customer,placed_at,net\n")


# --- a source that stands still


def test_source_that_has_stopped_delivering_makes_its_indicators_unknown_and_closes_no_warning(tmp_path: Path) -> None:
    company, exports = write_company(tmp_path / "company"), tmp_path / "exports"
    books = company / "sources" / "books" / "source.yml"
    config = yaml.safe_load(books.read_text(encoding="utf-8"))
    config["data_sets"]["finance.payments"]["freshness_days"] = 3
    books.write_text(yaml.safe_dump(config), encoding="utf-8")
    home = Home.new(tmp_path / "home", company)
    deliver(exports, FIRST)
    fresh = home.run("--as-of", str(FIRST))
    later = FIRST + timedelta(days=20)
    answer = home.run("--as-of", str(later))  # nothing has come since; payments alone have a limit
    assert (fresh.code, answer.code) == (0, 0), answer.stderr
    needing = {"overdue_days", "overdue_ratio", "late_payment_rate", "credit_utilization"}
    [before], [run] = fresh.json["runs"], answer.json["runs"]
    stale = {code for code, reasons in run["unknown"].items() if "stale" in reasons}
    assert stale == needing - {"credit_utilization"}  # of which credit_terms are not delivered at all
    assert run["unknown"]["overdue_days"]["stale"] == run["customers"]["judged"]
    assert not any("stale" in reasons for reasons in before["unknown"].values())

    [told] = home.rows(
        "select gate, verdict, severity, message from ops.gate_result where verdict <> 'pass'"
        " and run_id = %s and message like %s",
        run["run_id"],
        "%freshness_days%",
    )
    assert (told["gate"], told["verdict"]) == ("books", "warn")
    assert "the newest file payments-2026-05-31.csv is 20 days older than 2026-06-20" in told["message"]

    held = (
        "select customer_id, warning_level from marts.fct_customer_levels"
        " where run_id = %s and 'overdue_days' = any(level_source_codes) order by customer_id"
    )
    from_arrears = home.rows(held, before["run_id"])
    assert from_arrears
    assert home.rows(held, run["run_id"]) == from_arrears
    [level] = home.rows(
        "select raw_level from marts.fct_customer_levels where run_id = %s and customer_id = %s",
        run["run_id"],
        from_arrears[0]["customer_id"],
    )
    assert level["raw_level"] is None
    explained = home.command("explain", from_arrears[0]["customer_id"]).stdout
    assert re.search(r"data too old \(stale\): .*overdue_days", explained)
    assert "Too old to judge by, see bi.gates: finance.payments." in explained

    deliver(exports, SECOND)
    past = home.run("--as-of", str(FIRST + timedelta(days=2))).json["runs"][0]  # a past day is judged by its own date
    assert not any("stale" in reasons for reasons in past["unknown"].values())
    home.remove()
