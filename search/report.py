"""Queries as pictures: the photo with its boxes, and beside each box the products that the index gave."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import nlargest
from io import BytesIO
from operator import attrgetter
from typing import Final

from PIL import Image, ImageDraw, ImageFont, ImageOps

from curation.images import decode
from models.boxes import cut
from search.index import Hit
from search.photo import scaled
from search.protocols import ProductIndex
from search.query import Garment, SearchService
from search.trials import Trial

CATEGORY_COLOURS: Final = {
    "bag": "#b45309",
    "bottom": "#1d4ed8",
    "dress": "#be185d",
    "hat": "#7c3aed",
    "outer": "#0f766e",
    "shoes": "#b91c1c",
    "top": "#15803d",
}
"""The page uses the same ones."""
_NEUTRAL: Final = "#475569"
_RIGHT: Final = "#16a34a"
_INK: Final = "#111827"
_PAPER: Final = "white"
_TILE: Final = 96  # px, side of a crop or thumbnail
_CAPTION: Final = 16  # px, line under a tile
_GAP: Final = 8  # px
_PHOTO: Final = 300  # px, height of the query photo
_ROWS: Final = 5  # garments per query: more would dwarf the photo
_FONT: Final = 11  # px


@dataclass(frozen=True, slots=True)
class ReportQuery:
    """A photo to show, and what should be found on it where that is known."""

    photo: bytes
    title: str = ""
    expected: frozenset[str] = frozenset()  # product ids of the index; their thumbnails get a green frame


def report_sheet(
    service: SearchService, queries: Sequence[ReportQuery], top: int = 5, columns: int = 3
) -> tuple[Image.Image, int]:
    """One picture of several queries with boxes and neighbours, and how many of them found any.

    Raises:
        ValueError: there is no query.
        BadPhotoError: a photo is no usable picture.
    """
    if not queries:
        raise ValueError("queries: at least one, got none")
    pictures, found = [], 0
    for query in queries:
        garments = service.search(query.photo, top=top).garments
        pictures.append(query_picture(service.index, decode(query.photo), garments, top, query))
        found += any(garment.hits for garment in garments)
    return _grid(pictures, columns), found


def query_picture(
    index: ProductIndex, photo: Image.Image, garments: Sequence[Garment], top: int = 5, query: ReportQuery | None = None
) -> Image.Image:
    """One query: the photo with all its boxes, and beside it a row of crop and `top` neighbours per category."""
    expected = query.expected if query else frozenset()
    shown = _one_per_category(garments)[:_ROWS]
    scale = _PHOTO / photo.height
    left = draw_boxes(photo.resize((max(1, round(photo.width * scale)), _PHOTO)), garments, scale)
    row_height = _TILE + _CAPTION + _GAP
    width = left.width + 2 * _GAP + (top + 1) * (_TILE + _GAP)
    sheet = Image.new("RGB", (width, max(_PHOTO, len(shown) * row_height) + _CAPTION + 2 * _GAP), _PAPER)
    _write(sheet, (_GAP, _GAP // 2), query.title if query else "", _INK)
    sheet.paste(left, (_GAP, _CAPTION + _GAP))
    for row, garment in enumerate(shown):
        y = _CAPTION + _GAP + row * row_height
        colour = _colour(garment.category)
        _tile(sheet, (left.width + 2 * _GAP, y), cut(photo, garment.box), _label(garment), colour, colour)
        for place, hit in enumerate(garment.hits[:top], 1):
            x = left.width + 2 * _GAP + place * (_TILE + _GAP)
            frame = _RIGHT if hit.product.id in expected else None
            _tile(sheet, (x, y), _thumbnail(index, hit), f"{hit.score:.2f} {hit.product.product_id}", _INK, frame)
    return sheet


def draw_boxes(photo: Image.Image, garments: Sequence[Garment], scale: float = 1.0) -> Image.Image:
    """The photo with each garment's box and name; `scale` takes box pixels to photo pixels."""
    drawn = photo.copy()
    pen = ImageDraw.Draw(drawn)
    for garment in garments:
        x0, y0, x1, y1 = scaled(garment.box, scale)
        pen.rectangle((x0, y0, x1, y1), outline=_colour(garment.category), width=2)
    for garment in garments:  # names last, so that no box runs through them
        x0, y0, _, _ = scaled(garment.box, scale)
        left, top, right, bottom = pen.textbbox((x0 + 3, max(0.0, y0)), _label(garment), font=_font())
        pen.rectangle((left - 3, top - 2, right + 3, bottom + 2), fill=_colour(garment.category))
        pen.text((x0 + 3, max(0.0, y0)), _label(garment), fill=_PAPER, font=_font())
    return drawn


def worst_sheet(index: ProductIndex, trials: Iterable[Trial], count: int = 9, top: int = 5) -> Image.Image:
    """The `count` trials whose product came latest: crop, product that was worn (green), what was found instead.

    No more than those are kept while the trials stream by: they hold their crops.

    Raises:
        ValueError: there is no trial.
    """
    worst = nlargest(count, trials, key=attrgetter("rank"))
    if not worst:
        raise ValueError("trials: at least one, got none")
    row_height = _TILE + _CAPTION + _GAP
    sheet = Image.new("RGB", (_GAP + (top + 2) * (_TILE + _GAP), _GAP + len(worst) * row_height), _PAPER)
    for row, trial in enumerate(worst):
        y = _GAP + row * row_height
        _tile(sheet, (_GAP, y), trial.crop, trial.category, _colour(trial.category), _colour(trial.category))
        worn = Image.open(BytesIO(index.thumbnail(trial.expected))).convert("RGB")
        _tile(sheet, (_GAP + _TILE + _GAP, y), worn, f"came at {trial.rank}", _INK, _RIGHT)
        for place, hit in enumerate(trial.hits[:top], 2):
            frame = _RIGHT if hit.product.id == trial.expected else None
            x = _GAP + place * (_TILE + _GAP)
            _tile(sheet, (x, y), _thumbnail(index, hit), f"{hit.score:.2f} {hit.product.product_id}", _INK, frame)
    return sheet


def _one_per_category(garments: Sequence[Garment]) -> list[Garment]:
    """The surest garment of each class: the second shoe of a pair would repeat the first one's row."""
    best: dict[str | None, Garment] = {}
    for garment in garments:
        best.setdefault(garment.category, garment)
    return list(best.values())


def _grid(pictures: Sequence[Image.Image], columns: int) -> Image.Image:
    rows = [pictures[start : start + columns] for start in range(0, len(pictures), columns)]
    widths = [max(row[at].width for row in rows if at < len(row)) for at in range(len(rows[0]))]
    heights = [max(picture.height for picture in row) for row in rows]
    sheet = Image.new("RGB", (sum(widths), sum(heights)), _PAPER)
    for r, row in enumerate(rows):
        for c, picture in enumerate(row):
            sheet.paste(picture, (sum(widths[:c]), sum(heights[:r])))
    return sheet


def _tile(
    sheet: Image.Image, at: tuple[int, int], picture: Image.Image, caption: str, ink: str, frame: str | None
) -> None:
    sheet.paste(ImageOps.pad(picture, (_TILE, _TILE), color=_PAPER), at)
    if frame:
        ImageDraw.Draw(sheet).rectangle((*at, at[0] + _TILE - 1, at[1] + _TILE - 1), outline=frame, width=3)
    _write(sheet, (at[0], at[1] + _TILE + 2), caption, ink)


def _write(sheet: Image.Image, at: tuple[int, int], text: str, ink: str) -> None:
    ImageDraw.Draw(sheet).text(at, text, fill=ink, font=_font())


def _thumbnail(index: ProductIndex, hit: Hit) -> Image.Image:
    return Image.open(BytesIO(index.thumbnail(hit.product.id))).convert("RGB")


def _label(garment: Garment) -> str:
    name = garment.category or "any"
    return name if garment.score is None else f"{name} {garment.score:.2f}"


def _colour(category: str | None) -> str:
    return CATEGORY_COLOURS.get(category or "", _NEUTRAL)


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(_FONT)
