"""The small charts in mails: what their pixels say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from io import BytesIO
from itertools import pairwise

import pytest
from PIL import Image

from early_warning.digest import sparkline
from early_warning.digest.sparkline import HEIGHT, KPI_HEIGHT, KPI_WIDTH, SERIES_COLOURS, WIDTH, kpi_png, png, text

FALLING = [None, None, 1200, 900, 1500, 1100, 1300, 800, 900, 300, 120, 0]
NORMAL, LOW, LINE, NOTHING = "normal", "low", "line", "nothing"
GROUNDS = {"white": (255, 255, 255), "dark": (0x16, 0x1B, 0x22)}


def picture(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data)).convert("RGBA")


def seen(data: bytes) -> list[list[str]]:
    """What each pixel shows, row by row."""
    image = picture(data)
    names = {sparkline._rgb(getattr(sparkline, f"_{name.upper()}")): name for name in (NORMAL, LOW, LINE)}
    raw = image.tobytes()
    pixels = [raw[at : at + 4] for at in range(0, len(raw), 4)]
    assert {pixel[3] for pixel in pixels} <= {0, 255}
    told = [names[pixel[0], pixel[1], pixel[2]] if pixel[3] else NOTHING for pixel in pixels]
    return [told[row * image.width : (row + 1) * image.width] for row in range(image.height)]


def bars(data: bytes, count: int) -> list[tuple[str, int]]:
    """What stands in the middle of each month's column, and how far up it reaches, the line apart."""
    rows = seen(data)
    found = []
    for place in range(count):
        column = [row[round((place + 0.5) * len(row) / count)] for row in rows]
        filled = [number for number, what in enumerate(column) if what in (NORMAL, LOW)]
        found.append((column[-1], len(rows) - filled[0] if filled else 0))
    return found


def test_months_below_the_threshold_stand_out() -> None:
    kinds = [kind for kind, _ in bars(png(FALLING, 400), 12)]
    assert kinds == [NOTHING] * 2 + [NORMAL] * 7 + [LOW] * 3
    assert {kind for kind, _ in bars(png(FALLING, None), 12)} == {NOTHING, NORMAL}
    assert [kind for kind, _ in bars(png([399, 400, 401], 400), 3)] == [LOW, NORMAL, NORMAL]


def test_bars_are_as_high_as_their_values_and_a_month_of_nothing_is_seen() -> None:
    height = {value: top for value, (_, top) in zip(FALLING, bars(png(FALLING, None), 12), strict=True)}
    assert height[1500] >= 2 * HEIGHT * 0.9
    assert height[900] / height[1500] == pytest.approx(0.6, abs=0.02)
    assert 0 < height[0] < height[120]
    assert [top for _, top in bars(png([Decimal(5), -5], None), 2)][1] == height[0], "below zero counts as zero"


@pytest.mark.parametrize("threshold", [1, 400, 1499, 5000])
def test_threshold_is_a_dashed_line_that_no_bar_covers(threshold: float) -> None:
    rows = seen(png(FALLING, threshold))
    of_the_line = [number for number, row in enumerate(rows) if LINE in row]
    assert len(of_the_line) == 4
    for number in of_the_line:
        assert set(rows[number]) == {LINE, NOTHING}
        assert 0.5 < rows[number].count(LINE) / len(rows[number]) < 0.7
    for number in (of_the_line[0] - 1, of_the_line[-1] + 1):
        assert set(rows[number]) == {NOTHING}, "it would not be told from the bars it crosses"
    below = Counter(what for row in rows[of_the_line[-1] + 1 :] for what in row)
    assert below[LOW] > 0
    above = {what for row in rows[: of_the_line[0]] for what in row}
    assert LOW not in above


def test_threshold_of_nothing_draws_no_line() -> None:
    for threshold in (None, 0, Decimal(0)):
        assert LINE not in {what for row in seen(png(FALLING, threshold)) for what in row}


@pytest.mark.parametrize("values", [[], [None] * 12, [0] * 12, [7], [1e12] * 36])
def test_any_values_make_a_picture_and_a_text(values: Sequence[float | None]) -> None:
    for threshold in (None, 3.0):
        assert picture(png(values, threshold)).size == (2 * WIDTH, 2 * HEIGHT)
    assert len(text(values)) == len(values)


def test_picture_is_small_and_always_the_same() -> None:
    assert (WIDTH, HEIGHT) == (240, 48)
    data = png(FALLING, 400)
    assert data == png(tuple(None if value is None else Decimal(value) for value in FALLING), Decimal(400))
    assert data.startswith(b"\x89PNG")
    assert len(data) < 600
    assert b"tIME" not in data


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("colour", [sparkline._NORMAL, sparkline._LOW, sparkline._LINE, *SERIES_COLOURS])
def test_colours_are_told_from_light_and_dark_ground(colour: str, ground: str) -> None:
    one, other = sorted((luminance(sparkline._rgb(colour)), luminance(GROUNDS[ground])))
    assert (other + 0.05) / (one + 0.05) >= 3, "WCAG 2.2, 1.4.11: graphics stand out 3 to 1"


def luminance(colour: Sequence[int]) -> float:
    linear = [part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_says_the_same_in_blocks() -> None:
    assert text([None, 0, 100, 200, 700]) == " ▁▂▃█"
    assert text([Decimal(3), Decimal(3), None]) == "██ "
    assert text([0, 0]) == "▁▁"
    assert text([]) == ""


MONTHS = [f"{month:02}" for month in range(1, 13)]
RATIO = [0.4, 0.5, 0.6, None, 0.7, 0.66, 0.71, 0.74, 0.77, 0.75, 0.8, 0.8]


def colours_in(data: bytes) -> set[tuple[int, ...]]:
    image = picture(data)
    found = image.getcolors(image.width * image.height)
    assert found is not None
    return {pixel[:3] for count, pixel in found if isinstance(pixel, tuple) and pixel[3] == 255 and count > 100}


def test_kpi_chart_has_a_bar_a_month_and_series() -> None:
    first, second = map(sparkline._rgb, SERIES_COLOURS)
    data = kpi_png(MONTHS, [("accuracy", RATIO), ("recall", [0.3] * 12)])
    image = picture(data)
    assert image.size == (2 * KPI_WIDTH, 2 * KPI_HEIGHT)
    assert KPI_WIDTH <= 600
    assert KPI_HEIGHT <= 180
    assert len(data) < 6000
    assert data == kpi_png(MONTHS, [("accuracy", RATIO), ("recall", [0.3] * 12)])

    lowest = image.height - 50
    along = [image.getpixel((x, lowest))[:3] for x in range(image.width)]
    begun = Counter(pixel for before, pixel in pairwise(along) if pixel != before)
    assert (begun[first], begun[second]) == (11, 12), "one month of the first series has no value"
    assert colours_in(data) >= {first, second}
    assert second not in colours_in(kpi_png(MONTHS, [("accuracy", RATIO)]))


def test_kpi_chart_draws_no_letters_that_a_server_may_lack() -> None:
    silent = kpi_png([""], [("", [1.0])])
    assert kpi_png(["一月"], [("", [1.0])]) == silent, "a box would stand where the letter is missing"
    assert kpi_png(["01"], [("", [1.0])]) != silent
    without_legend = kpi_png(["01"], [("准确率", [1.0])])
    assert without_legend == kpi_png(["01"], [("有效预警的准确率", [1.0])])
    assert without_legend != kpi_png(["01"], [("accuracy", [1.0])])


@pytest.mark.parametrize(
    ("greatest", "top"), [(0, 1), (0.82, 1), (1, 1), (1000, 1000), (1234567, 1500000), (0.021, 0.025), (9.7, 10)]
)
def test_scale_ends_at_a_number_that_is_easy_to_halve(greatest: float, top: float) -> None:
    assert sparkline._round_up(greatest) == pytest.approx(top)
