"""Bottoms: trousers and shorts (a hip piece and two legs) and skirts (one piece on the spine)."""

from typing import Final

from sandbox.drawing.palette import darker
from sandbox.drawing.pieces import Part, Piece, oval, rectangle, seam, smooth, symmetric
from sandbox.drawing.style import GarmentStyle

WAIST: Final = 1.42
HIP_JOINT: Final = (0.36, 2.1)
"""Where the legs begin, from the neck."""
LEGS: Final = ("leg_l", "leg_r")
SKIRTS: Final = ("mini", "pleated", "pencil")
_LEG_WIDTHS: Final = {  # half widths at the knee and the end of the leg
    "straight": (0.3, 0.27),
    "wide": (0.42, 0.5),
    "skinny": (0.25, 0.17),
    "cargo": (0.38, 0.34),
    "flared": (0.27, 0.46),
    "jogger": (0.34, 0.2),
    "shorts": (0.43, 0.45),
}
_FULL_LEG: Final = 2.97
"""From the hip joint to just above the sole."""


def bottom(style: GarmentStyle) -> list[Part]:
    """Draw trousers, shorts or a skirt."""
    return _skirt(style) if style.cut in SKIRTS else [_hips(style), *(_leg(style, bone) for bone in LEGS)]


def _hips(style: GarmentStyle) -> Part:
    piece = Piece((-0.95, WAIST - 0.1, 0.95, 2.75))
    wide = 0.04 * style.width
    side = [(0.57, WAIST), (0.7 + wide, 1.85), (0.75 + wide, 2.2), (0.68, 2.45), (0.08, 2.55)]
    piece.fabric(symmetric([*smooth(side[:4]), side[4]]), style)
    edge = seam(style.main)
    piece.line([(-0.8, WAIST + 0.14), (0.8, WAIST + 0.14)], edge, 0.03)
    if "belt" in style.details:
        piece.ink(rectangle(-0.8, WAIST, 0.8, WAIST + 0.17), style.accent)
        piece.ink(rectangle(-0.1, WAIST, 0.1, WAIST + 0.17), darker(style.accent, 0.4))
    piece.line([(0, WAIST + 0.15), (0, 2.5)], edge, 0.025)
    for hand in (-1, 1):
        piece.line([(hand * 0.36, WAIST + 0.15), (hand * 0.7, 1.95)], edge, 0.025)
        if "side_stripe" in style.details:
            piece.line([(hand * 0.64, WAIST), (hand * 0.7, 2.55)], style.accent, 0.16)
    return piece.part("spine")


def _leg(style: GarmentStyle, bone: str) -> Part:
    hand = 1 if bone == "leg_r" else -1
    long = 0.75 + 0.6 * style.length if style.cut == "shorts" else _FULL_LEG - 0.35 * (1 - style.length)
    knee, end = (w + 0.03 * style.width for w in _LEG_WIDTHS[style.cut])
    piece = Piece((-0.62, -0.5, 0.62, long + 0.1))
    if style.cut == "shorts":
        side = [(0.38, -0.45), (0.4, 0.1), (0.41, 0.3), (end, long)]
    else:
        side = [(0.38, -0.45), (0.39, 0.35), (knee, 1.6), (end, long)]
    piece.fabric(symmetric(smooth(side)), style, (HIP_JOINT[0] * hand, HIP_JOINT[1]))
    edge = seam(style.main)
    if style.cut == "cargo":
        pocket = rectangle(hand * 0.02, 0.9, hand * 0.36, 1.4)
        piece.ink(pocket, style.second if style.pattern == "plain" else style.main)
        piece.line([*pocket, pocket[0]], edge, 0.035)
    if "side_stripe" in style.details:
        piece.line([(hand * 0.33, -0.2), (hand * knee * 0.85, 1.6), (hand * end * 0.8, long)], style.accent, 0.14)
    if "knee" in style.details and style.cut != "shorts":
        piece.ink(oval(0, 1.6, 0.2, 0.26), style.accent)
    if "patch" in style.details and hand == 1:
        piece.ink(rectangle(-0.2, 0.45, 0.16, 0.8), style.accent)
    if "cuff" in style.details or style.cut == "jogger":
        piece.ink(
            rectangle(-0.7, long - 0.24, 0.7, long),
            style.accent if "cuff" in style.details else darker(style.main, 0.3),
        )
    elif style.cut != "skinny":
        piece.line([(0, 0.4), (0, long)], edge, 0.02)
    if style.print_ != "none" and hand == 1:
        piece.stamp(style, (0, long * 0.55), 0.5)
    return piece.part(bone).between(0.03, long + 0.1, bone)


def _skirt(style: GarmentStyle) -> list[Part]:
    hem = {"mini": 2.6, "pleated": 3.0, "pencil": 3.1}[style.cut] + 0.8 * style.length
    flare = {"mini": 0.32, "pleated": 0.44, "pencil": -0.04}[style.cut] * (0.7 + 0.6 * style.width)
    half = 0.76 + flare * (hem - 1.8)
    piece = Piece((-half - 0.15, WAIST - 0.1, half + 0.15, hem + 0.1))
    side = [(0.56, WAIST), (0.72 + flare * 0.2, 1.95), (half, hem)]
    piece.fabric(symmetric(smooth(side)), style)
    edge = seam(style.main)
    if style.cut == "pleated":
        for i in range(-4, 5):
            piece.line([(i * 0.12, WAIST + 0.15), (i * half / 4.5, hem)], edge, 0.03)
    if style.cut == "pencil":
        piece.line([(0.3, hem - 0.7), (0.32, hem)], edge, 0.05)
    if style.cut == "mini":
        piece.line([(0, WAIST), (0, hem)], edge, 0.03)
    if {"cuff", "knee"} & set(style.details):
        piece.ink(rectangle(-3, hem - 0.24, 3, hem), style.accent)
    if "side_stripe" in style.details:
        for hand in (-1, 1):
            piece.line([(hand * 0.5, WAIST), (hand * half * 0.85, hem)], style.accent, 0.14)
    if "patch" in style.details:
        piece.ink(rectangle(0.2, 1.95, 0.56, 2.35), style.accent)
    piece.ink(
        rectangle(-1, WAIST, 1, WAIST + 0.15), style.accent if "belt" in style.details else darker(style.main, 0.2)
    )
    return [piece.part("spine")]
