"""Small charts for mails, as PNG and as text. Colours are chosen to be read on white and on dark ground alike."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from io import BytesIO
from math import floor, log10

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 240, 48
"""What `png` is to be shown at, in CSS pixels; it has twice as many, for sharp screens."""
KPI_WIDTH, KPI_HEIGHT = 600, 180
"""The same of `kpi_png`."""
SERIES_COLOURS = ("#3b82d0", "#c9741a")
"""The colours of the series of `kpi_png`, for a legend in the mail's own words."""

Values = Sequence[float | Decimal | None]
"""One value a month, oldest first; None where there is none."""

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_BLOCKS = "▁▂▃▄▅▆▇█"
_NORMAL, _LOW, _LINE = "#7089a8", "#d64550", "#b07d12"
_INK = "#7d8590"
_DENSITY = 2
_STUB = 4  # pixels: a month without an order is to be seen too
_DASH, _GAP, _THICK, _HALO = 12, 8, 4, 2


def png(values: Values, threshold: float | Decimal | None) -> bytes:
    """Draw a bar a value; those below the threshold stand out, and a dashed line shows it, if it is above zero.

    The bars begin at zero, a value below counts as zero. The same arguments give the same bytes.
    """
    amounts, line = [None if value is None else max(float(value), 0.0) for value in values], float(threshold or 0)
    width, height = WIDTH * _DENSITY, HEIGHT * _DENSITY
    image = Image.new("P", (width, height), 0)
    image.putpalette([part for colour in ("#000000", _NORMAL, _LOW, _LINE) for part in _rgb(colour)])
    draw = ImageDraw.Draw(image)
    greatest = max([line, *(amount for amount in amounts if amount is not None)]) or 1.0
    scale = (height - _THICK - _HALO) / greatest
    pitch = width / max(len(amounts), 1)
    for place, amount in enumerate(amounts):
        if amount is not None:
            top = height - max(round(amount * scale), _STUB)
            left, right = round((place + 0.15) * pitch), round((place + 0.85) * pitch) - 1
            draw.rectangle((left, top, right, height - 1), fill=2 if amount < line else 1)
    if line > 0:  # it cuts through the bars, but never so low that a month of nothing would go with it
        top = min(height - round(line * scale) - _THICK // 2, height - _STUB - _HALO - _THICK)
        draw.rectangle((0, top - _HALO, width - 1, top + _THICK + _HALO - 1), fill=0)
        for left in range(0, width, _DASH + _GAP):
            draw.rectangle((left, top, left + _DASH - 1, top + _THICK - 1), fill=3)
    file = BytesIO()
    image.save(file, "PNG", bits=2, transparency=0, optimize=True)
    return file.getvalue()


def text(values: Values) -> str:
    """Return a block character a value, from the lowest for zero to the full one for the greatest; none is a space."""
    heights = [None if value is None else max(float(value), 0.0) for value in values]
    greatest = max((value for value in heights if value is not None), default=0.0) or 1.0
    return "".join(" " if value is None else _BLOCKS[round(value / greatest * (len(_BLOCKS) - 1))] for value in heights)


def kpi_png(months: Sequence[str], series: Sequence[tuple[str, Values]]) -> bytes:
    """Draw one or two named series side by side, a group of bars a month, the months below, a scale from zero.

    Each series has as many values as there are months. Only ASCII is drawn, for a server need not have other letters: a
    month that is not is left out, and if a name is not, so is the legend, which the mail then has to give
    (SERIES_COLOURS). The same arguments give the same bytes.
    """
    width, height = KPI_WIDTH * _DENSITY, KPI_HEIGHT * _DENSITY
    image = Image.new("RGBA", (width, height), (*_rgb(_INK), 0))  # of the ink's colour, lest letters get a dark rim
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(11 * _DENSITY)
    top, bottom = 48, height - 40
    drawn = [float(value) for _, values in series for value in values if value is not None]
    greatest = _round_up(max(drawn, default=0.0))
    labels = {share: f"{share * greatest:,.10g}" for share in (0.0, 0.5, 1.0)}
    left = 24 + max(font.getlength(label) for label in labels.values())
    for share, label in labels.items():
        level = round(bottom - share * (bottom - top))
        draw.line((left, level, width - 1, level), fill=(*_rgb(_INK), 90 if share else 255), width=2)
        draw.text((left - 12, level), label, _INK, font, anchor="rm")
    pitch = (width - left) / max(len(months), 1)
    for place, month in enumerate(months):
        if month.isascii():
            draw.text((left + (place + 0.5) * pitch, bottom + 22), month, _INK, font, anchor="mm")
    bar = 0.7 * pitch / max(len(series), 1)
    for number, (_, values) in enumerate(series):
        for place, value in enumerate(values):
            if value is not None:
                start = round(left + (place + 0.15) * pitch + number * bar)
                level = bottom - max(round(max(float(value), 0.0) / greatest * (bottom - top)), _STUB)
                draw.rectangle((start, level, max(start, start + round(bar) - 3), bottom), fill=SERIES_COLOURS[number])
    if all(name.isascii() for name, _ in series):
        _draw_legend(draw, font, left, [name for name, _ in series])
    file = BytesIO()
    image.quantize(32, Image.Quantize.FASTOCTREE).save(file, "PNG", optimize=True)
    return file.getvalue()


def _draw_legend(draw: ImageDraw.ImageDraw, font: _Font, left: float, names: Sequence[str]) -> None:
    for name, colour in zip(names, SERIES_COLOURS, strict=False):
        draw.rectangle((left, 10, left + 18, 28), fill=colour)
        draw.text((left + 28, 19), name, _INK, font, anchor="lm")
        left += 60 + font.getlength(name)


def _round_up(value: float) -> float:
    """Return the next number that is easy to halve: a small one times a power of ten; 1 for nothing."""
    if value <= 0:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return next(step * power for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 20) if value <= step * power)


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour.removeprefix("#")))
