"""What a shop sells besides clothes (class "etc"): flat pieces around the origin, about two head heights large."""

from collections.abc import Callable, Mapping
from typing import Final

from sandbox.drawing.palette import darker, lighter
from sandbox.drawing.pieces import Part, Piece, oval, rectangle, seam, smooth, symmetric
from sandbox.drawing.style import GarmentStyle


def _watch(p: Piece, s: GarmentStyle) -> None:
    p.fabric(rectangle(-0.24, -1.1, 0.24, 1.1), s)
    p.fill(oval(0, 0, 0.46, 0.46), darker(s.accent, 0.3))
    p.fill(oval(0, 0, 0.36, 0.36), s.second)
    p.line([(0, 0), (0, -0.26)], seam(s.second), 0.05)
    p.line([(0, 0), (0.2, 0.1)], seam(s.second), 0.05)


def _wallet(p: Piece, s: GarmentStyle) -> None:
    p.fabric(rectangle(-0.9, -0.6, 0.9, 0.6), s)
    p.ink(rectangle(-1, -0.08, 1, 0.02), seam(s.main))
    p.ink(rectangle(0.35, -0.28, 1, 0.22), s.accent)
    p.ink(oval(0.55, -0.03, 0.08, 0.08), s.second)


def _phone(p: Piece, s: GarmentStyle) -> None:
    p.fabric(rectangle(-0.5, -1.0, 0.5, 1.0), s)
    p.ink(rectangle(-0.42, -0.92, 0.02, -0.42), darker(s.main, 0.35))
    for y in (-0.8, -0.55):
        p.ink(oval(-0.2, y, 0.1, 0.1), (20, 20, 24))
    p.stamp(s, (0, 0.25), 0.6)


def _glasses(p: Piece, s: GarmentStyle) -> None:
    p.cord([(-1.0, -0.12), (1.0, -0.12)], s.main, 0.1)
    for x in (-0.5, 0.5):
        p.fill(oval(x, 0, 0.43, 0.36 + 0.08 * s.length), s.main)
        p.ink(oval(x, 0, 0.34, 0.27 + 0.08 * s.length), darker(s.second, 0.25))


def _belt(p: Piece, s: GarmentStyle) -> None:
    p.fabric(oval(0, 0, 1.0, 0.75, 48), s)
    p.cut(oval(0, 0, 0.78, 0.54, 48))
    p.fill(rectangle(-0.2, 0.44, 0.2, 0.84), s.accent)
    p.ink(rectangle(-0.1, 0.54, 0.1, 0.74), darker(s.main, 0.2))


def _toy(p: Piece, s: GarmentStyle) -> None:
    for x in (-0.42, 0.42):
        p.fill(oval(x, -0.85, 0.2, 0.2 + 0.14 * s.length), s.main)
        p.fill(oval(x * 1.35, 0.3, 0.18, 0.32), s.main)
        p.fill(oval(x, 0.9, 0.24, 0.18), darker(s.main, 0.15))
    p.fabric(oval(0, 0.42, 0.55, 0.58), s)
    p.fill(oval(0, -0.5, 0.5, 0.45), s.main)
    p.ink(oval(0, -0.36, 0.2, 0.16), s.accent)
    for x in (-0.2, 0.2):
        p.ink(oval(x, -0.6, 0.06, 0.07), (20, 20, 20))


def _perfume(p: Piece, s: GarmentStyle) -> None:
    p.fill(rectangle(-0.2, -0.95, 0.2, -0.5), darker(s.accent, 0.1))
    p.fabric(rectangle(-0.55, -0.5, 0.55, 0.9), s)
    p.ink(rectangle(-0.35, 0.0, 0.35, 0.5), lighter(s.second, 0.4))


def _lipstick(p: Piece, s: GarmentStyle) -> None:
    p.fill([(-0.16, -0.3), (-0.16, -0.8), (0.16, -1.0), (0.16, -0.3)], s.accent)
    p.fill(rectangle(-0.2, -0.3, 0.2, 0.1), lighter(s.second, 0.3))
    p.fabric(rectangle(-0.27, 0.05, 0.27, 1.0), s)


def _mug(p: Piece, s: GarmentStyle) -> None:
    p.cord(smooth([(0.5, -0.35), (0.95, -0.25), (0.95, 0.3), (0.5, 0.4)]), s.main, 0.16)
    p.fabric(symmetric([(0.6, -0.65), (0.56, 0.7)]), s)
    p.ink(rectangle(-0.6, -0.65, 0.6, -0.52), s.second)
    p.stamp(s, (0, 0.08), 0.7)


def _headphones(p: Piece, s: GarmentStyle) -> None:
    p.cord(smooth([(-0.7, 0.3), (-0.7, -0.5), (0, -0.92), (0.7, -0.5), (0.7, 0.3)]), s.main, 0.17)
    for x in (-0.68, 0.68):
        p.fabric(oval(x, 0.42, 0.26, 0.42), s)
        p.ink(oval(x, 0.42, 0.13, 0.25), s.accent)


def _ring(p: Piece, s: GarmentStyle) -> None:
    p.fabric(oval(0, 0.2, 0.7, 0.7, 40), s)
    p.cut(oval(0, 0.2, 0.52, 0.52, 40))
    p.fill([(0, -1.0), (0.3, -0.72), (0, -0.36), (-0.3, -0.72)], s.accent)


def _cards(p: Piece, s: GarmentStyle) -> None:
    for shift in (0.3, 0.15):
        p.fill(rectangle(-0.6 + shift, -0.85 - shift * 0.4, 0.6 + shift, 0.85 - shift * 0.4), darker(s.second, shift))
    p.fabric(rectangle(-0.65, -0.85, 0.55, 0.85), s)
    p.stamp(s, (-0.05, 0), 0.8)


_KINDS: Final[Mapping[str, Callable[[Piece, GarmentStyle], None]]] = {
    "watch": _watch,
    "wallet": _wallet,
    "phone": _phone,
    "glasses": _glasses,
    "belt": _belt,
    "toy": _toy,
    "perfume": _perfume,
    "lipstick": _lipstick,
    "mug": _mug,
    "headphones": _headphones,
    "ring": _ring,
    "cards": _cards,
}


def thing(style: GarmentStyle) -> list[Part]:
    """Draw something of class "etc" on the frame "thing"."""
    piece = Piece((-1.25, -1.25, 1.25, 1.25))
    _KINDS[style.cut](piece, style)
    return [piece.part("thing")]
