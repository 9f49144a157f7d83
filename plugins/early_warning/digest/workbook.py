"""A table as an XLSX workbook, for a reader who wants all rows. Text from outside stays text."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO

import xlsxwriter

from early_warning.digest.text import plain

Cell = str | int | Decimal | date | datetime | None

_LONGEST_TEXT = 16_000  # Excel takes 32,767 UTF-16 units, of which a character may need two
_LONGEST_SHEET_NAME = 31
_NOT_IN_SHEET_NAMES = str.maketrans(dict.fromkeys("[]:*?/\\", " "))
_GREATEST_NUMBER = 10**15  # Excel knows fifteen digits, a longer number would be another one
_FIRST_DAY = date(1900, 3, 1)  # before it Excel's calendar is off by one, or ends
_NARROWEST, _WIDEST, _FILTER_BUTTON = 8, 60, 3  # characters


def workbook(title: str, heads: Sequence[str], rows: Iterable[Sequence[Cell]], *, written_at: datetime) -> bytes:
    """Write one sheet: the heads, bold, in sight and with filters, and below them `rows`, each as long as `heads`.

    Text is written as text, whatever it looks like, on one line and without control or direction characters, at most
    16,000 of them. An int or Decimal is a number, whole or with two decimals; a date a day; a datetime day and minute
    as its own time zone's clock has them. What Excel can't hold as such is text. The same arguments give the same
    bytes; `written_at` (with its time zone) is all that they know of time.

    Raises:
        ValueError: when a row has more or fewer cells than there are heads.
    """
    file = BytesIO()
    book = xlsxwriter.Workbook(file, {"constant_memory": True})
    book.set_properties({"title": plain(title), "created": written_at.astimezone(UTC)})
    bold = book.add_format({"bold": True})
    formats = {
        str: book.add_format({"quote_prefix": True}),  # lest it becomes a formula when the reader edits the cell
        int: book.add_format({"num_format": "#,##0"}),
        Decimal: book.add_format({"num_format": "#,##0.00"}),
        date: book.add_format({"num_format": "yyyy-mm-dd"}),
        datetime: book.add_format({"num_format": "yyyy-mm-dd hh:mm"}),
    }
    page = book.add_worksheet(_sheet_name(title))
    page.freeze_panes(1, 0)
    widths = []
    for column, head in enumerate(heads):
        page.write_string(0, column, plain(head, _LONGEST_TEXT), bold)
        widths.append(_width(plain(head)) + _FILTER_BUTTON)
    last = 0
    for last, row in enumerate(rows, start=1):
        for column, (width, cell) in enumerate(zip(tuple(widths), row, strict=True)):
            value = _held(cell)
            if isinstance(value, str):
                page.write_string(last, column, value, formats[str])
            elif isinstance(value, date):
                page.write_datetime(last, column, value, formats[type(value)])
            elif value is not None:
                page.write_number(last, column, value, formats[type(value)])
            widths[column] = max(width, _width(_shown(value)))
    for column, width in enumerate(widths):
        page.set_column(column, column, min(max(width + 1, _NARROWEST), _WIDEST))
    page.autofilter(0, 0, last, len(heads) - 1)
    book.close()
    return file.getvalue()


def _held(cell: Cell) -> Cell:
    """Return the cell as Excel can hold it."""
    if isinstance(cell, str):
        return plain(cell, _LONGEST_TEXT)
    if isinstance(cell, datetime):
        cell = cell.replace(tzinfo=None)
        return cell if cell.date() >= _FIRST_DAY else f"{cell:%Y-%m-%d %H:%M}"
    if isinstance(cell, date):
        return cell if cell >= _FIRST_DAY else cell.isoformat()
    if isinstance(cell, Decimal) and not cell.is_finite():
        return str(cell)
    if cell is not None and not -_GREATEST_NUMBER < cell < _GREATEST_NUMBER:
        return str(cell)
    return cell


def _shown(value: Cell) -> str:
    """Return about what the cell shows, to be measured."""
    if isinstance(value, Decimal):
        return f"{value:,.2f}"
    if isinstance(value, int):
        return f"{value:,}"
    return "" if value is None else str(value)


def _width(text: str) -> int:
    """Return how many columns text takes, as far as that matters; a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text[:_WIDEST])


def _sheet_name(title: str) -> str | None:
    """Return the title as a sheet may be called, or None if nothing is left of it."""
    name = plain(title.translate(_NOT_IN_SHEET_NAMES))
    units = name.encode("utf-16-le")[: 2 * _LONGEST_SHEET_NAME]
    return units.decode("utf-16-le", "ignore").strip("' ") or None
