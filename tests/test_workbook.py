"""The workbook in which a reader gets all rows: what stands in it, and what hostile text becomes there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO
from zipfile import ZipFile

import fastexcel
import pytest

from early_warning.digest.workbook import Cell, workbook

WRITTEN_AT = datetime.fromisoformat("2026-07-01T08:00:00+08:00")
HEADS = ("客户", "Level", "Money at risk", "Since", "Deadline")
ROW: tuple[Cell, ...] = (
    "华辰工业品有限公司",
    2,
    Decimal("1234567.80"),
    date(2026, 6, 30),
    datetime(2026, 7, 4, 12, 30, tzinfo=UTC),
)


def written(*rows: Sequence[Cell], title: str = "Warnings", heads: Sequence[str] = HEADS) -> bytes:
    return workbook(title, heads, rows, written_at=WRITTEN_AT)


def texts(book: bytes) -> list[list[object]]:
    """All cells below the heads, as a reader of spreadsheets finds them."""
    sheet = fastexcel.read_excel(book).load_sheet(0, header_row=None, skip_rows=1, dtypes="string")
    return [list(row.values()) for row in sheet.to_arrow().to_pylist()]


def part(book: bytes, name: str) -> str:
    with ZipFile(BytesIO(book)) as parts:
        return parts.read(name).decode("utf-8")


def sheet_of(book: bytes) -> str:
    return part(book, "xl/worksheets/sheet1.xml")


def test_cells_are_what_they_are() -> None:
    book = fastexcel.read_excel(written(ROW, (None,) * 5))
    assert book.sheet_names == ["Warnings"]
    [row, *empty] = book.load_sheet(0).to_arrow().to_pylist()
    assert row == {
        "客户": "华辰工业品有限公司",
        "Level": 2,
        "Money at risk": 1234567.8,
        "Since": datetime(2026, 6, 30),
        "Deadline": datetime(2026, 7, 4, 12, 30),
    }
    assert not any(value for each in empty for value in each.values())


def test_heads_are_bold_and_stay_in_sight_and_filter() -> None:
    book = written(ROW, ROW)
    sheet, styles = sheet_of(book), part(book, "xl/styles.xml")
    assert '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>' in sheet
    assert '<autoFilter ref="A1:E3"/>' in sheet
    [head_style] = set(re.findall(r'<c r="[A-E]1" s="(\d+)"', sheet))
    style = re.findall(r"<xf [^>]*", styles.partition("<cellXfs")[2])[int(head_style)]
    assert 'fontId="1"' in style
    assert styles.partition("</font>")[2].startswith("<font><b/>")


def test_numbers_and_days_have_formats() -> None:
    book = written(ROW)
    sheet, styles = sheet_of(book), part(book, "xl/styles.xml")
    own = dict(re.findall(r'<numFmt numFmtId="(\d+)" formatCode="([^"]+)"', styles)) | {"3": "#,##0", "4": "#,##0.00"}
    formats = re.findall(r'<xf numFmtId="(\d+)"', styles.partition("<cellXfs")[2])
    used = {cell: own[formats[int(style)]] for cell, style in re.findall(r'<c r="([B-E])2" s="(\d+)"', sheet)}
    assert used == {"B": "#,##0", "C": "#,##0.00", "D": "yyyy-mm-dd", "E": "yyyy-mm-dd hh:mm"}


def test_columns_are_as_wide_as_what_stands_in_them_within_reason() -> None:
    heads = ("a", "b", "c", "d")
    sheet = sheet_of(written(("华辰" * 5, "y" * 500, "x" * 20, 1), heads=heads))
    chinese, endless, latin, short = (float(width) for width in re.findall(r'<col [^>]*width="([\d.]+)"', sheet))
    assert chinese == latin, "a Chinese character takes two columns"
    assert 20 < latin < 24
    assert short < latin < endless < 70


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("=cmd|'/c calc'!A1", "=cmd|'/c calc'!A1"),
        ("+1-1", "+1-1"),
        ("@SUM(A1)", "@SUM(A1)"),
        ("{=1+1}", "{=1+1}"),
        ("007", "007"),
        ("https://evil.example/", "https://evil.example/"),
        ("<b>&amp;</b>", "<b>&amp;</b>"),
        ("_x000D_", "_x000D_"),
        ("one\r\ntwo\x00\x07", "one two"),
        ("abc\u202egnp.exe", "abc gnp.exe"),
    ],
)
def test_hostile_text_is_nothing_but_text(text: str, held: str) -> None:
    book = written((text,), title=text, heads=(text,))
    assert texts(book) == [[held]]
    sheet = sheet_of(book)
    assert "<f>" not in sheet
    assert "hyperlink" not in sheet
    assert re.findall(r'<c r="A2"[^>]* t="(\w+)"', sheet) == ["inlineStr"]
    assert 'quotePrefix="1"' in part(book, "xl/styles.xml"), "it would be a formula once somebody edits the cell"


@pytest.mark.parametrize("character", ["x", "客", "😀"])
def test_text_is_never_longer_than_excel_takes(character: str) -> None:
    [[held]] = texts(written((character * 40_000,), heads=("a",)))
    assert isinstance(held, str)
    assert len(held.encode("utf-16-le")) / 2 <= 32_767
    assert held.endswith(f"{character}…")


def test_what_excel_cannot_hold_as_a_number_or_a_day_is_text() -> None:
    cells = (10**15, -(10**15), Decimal("NaN"), Decimal("Infinity"), date(1900, 2, 28), datetime(1066, 10, 14, 9))
    expected = [
        *("1000000000000000", "-1000000000000000", "NaN", "Infinity"),
        *("1900-02-28", "1066-10-14 09:00"),
    ]
    book = written(cells, heads="abcdef")
    assert texts(book) == [expected]
    assert "<v>" not in sheet_of(book)


def test_title_becomes_a_name_that_a_sheet_may_have() -> None:
    def name(title: str) -> str:
        [found] = fastexcel.read_excel(written(ROW, title=title)).sheet_names
        return str(found)

    assert name("'All: [my] warnings/2026?'") == "All my warnings 2026"
    assert name("预警" * 40) == ("预警" * 40)[:31]
    assert name("😀" * 40) == "😀" * 15
    assert name("[]:*?/\\") == "Sheet1"


def test_same_rows_give_the_same_bytes_whenever_they_are_written() -> None:
    first = written(ROW)
    assert written(ROW) == first
    core = part(first, "docProps/core.xml")
    assert re.findall(r"W3CDTF\">([^<]+)<", core) == ["2026-07-01T00:00:00Z"] * 2
    with ZipFile(BytesIO(first)) as parts:
        assert {each.date_time[0] for each in parts.infolist()} == {1980}


def test_rows_are_read_one_after_another_and_must_fit_the_heads() -> None:
    book = workbook("Many", ("n",), ((number,) for number in range(3000)), written_at=WRITTEN_AT)
    assert len(texts(book)) == 3000
    assert texts(written()) == []
    with pytest.raises(ValueError, match="zip"):
        written((*ROW, "one too many"))
