"""Where people stand: streets, rooms, walls, shelves, parks and mirrors, with clutter."""

from collections.abc import Callable
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from sandbox.drawing.palette import Colour, darker, lighter, mix

Canvas = ImageDraw.ImageDraw
_MUTED: Final = (0.25, 0.7)
"""Saturation of what is behind people: streets and rooms are paler than clothes."""
_TINTS: Final[tuple[Colour, ...]] = (
    (222, 214, 202), (198, 204, 208), (176, 186, 178), (214, 190, 176), (150, 156, 168), (236, 232, 226),
    (120, 112, 108), (186, 170, 190), (164, 196, 204), (200, 178, 140),
)  # fmt: skip


def _tint(rng: np.random.Generator, spread: int = 18) -> Colour:
    base = _TINTS[int(rng.integers(len(_TINTS)))]
    r, g, b = (int(np.clip(c + rng.integers(-spread, spread + 1), 0, 255)) for c in base)
    return r, g, b


def _any(rng: np.random.Generator) -> Colour:
    r, g, b = rng.integers(30, 230, size=3).tolist()
    return r, g, b


def _street(draw: Canvas, size: tuple[int, int], rng: np.random.Generator) -> None:
    width, height = size
    horizon = int(height * rng.uniform(0.55, 0.75))
    draw.rectangle((0, 0, width, horizon), fill=mix((190, 212, 232), (236, 232, 224), float(rng.random())))
    x = -10
    while x < width:
        wide, top = int(rng.integers(50, 140)), int(horizon * rng.uniform(0.0, 0.55))
        wall = _tint(rng)
        draw.rectangle((x, top, x + wide, horizon), fill=wall)
        step, pane = int(rng.integers(18, 34)), darker(wall, float(rng.uniform(0.15, 0.45)))
        for wx in range(x + 8, x + wide - 10, step):
            for wy in range(top + 10, horizon - 20, step + 8):
                draw.rectangle((wx, wy, wx + step * 0.55, wy + step * 0.8), fill=pane)
        x += wide + 2
    road = _tint(rng)
    draw.rectangle((0, horizon, width, height), fill=darker(road, 0.25))
    draw.rectangle((0, horizon, width, horizon + (height - horizon) * 0.25), fill=darker(road, 0.1))
    for k in range(3):
        draw.line((width * k / 2, horizon, width * (k * 1.6 - 1.1), height), fill=darker(road, 0.33), width=2)


def _room(draw: Canvas, size: tuple[int, int], rng: np.random.Generator) -> None:
    width, height = size
    floor = int(height * rng.uniform(0.7, 0.88))
    wall = _tint(rng)
    draw.rectangle((0, 0, width, floor), fill=wall)
    wood = mix((150, 108, 72), (206, 190, 168), float(rng.random()))
    draw.rectangle((0, floor, width, height), fill=wood)
    for k in range(6):
        draw.line(
            (width * k / 5, floor, width * (k - 2.5) / 5 * 1.5 + width / 2, height), fill=darker(wood, 0.2), width=1
        )
    draw.rectangle((0, floor - 7, width, floor), fill=lighter(wall, 0.5))
    left = int(width * rng.uniform(-0.1, 0.7))
    top, wide, tall = (
        int(height * rng.uniform(0.04, 0.2)),
        int(width * rng.uniform(0.25, 0.4)),
        int(height * rng.uniform(0.2, 0.4)),
    )
    draw.rectangle((left, top, left + wide, top + tall), fill=(228, 238, 244), outline=darker(wall, 0.4), width=4)
    draw.line((left + wide / 2, top, left + wide / 2, top + tall), fill=darker(wall, 0.4), width=3)
    if rng.random() < 0.5:
        cloth = _tint(rng)
        for k in range(5):
            edge = left - 30 + k * 8
            draw.rectangle((edge, top - 8, edge + 7, floor - 20), fill=darker(cloth, 0.12 * (k % 2)))


def _wall(draw: Canvas, size: tuple[int, int], rng: np.random.Generator) -> None:
    width, height = size
    wall = _tint(rng, 30)
    draw.rectangle((0, 0, width, height), fill=wall)
    if rng.random() < 0.5:
        brick, joint = darker(wall, 0.12), lighter(wall, 0.12)
        tall = int(rng.integers(14, 26))
        for row in range(0, height, tall):
            draw.line((0, row, width, row), fill=joint, width=2)
            for x in range(-(row // tall % 2) * tall, width, tall * 2):
                draw.line((x, row, x, row + tall), fill=joint, width=2)
                if rng.random() < 0.2:
                    draw.rectangle((x + 2, row + 2, x + tall * 2 - 2, row + tall - 2), fill=brick)
    draw.rectangle((0, height * rng.uniform(0.85, 0.97), width, height), fill=darker(wall, 0.3))


def _shelf(draw: Canvas, size: tuple[int, int], rng: np.random.Generator) -> None:
    width, height = size
    draw.rectangle((0, 0, width, height), fill=_tint(rng))
    board = _tint(rng)
    rows = int(rng.integers(3, 6))
    for row in range(rows):
        base = height * 0.85 * (row + 1) / rows
        x = 4.0
        while x < width:
            wide, tall = float(rng.uniform(8, 40)), float(rng.uniform(0.3, 0.8)) * height * 0.8 / rows
            if rng.random() < 0.8:
                draw.rectangle((x, base - tall, x + wide, base), fill=mix(_any(rng), (180, 176, 170), 0.4))
            x += wide + 3
        draw.rectangle((0, base, width, base + 7), fill=darker(board, 0.3))
    draw.rectangle((0, height * 0.87, width, height), fill=darker(board, 0.15))


def _park(draw: Canvas, size: tuple[int, int], rng: np.random.Generator) -> None:
    width, height = size
    horizon = int(height * rng.uniform(0.5, 0.68))
    draw.rectangle((0, 0, width, horizon), fill=mix((176, 208, 236), (240, 226, 206), float(rng.random())))
    green = mix((84, 122, 66), (150, 148, 84), float(rng.random()))
    for _ in range(9):
        x, r = float(rng.uniform(0, width)), float(rng.uniform(30, 90))
        draw.rectangle((x - 5, horizon - r, x + 5, horizon + 6), fill=(92, 70, 54))
        draw.ellipse(
            (x - r, horizon - 2.2 * r, x + r, horizon - 0.4 * r), fill=darker(green, float(rng.uniform(0, 0.35)))
        )
    draw.rectangle((0, horizon, width, height), fill=lighter(green, 0.18))
    draw.polygon(
        [(width * 0.3, height), (width * 0.46, horizon), (width * 0.56, horizon), (width * 0.9, height)],
        fill=_tint(rng),
    )


def _mirror(draw: Canvas, size: tuple[int, int], rng: np.random.Generator) -> None:
    width, height = size
    _room(draw, size, rng)
    edge, frame = int(rng.integers(8, 22)), _any(rng)
    draw.rectangle((0, 0, width - 1, height - 1), outline=frame, width=edge)
    draw.rectangle((edge, edge, width - edge, height - edge), outline=lighter(frame, 0.5), width=2)


_PLACES: Final[tuple[Callable[[Canvas, tuple[int, int], np.random.Generator], None], ...]] = (
    _street, _street, _room, _wall, _shelf, _park,
)  # fmt: skip


def _clutter(draw: Canvas, size: tuple[int, int], rng: np.random.Generator) -> None:
    """Put plants, boxes and frames beside where people stand."""
    width, height = size
    for _ in range(int(rng.integers(0, 5))):
        x = width * float(rng.choice([rng.uniform(0, 0.22), rng.uniform(0.8, 1.0)]))
        y, r = height * float(rng.uniform(0.1, 0.95)), float(rng.uniform(10, 36))
        colour, kind = _any(rng), int(rng.integers(4))
        if kind == 0:
            draw.rectangle((x - r, y - r * 0.8, x + r, y + r * 0.8), fill=colour, outline=darker(colour, 0.4), width=2)
        elif kind == 1:
            draw.ellipse((x - r * 0.7, y - r * 0.7, x + r * 0.7, y + r * 0.7), fill=colour)
        elif kind == 2:
            for lean in (-1.2, -0.6, 0.0, 0.6, 1.2):
                draw.line((x, y, x + lean * r, y - r * 1.6), fill=(70, 118, 70), width=6)
            draw.rectangle((x - r * 0.5, y, x + r * 0.5, y + r), fill=(170, 98, 70))
        else:
            draw.rectangle(
                (x - r, y - r * 1.3, x + r, y + r * 1.3), fill=(240, 238, 232), outline=(60, 52, 46), width=3
            )
            draw.ellipse((x - r * 0.5, y - r * 0.5, x + r * 0.5, y + r * 0.5), fill=colour)


def backdrop(size: tuple[int, int], rng: np.random.Generator, *, mirror: bool) -> Image.Image:
    """Draw an RGB background of `size`, a little out of focus."""
    image = Image.new("RGB", size)
    draw = ImageDraw.Draw(image)
    if mirror:
        _mirror(draw, size, rng)
    else:
        _PLACES[int(rng.integers(len(_PLACES)))](draw, size, rng)
    _clutter(draw, size, rng)
    muted = ImageEnhance.Color(image).enhance(float(rng.uniform(*_MUTED)))
    return muted.filter(ImageFilter.BoxBlur(float(rng.uniform(0.4, 2.2))))
