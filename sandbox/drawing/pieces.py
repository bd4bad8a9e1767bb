"""Pieces of cloth: flat rasters in head heights, with fabric, seams and prints, ready to be bent onto a body."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from sandbox.drawing.palette import Colour, darker, lighter, luminance
from sandbox.drawing.patterns import pattern_map
from sandbox.drawing.prints import print_mask
from sandbox.drawing.style import GarmentStyle

UNIT: Final = 96
"""Pixels per head height of a flat piece: a little finer than the largest photo shows it."""
Point = tuple[float, float]
_EDGE_BLUR: Final = 8  # px of a piece over which it darkens towards its edge
_COARSE: Final = 4  # the wide blur works on a mask this much smaller
_EDGE_DARK: Final = 0.60  # light that is left right at the edge
_OUTLINE: Final = 0.55  # light of the one-pixel outline
_HALF: Final = 255 / 2  # of a blurred mask: where the outline runs
_SHADE: Final = [int(255 * (_EDGE_DARK + (1 - _EDGE_DARK) * min(1, max(0, v / _HALF - 1)) ** 0.6)) for v in range(256)]
_LINE: Final = [int(255 * (_OUTLINE + (1 - _OUTLINE) * (v / 255) ** 3)) for v in range(256)]
_ALPHA: Final = [int(min(255, max(0, (v - 60) * 1.6))) for v in range(256)]
"""Tables from a blurred mask to light near the edge, light on the outline, and opacity."""


@dataclass(frozen=True)
class Part:
    """A finished piece. `bone` names the bone or frame it hangs on; `x0`, `y0` place its corner, in head heights."""

    bone: str
    image: Image.Image  # RGBa: colours already multiplied by opacity, as bending needs them
    x0: float
    y0: float
    unit: int = UNIT  # px per head height

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom in head heights."""
        return self.x0, self.y0, self.x0 + self.image.width / self.unit, self.y0 + self.image.height / self.unit

    def between(self, top: float, low: float, bone: str) -> "Part":
        """Return what lies between two lengths along the bone, to hang on another bone."""
        y0, y1 = (min(self.image.height, max(0, round((s - self.y0) * self.unit))) for s in (top, low))
        image = self.image.crop((0, y0, self.image.width, y1))
        return Part(bone, image, self.x0, self.y0 + y0 / self.unit, self.unit)


def seam(colour: Colour) -> Colour:
    """Return the colour of a seam that shows on this cloth."""
    return darker(colour, 0.45) if luminance(colour) > 75 else lighter(colour, 0.35)  # 75: dark cloth needs light seams


def symmetric(side: Sequence[Point]) -> list[Point]:
    """Close the right side of an outline (top to bottom) by its mirror image."""
    return [*side, *((-x, y) for x, y in reversed(side))]


def smooth(points: Sequence[Point], steps: int = 5) -> list[Point]:
    """Return an open Catmull-Rom curve through the points."""
    p = np.array([points[0], *points, points[-1]], dtype=float)
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    curve = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(p[:-3], p[1:-2], p[2:-1], p[3:], strict=True)
    ]
    return [(float(x), float(y)) for x, y in np.vstack([*curve, p[-1:]])]


def oval(x: float, y: float, rx: float, ry: float, count: int = 28) -> list[Point]:
    """Return an ellipse as a polygon."""
    return [(x + rx * float(np.cos(a)), y + ry * float(np.sin(a))) for a in np.linspace(0, 2 * np.pi, count, False)]


def rectangle(x0: float, y0: float, x1: float, y1: float) -> list[Point]:
    """Return a rectangle as a polygon."""
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def _looked_up(mask: Image.Image, table: list[int]) -> Image.Image:
    """Send every value through a table; PIL's own `point` is slow to read a list."""
    return Image.fromarray(np.asarray(table, dtype=np.uint8)[np.asarray(mask)])


class Piece:
    """A flat drawing surface over `bounds` (left, top, right, bottom in head heights).

    `fabric` and `fill` add to the outline; everything else draws only on what is already there.
    """

    def __init__(self, bounds: tuple[float, float, float, float], unit: int = UNIT) -> None:
        self.x0, self.y0 = bounds[:2]
        self.unit = unit
        self.size = (round((bounds[2] - bounds[0]) * unit), round((bounds[3] - bounds[1]) * unit))
        self.colour = Image.new("RGB", self.size)
        self.mask = Image.new("L", self.size)
        self._ink = ImageDraw.Draw(self.colour)
        self._cutter = ImageDraw.Draw(self.mask)

    def _px(self, points: Sequence[Point]) -> list[Point]:
        return [((x - self.x0) * self.unit, (y - self.y0) * self.unit) for x, y in points]

    def fabric(self, outline: Sequence[Point], style: GarmentStyle, origin: Point = (0.0, 0.0)) -> None:
        """Add an area of the style's own cloth. `origin` is where this piece's (0, 0) lies on the cloth."""
        area = Image.new("L", self.size)
        ImageDraw.Draw(area).polygon(self._px(outline), fill=255)
        self.colour.paste(self._cloth(style, origin), mask=area)
        self.mask.paste(255, mask=area)

    def _cloth(self, style: GarmentStyle, origin: Point) -> Image.Image:
        x = (np.arange(self.size[0], dtype=np.float32) / np.float32(self.unit) + np.float32(self.x0 + origin[0]))[
            None, :
        ]
        y = (np.arange(self.size[1], dtype=np.float32) / np.float32(self.unit) + np.float32(self.y0 + origin[1]))[
            :, None
        ]
        share = pattern_map(style.pattern, x, y, style.pattern_scale)
        plain = Image.new("RGB", self.size, style.main)
        if share is None:
            return plain
        weave = Image.fromarray((np.broadcast_to(share, self.size[::-1]) * 255).astype(np.uint8))
        return Image.composite(Image.new("RGB", self.size, style.second), plain, weave)

    def fill(self, outline: Sequence[Point], colour: Colour) -> None:
        """Add an area of one colour."""
        self._cutter.polygon(self._px(outline), fill=255)
        self._ink.polygon(self._px(outline), fill=colour)

    def ink(self, outline: Sequence[Point], colour: Colour) -> None:
        """Paint an area of what is there."""
        self._ink.polygon(self._px(outline), fill=colour)

    def cut(self, outline: Sequence[Point]) -> None:
        """Take an area away."""
        self._cutter.polygon(self._px(outline), fill=0)

    def line(self, points: Sequence[Point], colour: Colour, width: float = 0.02) -> None:
        """Paint a line `width` head heights wide."""
        self._ink.line(self._px(points), fill=colour, width=max(1, round(width * self.unit)), joint="curve")

    def cord(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """Add a strap or handle: a line that belongs to the outline."""
        self._cutter.line(self._px(points), fill=255, width=round(width * self.unit), joint="curve")
        self.line(points, colour, width)

    def stamp(self, style: GarmentStyle, centre: Point, width: float) -> None:
        """Put the style's print, if it has one, around `centre`."""
        if style.print_ == "none":
            return
        side = max(8, round(width * self.unit))
        mask = print_mask(style.print_, style.print_seed).resize((side, side), Image.Resampling.BILINEAR)
        x, y = self._px([centre])[0]
        self.colour.paste(Image.new("RGB", mask.size, style.accent), (round(x - side / 2), round(y - side / 2)), mask)

    def part(self, bone: str) -> Part:
        """Finish: soften the outline, darken towards the edges, and name the bone it hangs on."""
        coarse = self.mask.reduce(_COARSE).filter(ImageFilter.BoxBlur(_EDGE_BLUR / _COARSE * self.unit / UNIT))
        soft = coarse.resize(self.size, Image.Resampling.BILINEAR)
        edge = self.mask.filter(ImageFilter.BoxBlur(1))
        shade = ImageChops.multiply(_looked_up(soft, _SHADE), _looked_up(edge, _LINE))
        image = ImageChops.multiply(self.colour, Image.merge("RGB", (shade, shade, shade)))
        image.putalpha(_looked_up(edge, _ALPHA))
        left, top, right, low = image.getbbox(alpha_only=True) or (0, 0, 1, 1)
        corner = (self.x0 + left / self.unit, self.y0 + top / self.unit)
        return Part(bone, image.crop((left, top, right, low)).convert("RGBa"), *corner, self.unit)
