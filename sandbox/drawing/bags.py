"""Bags: one flat piece that hangs from its origin, handles included."""

from typing import Final

from sandbox.drawing.palette import darker
from sandbox.drawing.pieces import Part, Piece, Point, oval, rectangle, seam, smooth, symmetric
from sandbox.drawing.style import GarmentStyle

_FINE: Final = 120  # px per head height: shops show a bag large


def _body(style: GarmentStyle, half: float, top: float, low: float) -> list[Point]:
    mid = (top + low) / 2
    if style.cut == "round":
        return oval(0, mid, half, (low - top) / 2, 40)
    if style.cut == "bucket":
        return symmetric(smooth([(half * 0.8, top), (half * 0.95, mid), (half, low - 0.1), (half * 0.8, low)]))
    if style.cut == "duffle":
        return symmetric(smooth([(half * 0.82, top), (half, top + 0.12), (half, low - 0.1), (half * 0.85, low)]))
    if style.cut == "backpack":
        return symmetric(
            [*smooth([(0.0, top), (half * 0.7, top + 0.05), (half, top + 0.4), (half, low - 0.1)]), (half * 0.9, low)]
        )
    if style.cut == "shoulder":
        return symmetric(smooth([(half * 0.75, top), (half, mid + 0.1), (half * 0.7, low), (0.0, low + 0.04)]))
    spread = 1.0 if style.cut == "satchel" else 0.9
    return symmetric([(half * spread, top), (half, low - 0.06), (half * 0.95, low)])


def _size(style: GarmentStyle) -> tuple[float, float]:
    """Return half width and height, in head heights."""
    base = {"tote": (0.66, 1.35), "satchel": (0.7, 0.96), "bucket": (0.56, 1.05), "duffle": (0.92, 0.9),
            "round": (0.58, 1.16), "backpack": (0.6, 1.35), "shoulder": (0.76, 0.78)}[style.cut]  # fmt: skip
    scale = 0.92 + 0.1 * style.width
    return base[0] * scale, base[1] * (0.92 + 0.1 * style.length)


def _front(piece: Piece, style: GarmentStyle, half: float, top: float, low: float) -> None:
    edge, details, mid = seam(style.main), style.details, (top + low) / 2
    if "pocket" in details or style.cut == "backpack":
        pocket = rectangle(-half * 0.62, mid + 0.05, half * 0.62, low - 0.08)
        piece.ink(pocket, style.second if style.pattern == "plain" else style.main)
        piece.line([*pocket, pocket[0]], edge, 0.03)
    if "trim" in details:
        piece.ink(rectangle(-1.2, low - 0.18, 1.2, low + 0.1), style.accent)
    if "flap" in details or style.cut == "satchel":
        flap = symmetric(
            smooth([(half * 1.05, top - 0.02), (half * 0.95, mid - 0.05), (half * 0.4, mid + 0.08), (0.0, mid + 0.1)])
        )
        piece.ink(flap, style.second if "flap" in details else darker(style.main, 0.18))
        piece.ink(oval(0, mid + 0.02, 0.07, 0.07), style.accent)
    elif style.cut in ("duffle", "round", "shoulder", "backpack"):
        piece.line([(-half * 0.85, top + 0.12), (half * 0.85, top + 0.12)], edge, 0.035)
    else:
        piece.line([(-half, top + 0.1), (half, top + 0.1)], edge, 0.035)
    if "tag" in details:
        piece.ink(rectangle(half * 0.3, top + 0.16, half * 0.62, top + 0.42), style.accent)


def bag(style: GarmentStyle) -> list[Part]:
    """Draw a bag on the frame "bag"; its handles reach up to the origin."""
    half, height = _size(style)
    rise = 0.75 if "long_strap" in style.details or style.cut == "tote" else 0.45
    top, low = rise, rise + height
    piece = Piece((-half - 0.2, -0.1, half + 0.2, low + 0.15), _FINE)
    strap = darker(style.main, 0.3) if "trim" not in style.details else style.accent
    for grip in (0.62,) if style.cut != "tote" else (0.55, 0.42):
        piece.cord(
            smooth(
                [
                    (-half * grip, top + 0.1),
                    (-half * grip * 0.7, 0.08),
                    (0, 0.0),
                    (half * grip * 0.7, 0.08),
                    (half * grip, top + 0.1),
                ]
            ),
            strap,
            0.09,
        )
    piece.fabric(_body(style, half, top, low), style, (0.0, -top))
    _front(piece, style, half, top, low)
    piece.stamp(style, (0, (top + low) / 2 + 0.04), min(style.print_size * 0.75, half * 1.35, height * 0.8))
    return [piece.part("bag")]
