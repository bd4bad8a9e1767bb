"""Tops, and what all uppers share: a trunk piece on the spine, a neck, and a sleeve on each arm."""

from typing import Final

from sandbox.drawing.palette import Colour, darker
from sandbox.drawing.pieces import Part, Piece, Point, oval, rectangle, seam, smooth, symmetric
from sandbox.drawing.style import GarmentStyle

SLEEVE_LENGTHS: Final = {"none": 0.0, "short": 0.62, "elbow": 1.2, "long": 2.42}
"""From the shoulder, in head heights."""
ARMS: Final = ("arm_l", "arm_r")
HEMS: Final = {
    "tank": (1.65, 0.3), "tee": (1.7, 0.35), "shirt": (1.75, 0.35), "hoodie": (1.7, 0.3), "knit": (1.6, 0.4),
    "polo": (1.75, 0.3), "blouse": (1.55, 0.35), "sweatshirt": (1.65, 0.35), "blazer": (2.5, 0.4),
    "bomber": (2.15, 0.3), "coat": (3.4, 1.2), "puffer": (2.2, 0.6), "cardigan": (2.3, 0.8), "parka": (2.9, 0.7),
    "denim": (2.15, 0.3), "vest": (2.2, 0.5),
}  # fmt: skip
"""Hem below the neck: of the shortest of a cut, and how much longer the longest is."""


def sides(hem: float, width: float, *, bulk: float, flare: float) -> list[Point]:
    """Return the right side of a trunk, neck to hem."""
    chest = 0.74 + bulk + 0.12 * width
    waist = 0.64 + bulk + 0.2 * width
    hip = 0.75 + bulk + 0.14 * width
    tail = hip + flare * max(0.0, hem - 2.1)
    points = [(0.2, -0.03), (0.62, 0.06), (0.88 + bulk / 2, 0.24), (chest, 0.78), (waist, 1.4)]
    points += [(hip, 2.05), (tail, hem)] if hem > 2.2 else [((waist + hip) / 2 if hem < 1.9 else hip, hem)]
    return [points[0], *smooth(points[1:])]


def neck_hole(piece: Piece, neck: str) -> None:
    """Cut the hole for the neck."""
    holes = {
        "crew": oval(0, -0.06, 0.25, 0.22),
        "rib": oval(0, -0.06, 0.25, 0.22),
        "scoop": oval(0, -0.06, 0.38, 0.5),
        "v": [(-0.27, -0.1), (0.27, -0.1), (0, 0.6)],
        "bow": [(-0.24, -0.1), (0.24, -0.1), (0, 0.36)],
        "polo": [(-0.2, -0.1), (0.2, -0.1), (0, 0.32)],
        "shirt": [(-0.2, -0.1), (0.2, -0.1), (0, 0.26)],
        "hood": oval(0, -0.06, 0.24, 0.26),
    }
    if neck in holes:
        piece.cut(holes[neck])


def collar(piece: Piece, style: GarmentStyle) -> None:
    """Draw what is sewn around the neck."""
    cloth, edge = style.main, seam(style.main)
    trim = style.accent if "trim" in style.details else cloth
    if style.neck == "turtle":
        piece.fill([(-0.27, -0.3), (0.27, -0.3), (0.31, 0.1), (-0.31, 0.1)], trim)
        piece.line([(-0.29, -0.1), (0.29, -0.1)], seam(trim))
    elif style.neck in ("shirt", "polo"):
        for side in (-1, 1):
            flap = [(side * 0.12, -0.14), (side * 0.3, -0.08), (side * 0.44, 0.26), (0, 0.3)]
            piece.fill(flap, trim)
            piece.line([*flap, flap[0]], seam(trim), 0.025)
    elif style.neck == "bow":
        for side in (-1, 1):
            piece.fill([(0, 0.3), (side * 0.42, 0.12), (side * 0.42, 0.5)], style.accent)
            piece.fill([(0, 0.3), (side * 0.2, 0.95), (side * 0.04, 0.9)], darker(style.accent, 0.15))
    elif style.neck in ("crew", "rib", "v", "scoop"):
        ring = {"v": [(-0.29, -0.08), (0, 0.63), (0.29, -0.08)], "scoop": _arc(0.4, 0.5)}.get(
            style.neck, _arc(0.28, 0.22)
        )
        piece.line(ring, trim if trim != cloth else edge, 0.09 if trim != cloth else 0.05)
    elif style.neck == "hood":
        piece.line(_arc(0.32, 0.34), edge, 0.05)
        for side in (-1, 1):
            piece.line([(side * 0.14, 0.2), (side * 0.17, 0.72)], trim if trim != cloth else edge, 0.05)


def _arc(rx: float, ry: float) -> list[Point]:
    return [p for p in oval(0, -0.06, rx, ry, 40) if p[1] >= -0.07][::1]


def _hood(style: GarmentStyle) -> Part:
    """The hood, lying behind the neck."""
    piece = Piece((-0.75, -0.6, 0.75, 0.5))
    piece.fabric(symmetric(smooth([(0.0, -0.5), (0.42, -0.42), (0.62, -0.05), (0.6, 0.4)])), style)
    piece.ink(oval(0, -0.05, 0.4, 0.32), darker(style.main, 0.4))
    return piece.part("spine")


def _back(style: GarmentStyle) -> Part:
    """The inside of the back, seen through the neck hole of an empty garment."""
    piece = Piece((-0.45, -0.12, 0.45, 0.7))
    piece.fill(
        [(-0.24, -0.05), (0.24, -0.05), (0.36, 0.3), (0.2, 0.62), (-0.2, 0.62), (-0.36, 0.3)], darker(style.main, 0.4)
    )
    return piece.part("spine")


def _sleeve(style: GarmentStyle, bone: str) -> Part | None:
    length = SLEEVE_LENGTHS[style.sleeve]
    if not length:
        return None
    bulk = 0.07 if style.cut in ("puffer", "parka", "coat", "hoodie") else 0.0
    top, end = 0.3 + bulk + 0.05 * style.width, 0.17 + bulk + 0.08 * (1 - length / 2.6)
    if style.cut in ("blouse", "tiered"):
        end = 0.34  # balloon sleeves
    elif style.sleeve != "long":
        end = 0.27 + 0.08 * style.width
    side = [
        (0.0, -0.12),
        (top * 0.55, -0.09),
        (top * 0.97, 0.2),
        ((top + end) / 2 + bulk / 2, length * 0.55),
        (end, length),
    ]
    piece = Piece((-0.5, -0.3, 0.5, length + 0.1))
    origin = (0.8 if bone == "arm_r" else -0.8, 0.22)
    piece.fabric(symmetric(smooth(side)), style, origin)
    edge, mark = seam(style.main), length - 0.16
    if style.cut in ("hoodie", "sweatshirt", "bomber", "knit", "puffer", "blouse"):
        cuff = style.accent if "trim" in style.details else darker(style.main, 0.2)
        piece.ink(rectangle(-0.5, mark, 0.5, length), cuff)
    elif {"cuff", "hem", "trim"} & set(style.details):
        piece.ink(rectangle(-0.5, mark, 0.5, length), style.accent)
    else:
        piece.line([(-0.5, mark + 0.06), (0.5, mark + 0.06)], edge)
    if style.cut == "puffer":
        quilt(piece, style.main, length, 0.34)
    if "patch" in style.details:
        piece.ink(oval(0, 0.6, 0.16, 0.2), style.accent)
    return piece.part(bone)


def quilt(piece: Piece, colour: Colour, hem: float, step: float) -> None:
    """Sew lines across, `step` head heights apart."""
    y = step
    while y < hem:
        piece.line([(-1.3, y), (1.3, y)], seam(colour), 0.035)
        y += step


def buttons(piece: Piece, x: float, start: float, end: float, colour: Colour) -> None:
    """Sew a row of buttons downwards from `start`."""
    y = start
    while y < end:
        piece.ink(oval(x, y, 0.045, 0.045, 10), colour)
        y += 0.3


def front(piece: Piece, style: GarmentStyle, hem: float) -> None:
    """Draw what is on the front of a top or dress: placket, buttons, pocket, hems, yoke."""
    edge = seam(style.main)
    if style.neck in ("shirt", "polo"):
        end = hem if style.neck == "shirt" else 0.75
        piece.line([(0.07, 0.25), (0.07, end)], edge)
        piece.line([(-0.07, 0.25), (-0.07, end)], edge)
        buttons(piece, 0, 0.4, end - 0.05, style.accent if style.category == "dress" else edge)
    if style.cut == "hoodie":
        piece.line(
            [(-0.36, 1.2), (0.36, 1.2), (0.52, 1.6), (0.52, hem), (-0.52, hem), (-0.52, 1.6), (-0.36, 1.2)], edge, 0.03
        )
    if style.cut in ("hoodie", "sweatshirt", "knit"):
        piece.ink(
            rectangle(-1.2, hem - 0.14, 1.2, hem), style.accent if "hem" in style.details else darker(style.main, 0.2)
        )
    elif "hem" in style.details:
        piece.ink(rectangle(-2, hem - 0.2, 2, hem), style.accent)
    if "yoke" in style.details:
        piece.ink(rectangle(-1.2, 0.0, 1.2, 0.42), style.second)
    if "pocket" in style.details and style.cut != "hoodie":
        piece.ink(rectangle(0.2, 0.7, 0.52, 1.06), style.second if style.pattern == "plain" else style.accent)
        piece.line([(0.2, 0.7), (0.52, 0.7)], edge, 0.03)


def _print_spot(style: GarmentStyle) -> tuple[Point, float]:
    if style.print_place == "left":
        return (0.36, 0.68), style.print_size * 0.5
    if style.print_place == "low":
        return (0.0, 1.3), style.print_size * 0.75
    return (0.0, 0.88), style.print_size


def top(style: GarmentStyle) -> list[Part]:
    """Draw a top: trunk, then sleeves."""
    short, more = HEMS[style.cut]
    hem = short + more * style.length
    bulk = 0.07 if style.cut in ("hoodie", "sweatshirt", "knit") else 0.0
    piece = Piece((-1.2, -0.4, 1.2, hem + 0.1))
    piece.fabric(symmetric(sides(hem, style.width, bulk=bulk, flare=0.05)), style)
    if style.cut == "tank":
        for side in (-1, 1):
            piece.cut(oval(side * 0.97, 0.28, 0.36, 0.52))
    front(piece, style, hem)
    neck_hole(piece, style.neck)
    piece.stamp(style, *_print_spot(style))
    collar(piece, style)
    return assemble(style, piece.part("spine"))


def assemble(style: GarmentStyle, trunk: Part) -> list[Part]:
    """Return back or hood, trunk, and sleeves, in the order in which they are drawn."""
    sleeves = [part for bone in ARMS if (part := _sleeve(style, bone))]
    behind = [_hood(style)] if style.neck == "hood" else [_back(style)]
    return [*behind, trunk, *sleeves]
