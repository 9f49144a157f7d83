"""The file reader: what it takes from a folder, and what it says about everything that may be wrong there."""

from __future__ import annotations

import gzip
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from early_warning.extract import Delivered, ReadBefore
from early_warning.settings import load_company
from file_sources import (
    CUSTOMER_SELECT,
    ORDER_COLUMNS,
    ORDER_SELECT,
    ORDERS,
    file_source,
    order,
    orders_source,
    read_all,
    read_orders,
    write,
)

COMPANIES = Path(__file__).parent / "companies"

# Good deliveries


def test_good_rows_come_in_the_contracts_order_with_their_place(tmp_path: Path) -> None:
    write(tmp_path / "orders.csv", [ORDERS, order(1), order(2)])
    read = read_orders(orders_source(tmp_path))
    assert (read.extract.rows, read.extract.quarantined, read.extract.problems) == (2, 0, ())
    assert read.rows[0] | {"ordered_at": ""} == {
        "customer_id": "C1",
        "order_id": "O1",
        "ordered_at": "",
        "amount": "1.5",
        "currency": "CNY",
        **dict.fromkeys(("promised_at", "fulfilled_at", "cancelled_at", "cancelled_by", "updated_at"), ""),
        "_batch_id": "7",
        "_source_file": "orders.csv",
        "_source_row": "2",
    }
    delivered = read.extract.deliveries[0]
    assert (delivered.table, delivered.file, delivered.size_bytes) == (
        "orders",
        "orders.csv",
        (tmp_path / "orders.csv").stat().st_size,
    )
    assert len(delivered.sha256) == 64


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "latin-1"])
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_a_csv_in_any_encoding_keeps_its_text(tmp_path: Path, encoding: str, suffix: str) -> None:
    text = "Müller é" if encoding == "latin-1" else "客户甲公司 é"
    write(tmp_path / f"customers{suffix}", ["id,name", f"C1,{text}", 'C2,"a ""quoted"", name"'], encoding=encoding)
    source = file_source(
        tmp_path,
        {
            "customers": {
                "files": "customers*",
                "encoding": encoding.removesuffix("-sig"),
                "columns": {"id": "text", "name": "text"},
            }
        },
        {"sales.customers": {"mode": "snapshot"}},
        {"sales.customers": CUSTOMER_SELECT},
    )
    read = read_all(source)["sales.customers"]
    assert read.critical == []
    assert read.column("name") == sorted([text, 'a "quoted", name'])


def test_an_xlsx_gives_dates_big_integers_and_numbers_as_text(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "orders.xlsx") as book:
        book.add_worksheet("Cover").write(0, 0, "not this one")
        sheet = book.add_worksheet("Orders")
        sheet.write_row(0, 0, [*ORDER_COLUMNS, "note"])
        stamp = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        for row, (number, net) in enumerate([(123456789012345, 10.1), (123456789012346, 1e12)], 1):
            sheet.write_number(row, 0, number)
            sheet.write_string(row, 1, "007")
            sheet.write_datetime(row, 2, datetime(2024, 5, row, 13, 5, 7), stamp)
            sheet.write_number(row, 3, net)
            sheet.write_string(row, 4, "CNY")
        sheet.write_row(4, 0, ["O9", "C1", "soon", "12.5", "CNY"])
    read = read_orders(orders_source(tmp_path, files="orders.xlsx", format="xlsx", sheet="Orders"))
    assert read.column("order_id") == ["123456789012345", "123456789012346"]
    assert read.column("customer_id") == ["007", "007"]
    assert read.column("amount") == ["10.1", "1000000000000"]
    assert [moment(row["ordered_at"]) for row in sorted(read.rows, key=lambda row: row["order_id"])] == [
        datetime(2024, 5, day, 5, 5, 7, tzinfo=UTC) for day in (1, 2)
    ]
    assert [(row.source_row, row.column) for row in read.extract.unusable] == [(5, "placed_at")]


def test_parquet_keeps_moments_and_exact_numbers(tmp_path: Path) -> None:
    table = pa.table(
        {
            "order_no": pa.array([1, 2], pa.int64()),
            "customer": ["C1", "C2"],
            "placed_at": pa.array([datetime(2024, 5, 1, 2, tzinfo=UTC)] * 2, pa.timestamp("ns", "UTC")),
            "net": [0.1, float("nan")],
            "currency": pa.array(["CNY", "CNY"]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "orders.parquet")
    read = read_orders(orders_source(tmp_path, files="orders.parquet", format="parquet"))
    assert [(row["order_id"], row["amount"]) for row in read.rows] == [("1", "0.1")]
    assert moment(read.rows[0]["ordered_at"]) == datetime(2024, 5, 1, 2, tzinfo=UTC)
    assert [(row.source_row, row.column) for row in read.extract.unusable] == [(2, "net")]


@pytest.mark.parametrize(
    ("time_zone", "text", "expected"),
    [
        ("Asia/Shanghai", "2024-05-01 00:30:00", datetime(2024, 4, 30, 16, 30, tzinfo=UTC)),
        ("Asia/Shanghai", "2024-05-01T00:30:00Z", datetime(2024, 5, 1, 0, 30, tzinfo=UTC)),
        ("Asia/Shanghai", "2024-05-01 00:30:00-03:00", datetime(2024, 5, 1, 3, 30, tzinfo=UTC)),
        ("America/Sao_Paulo", "2017-10-15 00:30:00", datetime(2017, 10, 15, 3, 30, tzinfo=UTC)),  # skipped by DST
        ("Europe/London", "2011-10-30 01:30:00", datetime(2011, 10, 30, 1, 30, tzinfo=UTC)),  # twice; an hour apart
    ],
)
def test_timestamps_are_of_the_sources_time_zone_unless_they_say(
    tmp_path: Path, time_zone: str, text: str, expected: datetime
) -> None:
    write(tmp_path / "orders.csv", [ORDERS, order(1, placed_at=text)])
    base = orders_source(tmp_path)
    source = file_source(
        tmp_path,
        {"orders": {"files": "orders.csv", "columns": ORDER_COLUMNS}},
        {"sales.orders": {"mode": "append"}},
        base.mappings,
        time_zone=time_zone,
    )
    found = moment(read_orders(source).rows[0]["ordered_at"])
    assert abs(found - expected) <= (timedelta(hours=1) if time_zone == "Europe/London" else timedelta(0))


def test_rows_of_a_csv_count_lines_despite_blank_lines_and_values_of_several(tmp_path: Path) -> None:
    lines = [
        ORDERS,
        order(1, customer='"C\n1"'),  # lines 2 and 3
        "",
        order(2),  # 5
        "O3,C0,2024-05-03 10:00:00",  # 6: too few fields
        ",,,,",
        order(4, net="x"),  # 8
        order(5, customer='"a\nb\nc"') + ",extra",  # 9 to 11: too many fields
        order(6, net="y"),  # 12
    ]
    write(tmp_path / "orders.csv", lines)
    read = read_orders(orders_source(tmp_path))
    assert sorted((row["order_id"], row["_source_row"]) for row in read.rows) == [("O1", "2"), ("O2", "5")]
    assert sorted((row.source_row, row.column) for row in read.extract.unusable) == [
        (6, None),
        (8, "net"),
        (9, None),
        (12, "net"),
    ]
    assert "3 fields instead of 5" in read.extract.unusable[0].reason


# Unusable rows: the good ones beside them stay


@pytest.mark.parametrize(
    ("changed", "column", "reason", "remedy"),
    [
        ({"net": "12,5元"}, "", "fields", "quote"),
        ({"net": "面议"}, "net", "net is not a number: '面议'", "1234.56"),
        ({"net": "NaN"}, "net", "not a number", "NaN"),
        ({"net": "Infinity"}, "net", "not a number", "Infinity"),
        ({"net": "-5"}, "amount", "amount is negative: -5", "return"),
        ({"net": ""}, "amount", "amount is empty", "sales.orders.sql"),
        ({"placed_at": "0202-01-01 00:00:00"}, "ordered_at", "no date of our time: 0202-01-01", "correct the date"),
        ({"placed_at": "2024-02-30"}, "placed_at", "not a timestamp", "2024-05-31 14:05:00"),
        ({"placed_at": "infinity"}, "ordered_at", "no date of our time", "correct the date"),
        ({"placed_at": "2024-07-01 09:30:00"}, "ordered_at", "after the extraction on 2024-07-01 09:00", "time_zone"),
        ({"currency": "USD"}, "currency", "foreign currency is not converted yet: 'USD'", "convert the amount to CNY"),
        ({"order_no": " "}, "order_id", "order_id is empty and is part of the key", "sales.orders.sql"),
        ({"customer": ""}, "customer_id", "customer_id is empty", "leave such rows out"),
        ({"customer": "C\0"}, "customer", "no utf-8 text", "encoding"),
        (
            {"order_no": "O1"},
            "order_id",
            "duplicate key order_id O1; the row kept is orders.csv, row 2",
            "each key once",
        ),
    ],
)
def test_an_unusable_row_is_set_aside_with_place_and_remedy(
    tmp_path: Path, changed: dict[str, str], column: str, reason: str, remedy: str
) -> None:
    write(tmp_path / "orders.csv", [ORDERS, order(1), order(2, **changed), order(3)])
    read = read_orders(orders_source(tmp_path))
    assert read.column("order_id") == ["O1", "O3"]
    assert read.extract.quarantined == len(read.extract.unusable) == 1
    row = read.extract.unusable[0]
    assert (row.source_file, row.source_row, row.column or "") == ("orders.csv", 3, column)
    assert reason in row.reason
    assert remedy in row.remedy
    assert "2024" in str(row.row_data) or "placed_at" in changed


def test_an_unknown_word_names_the_words_and_the_select(tmp_path: Path) -> None:
    write(
        tmp_path / "tickets.csv",
        ["id,customer,kind,opened", "T1,C1,complaint,2024-05-01", "T2,C1,Reklamation,2024-05-02"],
    )
    source = file_source(
        tmp_path,
        {
            "tickets": {
                "files": "tickets.csv",
                "columns": dict.fromkeys(("id", "customer", "kind"), "text") | {"opened": "date"},
            }
        },
        {"service.tickets": {"mode": "append"}},
        {
            "service.tickets": "select id as ticket_id, customer as customer_id, kind, opened as opened_at, _row"
            " from tickets"
        },
        name="service",
    )
    read = read_all(source)["service.tickets"]
    row = read.extract.unusable[0]
    assert (row.source_file, row.source_row, row.column) == ("tickets.csv", 3, "kind")
    assert "unknown word 'Reklamation'" in row.reason
    assert row.remedy == "map it in service.tickets.sql to one of complaint, feedback, inquiry"
    assert read.column("ticket_id") == ["T1"]


def test_a_survey_needs_a_scale_and_a_score_on_it(tmp_path: Path) -> None:
    write(tmp_path / "surveys.csv", ["id,score,low,high", "S1,4,1,5", "S2,4,5,5", "S3,6,1,5"])
    source = file_source(
        tmp_path,
        {
            "surveys": {
                "files": "surveys.csv",
                "columns": {"id": "text", "score": "numeric", "low": "numeric", "high": "numeric"},
            }
        },
        {"service.surveys": {"mode": "snapshot", "max_quarantine_share": 1}},
        {
            "service.surveys": "select id as survey_id, 'C1' as customer_id, date '2024-05-01' as answered_at,"
            " 'csat' as kind, score, low as scale_min, high as scale_max from surveys"
        },
    )
    read = read_all(source)["service.surveys"]
    assert read.column("survey_id") == ["S1"]
    assert sorted((row.column, row.reason) for row in read.extract.unusable) == [
        ("scale_max", "scale_max 5 is not above scale_min 5"),
        ("score", "score 6 is outside its scale"),
    ]


def test_promised_dates_may_lie_ahead(tmp_path: Path) -> None:
    write(tmp_path / "orders.csv", [ORDERS, order(1)])
    select = ORDER_SELECT.replace("currency,", "currency, timestamp '2025-01-01' as promised_at,")
    assert read_orders(orders_source(tmp_path, select=select)).extract.rows == 1


# Deliveries that are wrong as a whole: source, data set, file and remedy are told


def expect_critical(text: str, *parts: str) -> None:
    assert text.startswith("source sales, sales.orders, ")
    for part in parts:
        assert part in text


@pytest.mark.parametrize("mode", ["snapshot", "append"])
def test_a_missing_file_is_critical(tmp_path: Path, mode: str) -> None:
    read = read_orders(orders_source(tmp_path, mode=mode))
    expect_critical(read.critical[0], "orders*.csv", "the file is missing", "correct path: and files: in source.yml")
    assert read.extract.deliveries == ()


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    read = read_orders(orders_source(tmp_path / "nowhere"))
    expect_critical(read.critical[0], "nowhere does not exist", "source.yml")


@pytest.mark.parametrize("data", [b"", gzip.compress(b"", mtime=0), b"\n\n"])
def test_an_empty_file_is_critical(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "orders.csv").write_bytes(data)
    read = read_orders(orders_source(tmp_path))
    expect_critical(read.critical[0], "orders.csv", "empty" if not data else "holds no text", "deliver it again")
    assert read.rows == []


@pytest.mark.parametrize(("mode", "is_critical"), [("snapshot", True), ("append", False)])
def test_a_header_alone_is_critical_for_a_snapshot_only(tmp_path: Path, mode: str, is_critical: bool) -> None:
    write(tmp_path / "orders.csv", [ORDERS])
    read = read_orders(orders_source(tmp_path, mode=mode))
    assert len(read.critical) == is_critical
    expect_critical((read.critical + read.told)[0], "orders.csv", "a header and no row")


def test_a_truncated_gzip_is_critical(tmp_path: Path) -> None:
    write(tmp_path / "orders-1.csv.gz", [ORDERS, *(order(number) for number in range(5000))])
    write(tmp_path / "orders-2.csv.gz", [ORDERS, order(9999)])
    whole = (tmp_path / "orders-1.csv.gz").read_bytes()
    (tmp_path / "orders-1.csv.gz").write_bytes(whole[: len(whole) // 2])
    read = read_orders(orders_source(tmp_path, files="*.csv.gz"))
    expect_critical(read.critical[0], "orders-1.csv.gz", "truncated", "deliver the whole file again")
    assert read.column("order_id") == ["O9999"]


@pytest.mark.parametrize("cut", [3, 12, 20, 30])
def test_a_csv_cut_in_its_last_line_is_critical(tmp_path: Path, cut: int) -> None:
    path = write(tmp_path / "orders.csv", [ORDERS, *(order(number) for number in range(100, 200))])
    path.write_bytes(path.read_bytes()[:-cut])
    read = read_orders(orders_source(tmp_path))
    if cut == 3:  # cut inside the last text: whether anything is missing can't be told, so it is only told
        assert read.critical == []
        assert "no line end" in read.told[0]
    else:
        expect_critical(read.critical[0], "orders.csv", "row 101", "cut short", "deliver the whole file again")


def test_a_csv_cut_inside_its_last_number_is_critical(tmp_path: Path) -> None:
    path = write(tmp_path / "stock.csv", ["order_no,placed_at", "O1,2024-05-01 10:00:00", "O2,2024-05-01 10:00:00"])
    path.write_bytes(path.read_bytes()[:-11])
    source = orders_source(
        tmp_path,
        files="stock.csv",
        select="select order_no as order_id from orders",
        columns={"order_no": "text", "placed_at": "timestamp"},
    )
    assert any("row 3" in problem and "cut short" in problem for problem in read_orders(source).critical)


def test_a_quotation_mark_that_is_never_closed_is_critical(tmp_path: Path) -> None:
    write(tmp_path / "orders.csv", [ORDERS, order(1), order(2, customer='"C2'), *(order(n) for n in range(3, 90))])
    read = read_orders(orders_source(tmp_path))
    expect_critical(read.critical[0], "orders.csv", "row 3")
    assert read.rows == []


@pytest.mark.parametrize(("format_", "remedy"), [("xlsx", "save it again as .xlsx"), ("parquet", "deliver the whole")])
def test_a_damaged_workbook_or_parquet_file_is_critical(tmp_path: Path, format_: str, remedy: str) -> None:
    (tmp_path / "orders.dat").write_bytes(b"PK\x03\x04 and then nothing")
    read = read_orders(orders_source(tmp_path, files="orders.dat", format=format_))
    expect_critical(read.critical[0], "orders.dat", "not readable as", remedy)


def test_a_missing_sheet_names_the_sheets_there_are(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "orders.xlsx") as book:
        book.add_worksheet("Bestellungen").write(0, 0, "x")
    read = read_orders(orders_source(tmp_path, files="orders.xlsx", format="xlsx", sheet="Orders"))
    expect_critical(read.critical[0], "orders.xlsx", "no sheet 'Orders'", "Bestellungen")


@pytest.mark.parametrize(
    ("written", "declared", "remedy"),
    [
        ("gb18030", "utf-8", "encoding: gb18030"),
        ("utf-16", "utf-8", "encoding: utf-16"),
        ("latin-1", "utf-8", "encoding: latin-1"),
        ("utf-8", "gb18030", "encoding: utf-8"),
        ("utf-8", "utf-16", "encoding: utf-8"),
        ("utf-8", "latin-1", "encoding: utf-8"),
    ],
)
def test_a_wrong_encoding_is_critical_and_the_right_one_is_told(
    tmp_path: Path, written: str, declared: str, remedy: str
) -> None:
    name = "Müller & Söhne" if written == "latin-1" else "客户甲有限公司"
    write(tmp_path / "orders.csv", [ORDERS, *(order(n, customer=name) for n in range(20))], encoding=written)
    read = read_orders(orders_source(tmp_path, encoding=declared, limit=0.02))
    expect_critical(read.critical[0], "orders.csv", f"set {remedy} for ")
    assert read.rows == []


def test_a_few_broken_rows_are_quarantined_and_stop_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "orders.csv", [ORDERS, *(order(n) for n in range(200))])
    path.write_bytes(path.read_bytes().replace(b"O77,C2", b"O77,C\xff2"))
    read = read_orders(orders_source(tmp_path, limit=0.02))
    assert read.critical == []
    assert [(row.source_row, row.column) for row in read.extract.unusable] == [(79, "customer")]
    assert read.extract.rows == 199


def test_a_missing_column_is_critical_and_names_the_nearest(tmp_path: Path) -> None:
    write(tmp_path / "orders.csv", [ORDERS.replace("net", "Net_"), order(1)])
    read = read_orders(orders_source(tmp_path))
    expect_critical(read.critical[0], "orders.csv", "column net", "is missing; is it Net_?", "columns: of table orders")
    assert read.rows == []


def test_a_wrong_delimiter_is_told(tmp_path: Path) -> None:
    write(tmp_path / "orders.csv", [ORDERS.replace(",", ";"), order(1).replace(",", ";")])
    read = read_orders(orders_source(tmp_path))
    expect_critical(read.critical[0], 'set delimiter: ";"')
    assert read_orders(orders_source(tmp_path, delimiter=";")).extract.rows == 1


def test_an_extra_column_is_ignored_with_a_notice(tmp_path: Path) -> None:
    write(tmp_path / "orders.csv", [f"{ORDERS},mood", f"{order(1)},good"])
    read = read_orders(orders_source(tmp_path))
    assert read.extract.rows == 1
    assert "ignored: mood" in read.told[0]


# Mapping SELECTs


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("select nope as order_id from orders", "nope"),
        ("selec 1", "syntax error"),
        ("select 1 as order_id from orders; select 2", "2 statements"),
        ("select * from order_lines", "order_lines"),
        ("drop table orders", "mapping SELECT fails"),
    ],
)
def test_a_select_that_fails_is_critical_with_duckdbs_words(tmp_path: Path, select: str, expected: str) -> None:
    write(tmp_path / "orders.csv", [ORDERS, order(1)])
    read = read_orders(orders_source(tmp_path, select=select))
    expect_critical(read.critical[0], "sales.orders.sql", expected, "mend sales.orders.sql")


def test_a_select_without_a_required_column_is_critical(tmp_path: Path) -> None:
    write(tmp_path / "orders.csv", [ORDERS, order(1)])
    read = read_orders(orders_source(tmp_path, select=ORDER_SELECT.replace("net as amount", "net as amonut")))
    expect_critical(read.critical[0], "sales.orders.sql", "does not return amount; is it amonut?")
    assert "no column amonut" in read.told[0]


def test_a_failed_file_does_not_harm_the_sources_other_data_sets(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_bytes(b"")
    write(tmp_path / "customers.csv", ["id,name", "C1,Ames"])
    source = file_source(
        tmp_path,
        {
            "orders": {"files": "orders.csv", "columns": ORDER_COLUMNS},
            "customers": {"files": "customers.csv", "columns": {"id": "text", "name": "text"}},
        },
        {"sales.orders": {"mode": "snapshot"}, "sales.customers": {"mode": "snapshot"}},
        {"sales.orders": ORDER_SELECT, "sales.customers": CUSTOMER_SELECT},
    )
    found = read_all(source)
    assert found["sales.orders"].critical
    assert found["sales.customers"].critical == []
    assert found["sales.customers"].column("customer_id") == ["C1"]


def test_money_stays_exact_through_a_select(tmp_path: Path) -> None:
    write(tmp_path / "orders.csv", [ORDERS, *(order(n, order_no="O1", net="0.1") for n in range(30))])
    select = (
        "select order_no as order_id, min(customer) as customer_id, min(placed_at) as ordered_at,"
        " sum(3 * net * net) as amount, min(_row) as _row from orders group by order_no"
    )
    read = read_orders(orders_source(tmp_path, select=select))
    assert (read.rows[0]["amount"], read.rows[0]["_source_row"]) == ("0.9", "2")


# Which files a run reads


def dated_source(path: Path, **delivery: Any) -> Any:
    return file_source(
        path,
        {"orders": {"files": "orders-*.csv", "file_date": "orders-%Y-%m-%d.csv", "columns": ORDER_COLUMNS}},
        {"sales.orders": {"mode": "append"} | delivery},
        {"sales.orders": ORDER_SELECT},
    )


def before(*reads: tuple[Delivered, ...]) -> dict[str, ReadBefore]:
    return {"sales.orders": ReadBefore(tuple(item for read in reads for item in read), reads[-1])}


def test_a_run_reads_the_unread_files_up_to_its_day(tmp_path: Path) -> None:
    for day in (28, 29, 30):
        write(tmp_path / f"orders-2024-06-{day}.csv", [ORDERS, order(day)])
    source = dated_source(tmp_path)
    first = read_orders(source, as_of=date(2024, 6, 29))
    assert first.column("order_id") == ["O28", "O29"]
    assert first.extract.newest_file_date == date(2024, 6, 29)
    second = read_orders(source, before=before(first.extract.deliveries))
    assert second.column("order_id") == ["O30"]
    assert [item.file for item in second.extract.deliveries] == ["orders-2024-06-30.csv"]


def test_a_day_without_a_file_is_nothing_special(tmp_path: Path) -> None:
    write(tmp_path / "orders-2024-06-29.csv", [ORDERS, order(1)])
    source = dated_source(tmp_path)
    first = read_orders(source, as_of=date(2024, 6, 29))
    second = read_orders(source, before=before(first.extract.deliveries))
    assert (second.extract.deliveries, second.extract.rows, second.extract.problems) == ((), 0, ())


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = write(tmp_path / "orders-2024-06-29.csv", [ORDERS, order(1)])
    source = dated_source(tmp_path)
    first = read_orders(source)
    write(path, [ORDERS, order(1, net="7.50")])
    again = read_orders(source, before=before(first.extract.deliveries))
    assert again.column("amount") == ["7.5"]


def test_files_that_have_stopped_coming_are_told_and_stale(tmp_path: Path) -> None:
    write(tmp_path / "orders-2024-06-20.csv", [ORDERS, order(1)])
    source = dated_source(tmp_path, freshness_days=4)
    assert read_orders(source, as_of=date(2024, 6, 24)).extract.problems == ()
    [problem] = read_orders(source, as_of=date(2024, 6, 25)).extract.problems
    assert (problem.is_stale, problem.is_critical, problem.file) == (True, False, "orders-2024-06-20.csv")
    assert "5 days older than 2024-06-25" in problem.message
    assert "freshness_days" in problem.remedy


def test_dated_files_that_begin_later_are_critical(tmp_path: Path) -> None:
    write(tmp_path / "orders-2024-06-20.csv", [ORDERS, order(1)])
    read = read_orders(dated_source(tmp_path), as_of=date(2024, 6, 1))
    expect_critical(read.critical[0], "no file is dated up to 2024-06-01", "orders-2024-06-20.csv")


def test_a_file_name_without_a_date_is_told(tmp_path: Path) -> None:
    write(tmp_path / "orders-2024-06-20.csv", [ORDERS, order(1)])
    write(tmp_path / "orders-2024-06-20 (1).csv", [ORDERS, order(2)])
    read = read_orders(dated_source(tmp_path))
    assert read.column("order_id") == ["O1"]
    assert "orders-2024-06-20 (1).csv" in read.told[0]


def test_a_dated_snapshot_reads_its_newest_file_only(tmp_path: Path) -> None:
    for day in (28, 29, 30):
        write(tmp_path / f"orders-2024-06-{day}.csv", [ORDERS, order(day)])
    source = dated_source(tmp_path, mode="snapshot")
    newest = read_orders(source)
    assert newest.column("order_id") == ["O30"]
    assert read_orders(source, before=before(newest.extract.deliveries)).extract.deliveries == ()
    back = read_orders(source, as_of=date(2024, 6, 29), before=before(newest.extract.deliveries))
    assert back.column("order_id") == ["O29"]
    forth = read_orders(source, before=before(newest.extract.deliveries, back.extract.deliveries))
    assert forth.column("order_id") == ["O30"], "the newest batch holds an older state: it is read again"


def test_an_unchanged_snapshot_is_not_read_again(tmp_path: Path) -> None:
    write(tmp_path / "orders-a.csv", [ORDERS, order(1)])
    write(tmp_path / "orders-b.csv", [ORDERS, order(2)])
    source = orders_source(tmp_path, mode="snapshot")
    first = read_orders(source)
    assert read_orders(source, before=before(first.extract.deliveries)).extract.deliveries == ()
    (tmp_path / "orders-b.csv").unlink()
    assert read_orders(source, before=before(first.extract.deliveries)).column("order_id") == ["O1"]


def test_newer_files_bring_versions_and_the_same_file_duplicates(tmp_path: Path) -> None:
    write(tmp_path / "orders-2024-06-28.csv", [ORDERS, order(1), order(2)])
    write(tmp_path / "orders-2024-06-29.csv", [ORDERS, order(1, net="9.00"), order(1, net="8.00")])
    read = read_orders(dated_source(tmp_path))
    assert sorted((row["order_id"], row["amount"]) for row in read.rows) == [("O1", "9"), ("O2", "2.5")]
    assert [(row.source_file, row.source_row) for row in read.extract.unusable] == [("orders-2024-06-29.csv", 3)]
    assert read.extract.quarantined == 1


def test_a_dated_and_an_undated_table_are_joined(tmp_path: Path) -> None:
    write(tmp_path / "names.csv", ["id,name", "C1,Ames", "C2,Bohr"])
    for day in (28, 29):
        write(tmp_path / f"orders-2024-06-{day}.csv", [ORDERS, order(day, customer="Ames")])
    source = file_source(
        tmp_path,
        {
            "orders": {"files": "orders-*.csv", "file_date": "orders-%Y-%m-%d.csv", "columns": ORDER_COLUMNS},
            "names": {"files": "names.csv", "columns": {"id": "text", "name": "text"}},
        },
        {"sales.orders": {"mode": "append"}},
        {
            "sales.orders": "select order_no as order_id, names.id as customer_id, placed_at as ordered_at,"
            " net as amount from orders join names on names.name = orders.customer"
        },
    )
    first = read_orders(source, as_of=date(2024, 6, 28))
    assert first.column("customer_id") == ["C1"]
    second = read_orders(source, before=before(first.extract.deliveries))
    assert second.column("order_id") == ["O29"]
    write(tmp_path / "names.csv", ["id,name", "C7,Ames"])
    third = read_orders(source, before=before(first.extract.deliveries, second.extract.deliveries))
    assert third.extract.deliveries == (), "a changed look-up table brings no new orders"


# Real data


@pytest.mark.parametrize(
    ("company", "as_of", "expected"),
    [
        (
            "marketplace_sellers",
            date(2018, 6, 1),
            {
                "sales.customers": 1913,
                "sales.orders": 12122,
                "service.tickets": 3018,
                "service.surveys": 12184,
                "finance.invoices": 11836,
                "finance.payments": 11836,
            },
        ),
        ("wholesaler", date(2011, 8, 31), {"sales.customers": 3360, "sales.orders": 11413, "sales.returns": 2427}),
    ],
)
def test_a_real_company_is_read_without_loss(company: str, as_of: date, expected: dict[str, int]) -> None:
    loaded = load_company(COMPANIES / company)
    if not all(source.path.is_dir() for source in loaded.sources):
        pytest.skip("the real data is not here: set EARLY_WARNING_SHARED_DATA")
    found = {
        data_set: read
        for source in loaded.sources
        for data_set, read in read_all(
            source, as_of=as_of, currency=loaded.currency, extracted_at=datetime(2026, 1, 1, tzinfo=UTC)
        ).items()
    }
    assert {data_set: read.critical for data_set, read in found.items() if read.critical} == {}
    assert {data_set: read.extract.rows for data_set, read in found.items()} == expected
    assert {data_set: read.extract.quarantined for data_set, read in found.items()} == dict.fromkeys(expected, 0)


def moment(text: str) -> datetime:
    """Read a timestamp as DuckDB writes it, with an offset such as +08 or -03:06."""
    stamp, sign, offset = text[:19], text[19:][-3:][0], text.rpartition(text[19:][-3:][0])[2]
    hours = int(offset) * (1 if sign == "+" else -1)
    return datetime.fromisoformat(stamp).replace(tzinfo=timezone(timedelta(hours=hours)))
