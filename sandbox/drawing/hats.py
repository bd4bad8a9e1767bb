"""Hats: one flat piece on the head; the origin is the middle of the forehead, the crown goes up."""

from typing import Final

from sandbox.drawing.palette import Colour, darker
from sandbox.drawing.pieces import Part, Piece, Point, oval, rectangle, seam, smooth, symmetric
from sandbox.drawing.style import GarmentStyle

_FINE: Final = 140  # px per head height: shops show a hat large


def _crown(half: float, height: float, top: float) -> list[Point]:
    return symmetric(
        smooth([(0.0, -height), (half * top, -height * 0.93), (half * 0.97, -height * 0.45), (half, 0.04)])
    )


def _brim(piece: Piece, half: float, drop: float, colour: Colour) -> None:
    piece.fill(oval(0, 0.03, half, drop, 40), colour)


def hat(style: GarmentStyle) -> list[Part]:
    """Draw a hat on the frame "head"."""
    piece = Piece((-1.1, -1.15, 1.1, 0.5), _FINE)
    trim = style.accent if "trim" in style.details else darker(style.main, 0.22)
    high = 0.08 * style.length
    if style.cut in ("cap", "visor"):
        _cap(piece, style, trim, high)
    elif style.cut == "beanie":
        _beanie(piece, style, trim, high)
    elif style.cut == "beret":
        piece.fabric(symmetric(smooth([(0.0, -0.6), (0.46, -0.54), (0.68, -0.3), (0.56, -0.04), (0.4, 0.04)])), style)
        piece.ink(rectangle(-0.5, -0.04, 0.5, 0.08), trim)
        piece.cord([(0, -0.58), (0.02, -0.7)], style.accent if "button" in style.details else trim, 0.08)
    else:
        _brimmed(piece, style, trim, high)
    return [piece.part("head")]


def _cap(piece: Piece, style: GarmentStyle, trim: Colour, high: float) -> None:
    if style.cut == "cap":
        piece.fabric(_crown(0.47, 0.6 + high, 0.62), style)
        piece.line([(0, -0.7), (0, 0)], seam(style.main), 0.025)
    else:
        piece.fabric(rectangle(-0.47, -0.2, 0.47, 0.05), style)
    if "button" in style.details and style.cut == "cap":
        piece.fill(oval(0, -0.62 - high, 0.07, 0.05), style.accent)
    if "band" in style.details:
        piece.ink(rectangle(-0.6, -0.12, 0.6, 0.02), style.accent)
    piece.stamp(style, *(((0, -0.3), 0.44) if style.cut == "cap" else ((0, -0.12), 0.16)))
    peak = smooth(
        [(-0.45, 0.0), (-0.1, -0.04), (0.4, -0.02), (0.62, 0.06), (0.86, 0.16), (0.6, 0.22), (0.0, 0.16), (-0.45, 0.1)]
    )
    piece.fill(peak, style.second if "trim" in style.details else trim)


def _beanie(piece: Piece, style: GarmentStyle, trim: Colour, high: float) -> None:
    if "pompom" in style.details:
        piece.fill(oval(0, -0.78 - high, 0.2, 0.2), style.accent)
    piece.fabric(_crown(0.46, 0.68 + high, 0.66), style)
    piece.ink(rectangle(-0.6, -0.22, 0.6, 0.1), style.accent if {"trim", "band"} & set(style.details) else trim)
    for i in range(-4, 5):
        piece.line([(i * 0.1, -0.2), (i * 0.1, 0.08)], seam(style.main), 0.015)
    piece.stamp(style, (0, -0.42), 0.34)


def _brimmed(piece: Piece, style: GarmentStyle, trim: Colour, high: float) -> None:
    half, drop, top = {"bucket_hat": (0.68, 0.26, 0.8), "fedora": (0.85, 0.16, 0.7), "sun_hat": (1.02, 0.24, 0.6)}[
        style.cut
    ]
    half *= 0.94 + 0.06 * style.width
    if style.cut == "bucket_hat":
        piece.fabric(_crown(0.44, 0.58 + high, top), style)
        piece.fabric(symmetric([(0.44, -0.12), (half, 0.2), (half * 0.6, 0.28)]), style)
        piece.line([(-0.5, -0.1), (0.5, -0.1)], seam(style.main), 0.03)
        piece.stamp(style, (0, -0.3), 0.36)
    else:
        piece.fabric(oval(0, 0.03, half, drop, 40), style)
        piece.fabric(_crown(0.44, 0.62 + high, top), style)
        if style.cut == "fedora":
            piece.line([(0, -0.64 - high), (0, -0.34)], seam(style.main), 0.06)
        piece.ink(rectangle(-0.44, -0.2, 0.44, -0.02), style.accent if "band" in style.details else darker(trim, 0.2))
    if "band" in style.details and style.cut == "bucket_hat":
        piece.ink(rectangle(-0.44, -0.2, 0.44, -0.1), style.accent)
    if "trim" in style.details:
        piece.line([(-half, 0.2), (-half * 0.6, 0.27), (half * 0.6, 0.27), (half, 0.2)], style.accent, 0.07)
