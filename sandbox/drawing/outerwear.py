"""Outerwear: an upper with an open front."""

from sandbox.drawing.palette import darker
from sandbox.drawing.pieces import Part, Piece, oval, rectangle, seam, symmetric
from sandbox.drawing.style import GarmentStyle
from sandbox.drawing.uppers import HEMS, assemble, buttons, quilt, sides


def outer(style: GarmentStyle, opening: float) -> list[Part]:
    """Draw outerwear; `opening` is how far each front panel stands from the middle, in head heights."""
    short, more = HEMS[style.cut]
    hem = short + more * style.length
    bulk = {"puffer": 0.16, "parka": 0.12, "coat": 0.1, "vest": 0.08}.get(style.cut, 0.05)
    piece = Piece((-1.4, -0.45, 1.4, hem + 0.1))
    piece.fabric(symmetric(sides(hem, style.width, bulk=bulk, flare=0.1)), style)
    if style.sleeve == "none":
        for side in (-1, 1):
            piece.cut(oval(side * 1.06, 0.3, 0.3, 0.52))
    _outer_front(piece, style, hem, opening)
    _outer_collar(piece, style, opening)
    gap = [(-0.2, -0.5), (0.2, -0.5), (max(opening, 0.02), 0.9), (opening * 1.25 + 0.01, hem + 0.2)]
    piece.cut([*gap, *((-x, y) for x, y in reversed(gap[2:]))])
    return assemble(style, piece.part("spine"))


def _outer_front(piece: Piece, style: GarmentStyle, hem: float, opening: float) -> None:
    edge = seam(style.main)
    inner = opening + 0.09
    if style.cut in ("puffer", "vest"):
        quilt(piece, style.main, hem, 0.36 if style.cut == "puffer" else 0.5)
    if style.cut in ("bomber", "cardigan") or "trim" in style.details:
        band = style.accent if "trim" in style.details else darker(style.main, 0.25)
        piece.ink(rectangle(-2, hem - 0.17, 2, hem), band)
        for side in (-1, 1):
            piece.line(
                [(side * 0.24, 0), (side * (opening + 0.05), 0.9), (side * (opening * 1.25 + 0.05), hem)], band, 0.13
            )
    if style.cut in ("blazer", "coat", "cardigan", "denim", "parka"):
        buttons(piece, inner, 1.0, min(hem, 2.4) - 0.2, style.accent)
    for side in (-1, 1):
        if "pocket" in style.details or style.cut in ("parka", "denim"):
            x, y = side * (inner + 0.34), 0.7 if style.cut == "denim" else 1.45
            fill = style.second if style.pattern == "plain" and "pocket" in style.details else style.main
            piece.ink(rectangle(x - 0.17, y, x + 0.17, y + 0.34), fill)
            box = rectangle(x - 0.17, y, x + 0.17, y + 0.34)
            piece.line([*box, box[0]], edge, 0.03)
    if "belt" in style.details:
        piece.ink(rectangle(-2, 1.36, 2, 1.56), style.accent)
    if style.print_ != "none":
        piece.stamp(style, (inner + 0.33, 0.75), 0.5)


def _outer_collar(piece: Piece, style: GarmentStyle, opening: float) -> None:
    edge = seam(style.main)
    for side in (-1, 1):
        if style.neck == "lapel":
            flap = [
                (side * 0.14, -0.12),
                (side * 0.3, -0.05),
                (side * 0.62, 0.45),
                (side * 0.46, 0.55),
                (side * (opening + 0.03), 1.05),
            ]
            piece.ink(flap, darker(style.main, 0.18))
            piece.line([*flap, flap[0]], edge, 0.03)
        elif style.neck in ("stand", "rib"):
            collar = [(side * 0.06, -0.28), (side * 0.32, -0.24), (side * 0.36, 0.12), (side * 0.12, 0.2)]
            piece.fill(collar, style.accent if "trim" in style.details else darker(style.main, 0.2))
        elif style.neck == "shirt":
            flap = [(side * 0.1, -0.14), (side * 0.32, -0.06), (side * 0.5, 0.34), (side * 0.16, 0.3)]
            piece.fill(flap, style.second if style.pattern == "plain" and "patch" in style.details else style.main)
            piece.line([*flap, flap[0]], edge, 0.03)
