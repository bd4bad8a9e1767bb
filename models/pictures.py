"""Pictures for people: contact sheets, boxes on photos, curves. Pillow only, as small JPEGs or PNGs."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from curation.taxonomy import CATEGORIES
from models.boxes import Detection

Series = Mapping[str, Sequence[tuple[float, float]]]
"""Name of a line → its (x, y) points."""

COLOURS: Final = dict(
    zip(CATEGORIES, ("#e6550d", "#3182bd", "#d6409f", "#8a6d00", "#2f9e44", "#7048e8", "#0b9aa5"), strict=True)
)
"""One colour per category, readable on photos; the same on every picture."""

_INK, _FAINT, _PAPER = "#222222", "#d5d5d5", "#ffffff"
_GAP: Final = 6  # px between tiles
_LINE: Final = 14  # px per line of text
_WIDE, _HIGH, _MARGIN = 460, 260, 44  # px of a curve's picture and of its margin
_TICKS: Final = 4


def contact_sheet(
    images: Sequence[Image.Image], captions: Sequence[str] = (), columns: int = 8, tile: int = 96
) -> Image.Image:
    """Pictures in a grid, each fitted into `tile`×`tile` px, with a caption of up to two lines below.

    Raises `ValueError` when there is no picture, or captions are given but not one per picture.
    """
    if not images or (captions and len(captions) != len(images)):
        raise ValueError(f"contact sheet of {len(images)} pictures and {len(captions)} captions")
    columns = min(columns, len(images))
    height = tile + (2 * _LINE if captions else 0) + _GAP
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * (tile + _GAP) + _GAP, rows * height + _GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, image in enumerate(images):
        x, y = _GAP + index % columns * (tile + _GAP), _GAP + index // columns * height
        small = image.convert("RGB")
        small.thumbnail((tile, tile))
        sheet.paste(small, (x + (tile - small.width) // 2, y + (tile - small.height) // 2))
        for line, text in enumerate(_wrap(draw, captions[index], tile) if captions else ()):
            draw.text((x, y + tile + line * _LINE), text, _INK, _font(11))
    return sheet


def draw_boxes(image: Image.Image, detections: Sequence[Detection]) -> Image.Image:
    """A copy of a photo with its boxes, each named and scored."""
    picture = image.convert("RGB").copy()
    draw = ImageDraw.Draw(picture)
    width = max(2, picture.width // 200)
    for item in sorted(detections, key=lambda item: item.score):
        colour = COLOURS.get(item.category, _INK)  # type: ignore[call-overload]
        draw.rectangle(item.box, outline=colour, width=width)
        text = f"{item.category} {item.score:.2f}"
        left, top, right, bottom = draw.textbbox((item.box[0] + width, item.box[1] + width), text, _font(12))
        draw.rectangle((left - 2, top - 2, right + 2, bottom + 2), fill=colour)
        draw.text((item.box[0] + width, item.box[1] + width), text, _PAPER, _font(12))
    return picture


def curve(series: Series, title: str, x_name: str = "step") -> Image.Image:
    """Lines over a common x axis, with a legend. Raises `ValueError` when there is no point."""
    points = [point for line in series.values() for point in line]
    if not points:
        raise ValueError(f"curve {title!r} has no point")
    (x0, y0), (x1, y1) = np.min(points, axis=0).tolist(), np.max(points, axis=0).tolist()
    x1, y1 = (x1 if x1 > x0 else x0 + 1), (y1 if y1 > y0 else y0 + 1)
    image = Image.new("RGB", (_WIDE, _HIGH), _PAPER)
    draw = ImageDraw.Draw(image)

    def place(x: float, y: float) -> tuple[float, float]:
        across = _MARGIN + (x - x0) / (x1 - x0) * (_WIDE - 1.5 * _MARGIN)
        return across, _HIGH - _MARGIN - (y - y0) / (y1 - y0) * (_HIGH - 2 * _MARGIN)

    draw.text((_MARGIN, 8), title, _INK, _font(14))
    for tick in range(_TICKS + 1):
        x, y = x0 + (x1 - x0) * tick / _TICKS, y0 + (y1 - y0) * tick / _TICKS
        draw.line([place(x0, y), place(x1, y)], _FAINT)
        draw.text((4, place(x0, y)[1] - 6), f"{y:.3g}", _INK, _font(11))
        draw.text((place(x, y0)[0] - 10, _HIGH - _MARGIN + 6), f"{x:.4g}", _INK, _font(11))
    draw.text((_WIDE - _MARGIN, _HIGH - 18), x_name, _INK, _font(11), anchor="rt")
    for (name, line), colour, slot in zip(series.items(), _cycle(len(series)), range(len(series)), strict=True):
        draw.line([place(*point) for point in line], colour, width=2)
        draw.text((_WIDE - _MARGIN / 2, 8 + slot * _LINE), name, colour, _font(12), anchor="ra")
    return image


def tiled(charts: Sequence[Image.Image], columns: int) -> Image.Image:
    """Charts of one size side by side, row by row."""
    width, height = charts[0].size
    sheet = Image.new("RGB", (width * min(columns, len(charts)), height * -(-len(charts) // columns)), _PAPER)
    for index, chart in enumerate(charts):
        sheet.paste(chart, (index % columns * width, index // columns * height))
    return sheet


def _wrap(draw: ImageDraw.ImageDraw, text: str, width: int) -> list[str]:
    lines: list[str] = []
    for part in text.split("\n")[:2]:
        while part and draw.textlength(part, _font(11)) > width:
            part = part[:-1]
        lines.append(part)
    return lines


def _cycle(count: int) -> list[str]:
    colours = list(COLOURS.values())
    return [colours[index % len(colours)] for index in range(count)]


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
