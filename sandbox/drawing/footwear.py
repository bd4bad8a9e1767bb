"""Shoes: one flat piece seen from the side, toe to the right, with the ankle above its origin."""

from typing import Final

from sandbox.drawing.palette import darker, lighter
from sandbox.drawing.pieces import Part, Piece, Point, oval, rectangle, seam, smooth
from sandbox.drawing.style import GarmentStyle

FEET: Final = ("foot_l", "foot_r")
SOLE: Final = 0.42
"""How far below the ankle a thin sole ends."""
_FINE: Final = 150  # px per head height: shops show a shoe large
_SHAFTS: Final = {"high_top": 0.28, "ankle_boot": 0.42, "tall_boot": 0.85}


def _upper(style: GarmentStyle, sole: float) -> list[Point]:
    """Return the outline above the sole: heel, opening, instep, toe."""
    low = SOLE - sole
    shaft = _SHAFTS.get(style.cut)
    toe = {"loafer": 0.86, "pump": 0.9, "ankle_boot": 0.84, "tall_boot": 0.84}.get(style.cut, 0.88)
    if shaft is not None:
        shaft *= 0.85 + 0.4 * style.length
        return [
            (-0.27, low),
            (-0.25, -shaft),
            (0.2, -shaft - 0.02),
            *smooth([(0.22, -0.02), (0.45, 0.14), (toe, low - 0.06)]),
            (toe + 0.03, low),
        ]
    if style.cut == "pump":
        return [(-0.26, low - 0.02), (-0.27, -0.06), (-0.1, 0.12), *smooth([(0.25, 0.18), (0.5, 0.16), (toe, low)])]
    rise = -0.1 if style.cut == "runner" else -0.02
    return [
        (-0.29, low),
        (-0.3, rise - 0.08),
        (-0.14, rise),
        (0.14, rise - 0.04),
        *smooth([(0.2, rise), (0.48, 0.13), (toe, low - 0.1)]),
        (toe + 0.04, low),
    ]


def _sole(piece: Piece, style: GarmentStyle, depth: float) -> None:
    low, toe = SOLE - depth, 0.93
    rubber = style.accent if style.cut in ("sneaker", "high_top", "runner", "sandal") else darker(style.main, 0.45)
    if style.cut == "pump":
        piece.fill([(-0.27, low - 0.05), (-0.12, low - 0.03), (-0.17, SOLE + 0.16), (-0.23, SOLE + 0.16)], rubber)
        piece.fill(
            [(-0.26, low - 0.02), (0.3, low + 0.03), (0.9, low + 0.02), (0.9, SOLE), (0.4, SOLE), (-0.1, low + 0.06)],
            rubber,
        )
        return
    front = [(toe, low - 0.02), (toe + 0.02, low + depth * 0.5), (toe - 0.06, SOLE)]
    piece.fill([(-0.31, low - 0.01), *front, (-0.28, SOLE)], rubber)
    if style.cut in ("loafer", "ankle_boot", "tall_boot"):
        piece.fill(rectangle(-0.3, low, -0.02, SOLE + 0.06), darker(rubber, 0.2))
    if style.cut == "runner":
        piece.line([(-0.3, SOLE - depth * 0.5), (toe, SOLE - depth * 0.45)], lighter(rubber, 0.4), 0.03)


def _upper_details(piece: Piece, style: GarmentStyle, low: float) -> None:
    edge, details = seam(style.main), style.details
    if "toe_cap" in details:
        piece.ink(oval(0.9, low, 0.3, 0.22), style.accent if style.cut not in ("sneaker", "high_top") else style.second)
    if "heel_tab" in details:
        piece.ink(rectangle(-0.5, -1.5, -0.12, low - 0.02), style.second)
    if style.cut in ("sneaker", "high_top", "runner"):
        for i in range(4):
            piece.line(
                [(0.16 + i * 0.09, -0.03 + i * 0.045), (0.28 + i * 0.09, 0.1 + i * 0.03)],
                lighter(style.accent, 0.5),
                0.04,
            )
    if "stripe" in details:
        for x in (0.0, 0.13, 0.26):
            piece.line([(x - 0.03, low), (x + 0.1, -0.02)], style.second, 0.06)
    if "swoosh" in details:
        piece.ink(
            smooth([(-0.2, 0.12), (0.02, 0.26), (0.5, 0.08)]) + smooth([(0.02, 0.16), (-0.2, 0.12)]), style.second
        )
    if "buckle" in details or style.cut == "loafer":
        piece.line([(0.1, -0.1), (0.34, 0.2)], style.accent if "buckle" in details else edge, 0.1)
    if style.cut in ("ankle_boot", "tall_boot"):
        piece.line([(-0.02, -1.5), (0.0, low)], edge, 0.03)


def shoe(style: GarmentStyle) -> Part:
    """Draw one shoe on the frame "foot"."""
    depth = {"runner": 0.15, "sneaker": 0.1, "high_top": 0.1, "sandal": 0.1, "pump": 0.05}.get(style.cut, 0.06)
    depth += 0.1 if "thick" in style.details else 0.0
    piece = Piece((-0.45, -1.6 if style.cut == "tall_boot" else -0.75, 1.1, SOLE + 0.25), _FINE)
    if style.cut == "sandal":
        _sole(piece, style, depth)
        low = SOLE - depth
        straps = [
            [(-0.3, low), (-0.28, -0.12), (-0.14, -0.14), (-0.1, low)],
            [(0.38, low), (0.4, 0.1), (0.62, 0.14), (0.74, low)],
        ]
        if style.length:
            straps.append([(-0.24, -0.1), (0.2, -0.06), (0.34, low), (0.22, low), (0.1, 0.06), (-0.24, 0.03)])
        for strap in straps:
            piece.fabric(strap, style)
        return piece.part("foot")
    piece.fabric(_upper(style, depth), style)
    _upper_details(piece, style, SOLE - depth)
    _sole(piece, style, depth)
    return piece.part("foot")
