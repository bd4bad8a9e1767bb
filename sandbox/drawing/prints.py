"""Prints: the logos, shapes and pseudo-words that are put on garments, as masks."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

SIDE: Final = 128
"""Width and height of a print's mask, px."""

Canvas = ImageDraw.ImageDraw
Point = tuple[float, float]


def _star(draw: Canvas, rng: np.random.Generator) -> None:
    points = int(rng.integers(5, 7))
    angles = np.arange(2 * points) * np.pi / points - np.pi / 2
    radii = np.where(np.arange(2 * points) % 2, 26, 62)
    draw.polygon([(64 + r * np.cos(a), 64 + r * np.sin(a)) for r, a in zip(radii, angles, strict=True)], fill=255)


def _heart(draw: Canvas, rng: np.random.Generator) -> None:
    t = np.linspace(0, 2 * np.pi, 60)
    x = 64 + 3.7 * 16 * np.sin(t) ** 3
    y = 60 - 3.7 * (13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    draw.polygon(list(zip(x.tolist(), y.tolist(), strict=True)), fill=255)
    if rng.random() < 0.5:
        draw.line([(64, 30), (52, 60), (76, 78), (64, 112)], fill=0, width=8)


def _disc(draw: Canvas, rng: np.random.Generator) -> None:
    draw.ellipse((6, 6, 122, 122), fill=255)
    if rng.random() < 0.5:
        draw.rectangle((0, 70, 128, 80), fill=0)
        draw.rectangle((0, 92, 128, 99), fill=0)


def _triangle(draw: Canvas, rng: np.random.Generator) -> None:
    draw.polygon([(64, 8), (122, 112), (6, 112)], fill=255)
    if rng.random() < 0.5:
        draw.polygon([(64, 50), (92, 98), (36, 98)], fill=0)


def _bolt(draw: Canvas, rng: np.random.Generator) -> None:
    lean = float(rng.uniform(-8, 8))
    draw.polygon([(76 + lean, 2), (24, 74), (58, 74), (44 - lean, 126), (106, 50), (70, 50)], fill=255)


def _smile(draw: Canvas, rng: np.random.Generator) -> None:
    draw.ellipse((6, 6, 122, 122), fill=255)
    height = int(rng.integers(30, 46))
    for x in (36, 76):
        draw.ellipse((x, height, x + 16, height + 24), fill=0)
    draw.arc((30, 40, 98, 104), 20, 160, fill=0, width=11)


def _letters(draw: Canvas, rng: np.random.Generator, box: tuple[int, int, int, int], count: int, ink: int) -> None:
    """Draw `count` pseudo-letters: two or three strokes each between the nine points of a grid."""
    step = (box[2] - box[0]) / count
    for i in range(count):
        left, right = box[0] + i * step + step * 0.15, box[0] + (i + 1) * step - step * 0.15
        grid = [(x, y) for x in (left, (left + right) / 2, right) for y in (box[1], (box[1] + box[3]) / 2, box[3])]
        spots = [grid[int(k)] for k in rng.choice(9, size=int(rng.integers(3, 5)), replace=False)]
        draw.line([(left, box[1]), (left, box[3]), *spots], fill=ink, width=11, joint="curve")


def _word(draw: Canvas, rng: np.random.Generator) -> None:
    _letters(draw, rng, (2, 40, 126, 88), int(rng.integers(3, 5)), 255)


def _box_word(draw: Canvas, rng: np.random.Generator) -> None:
    draw.rectangle((0, 26, 128, 102), fill=255)
    _letters(draw, rng, (12, 44, 116, 84), int(rng.integers(3, 5)), 0)


def _number(draw: Canvas, rng: np.random.Generator) -> None:
    segments = ((0, 0, 1, 0), (1, 0, 1, 1), (1, 1, 1, 2), (0, 2, 1, 2), (0, 1, 0, 2), (0, 0, 0, 1), (0, 1, 1, 1))
    lit = ("0123456", "12", "01346", "01236", "1256", "02356", "023456", "012", "0123456", "012356")
    for left in (12, 74):
        for k in lit[int(rng.integers(10))]:
            x0, y0, x1, y1 = segments[int(k)]
            draw.line((left + 42 * x0, 16 + 48 * y0, left + 42 * x1, 16 + 48 * y1), fill=255, width=15)


def _cross(draw: Canvas, rng: np.random.Generator) -> None:
    arm = int(rng.integers(14, 24))
    draw.rectangle((64 - arm, 6, 64 + arm, 122), fill=255)
    draw.rectangle((6, 64 - arm, 122, 64 + arm), fill=255)


def _moon(draw: Canvas, rng: np.random.Generator) -> None:
    draw.ellipse((6, 6, 122, 122), fill=255)
    shift = int(rng.integers(28, 44))
    draw.ellipse((6 + shift, -2, 122 + shift, 112), fill=0)


def _ring(draw: Canvas, rng: np.random.Generator) -> None:
    draw.ellipse((4, 4, 124, 124), outline=255, width=18)
    hole = int(rng.integers(12, 24))
    draw.ellipse((64 - hole, 64 - hole, 64 + hole, 64 + hole), fill=255)


def _cat(draw: Canvas, rng: np.random.Generator) -> None:
    draw.polygon([(12, 4), (50, 40), (14, 66)], fill=255)
    draw.polygon([(116, 4), (78, 40), (114, 66)], fill=255)
    draw.ellipse((10, 28, 118, 122), fill=255)
    size = int(rng.integers(12, 20))
    for x in (40, 88):
        draw.ellipse((x - size / 2, 60, x + size / 2, 60 + size * 1.3), fill=0)
    draw.polygon([(56, 92), (72, 92), (64, 102)], fill=0)


_KINDS: Final[Mapping[str, Callable[[Canvas, np.random.Generator], None]]] = {
    "word": _word,
    "star": _star,
    "heart": _heart,
    "disc": _disc,
    "triangle": _triangle,
    "bolt": _bolt,
    "smile": _smile,
    "number": _number,
    "box_word": _box_word,
    "cross": _cross,
    "moon": _moon,
    "ring": _ring,
    "cat": _cat,
}
PRINTS: Final = ("none", *_KINDS)
"""Names of all prints, none first."""


@lru_cache(128)
def print_mask(kind: str, seed: int) -> Image.Image:
    """Return the (SIDE, SIDE) mask of a print; `seed` picks letters and small differences. KeyError: unknown kind."""
    mask = Image.new("L", (SIDE, SIDE), 0)
    _KINDS[kind](ImageDraw.Draw(mask), np.random.default_rng(seed))
    return mask
