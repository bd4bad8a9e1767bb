"""One entry for all classes: a style becomes parts, and few recent ones are kept."""

from dataclasses import replace
from functools import lru_cache
from typing import Final

from sandbox.drawing.bags import bag
from sandbox.drawing.dresses import dress
from sandbox.drawing.footwear import FEET, shoe
from sandbox.drawing.hats import hat
from sandbox.drawing.lowers import bottom
from sandbox.drawing.outerwear import outer
from sandbox.drawing.pieces import Part
from sandbox.drawing.style import GarmentStyle
from sandbox.drawing.things import thing
from sandbox.drawing.uppers import top

_CACHED: Final = 40
"""Garments kept flat: about 1 MiB each."""


@lru_cache(_CACHED)
def garment(style: GarmentStyle, opening: float = 0.0) -> tuple[Part, ...]:
    """Return the flat parts of a garment, back to front. `opening` (head heights) matters to outerwear only."""
    if style.category == "outer":
        return tuple(outer(style, opening))
    if style.category == "shoes":
        one = shoe(style)
        return tuple(replace(one, bone=foot) for foot in FEET)
    draw = {"top": top, "bottom": bottom, "dress": dress, "bag": bag, "hat": hat}.get(style.category, thing)
    return tuple(draw(style))
