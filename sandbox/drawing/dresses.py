"""Dresses: an upper that goes on as a skirt."""

from typing import Final

from sandbox.drawing.pieces import Part, Piece, oval, rectangle, seam, smooth, symmetric
from sandbox.drawing.style import GarmentStyle
from sandbox.drawing.uppers import assemble, buttons, collar, front, neck_hole

_DRESS_HEMS: Final = (3.5, 1.2)
"""Hem below the neck of the shortest dress, and how much longer the longest is."""


def dress(style: GarmentStyle) -> list[Part]:
    """Draw a dress: a trunk that goes on as a skirt, then sleeves."""
    hem = _DRESS_HEMS[0] + _DRESS_HEMS[1] * style.length
    flare = {"a_line": 0.42, "tiered": 0.5, "wrap": 0.3, "shirt_dress": 0.16, "shift": 0.06, "slip": 0.02}[style.cut]
    flare *= 0.75 + 0.4 * style.width
    fitted = style.cut in ("a_line", "wrap", "tiered")
    half = 0.95 + flare * (hem - 1.4)
    waist = 0.52 if fitted else 0.66
    side = [(0.2, -0.03), (0.62, 0.06), (0.86, 0.24), (0.72, 0.78), (waist, 1.4), (0.74 + flare * 0.35, 2.05)]
    side.append((0.74 + flare * (hem - 1.4), hem))
    piece = Piece((-half - 0.1, -0.4, half + 0.1, hem + 0.1))
    piece.fabric(symmetric([side[0], *smooth(side[1:])]), style)
    if style.sleeve == "none":
        for hand in (-1, 1):
            piece.cut(oval(hand * 0.99, 0.22, 0.46 if style.cut == "slip" else 0.38, 0.55))
    _dress_front(piece, style, hem)
    neck_hole(piece, style.neck)
    piece.stamp(style, (0.0, 0.9), style.print_size * 0.9)
    collar(piece, style)
    return assemble(style, piece.part("spine"))


def _dress_front(piece: Piece, style: GarmentStyle, hem: float) -> None:
    edge = seam(style.main)
    front(piece, style, hem)
    if style.cut == "tiered":
        step = (hem - 1.4) / 3
        for i in range(3):
            piece.line([(-3, 1.4 + i * step), (3, 1.4 + i * step)], edge, 0.05)
            if i == 1:
                piece.ink(rectangle(-3, 1.4 + i * step, 3, 1.4 + (i + 1) * step), style.second)
    if style.cut == "wrap":
        piece.line([(-0.3, 0.1), (0.3, 1.4), (0.75, hem)], edge, 0.04)
    if style.cut == "a_line":
        for x in (-0.45, 0.0, 0.45):
            piece.line([(x * 0.7, 1.45), (x * 2.2, hem)], edge, 0.025)
    if "buttons" in style.details:
        buttons(piece, 0, 0.4, hem - 0.2, style.accent)
    if "belt" in style.details or style.cut == "wrap":
        piece.ink(rectangle(-1.2, 1.3, 1.2, 1.52), style.accent)
