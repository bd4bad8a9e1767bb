"""A product's shop picture: laid flat or worn by a model, on white, grey or nothing, in the formats of shops."""

import io
from dataclasses import replace
from typing import Final

import numpy as np
from PIL import Image, ImageFilter

from sandbox.drawing.body import CROWN, FLOOR, MANNEQUIN, Limb, Pose, View, draw_person, skeleton
from sandbox.drawing.canvas import Scene
from sandbox.drawing.dresser import Look, draw_figure, dress_up
from sandbox.drawing.garment import garment
from sandbox.drawing.palette import Colour
from sandbox.drawing.pieces import Part
from sandbox.drawing.style import GarmentStyle
from sandbox.drawing.warp import Array, Frame, Skeleton, bend

SIDES: Final = (210, 420)
SMALL_SIDES: Final = (120, 196)
"""Ranges of the shorter side of thumbnails, px."""
MODEL_RATE: Final = 0.08
"""Part of the clothes shown worn by a model."""
GROUNDS: Final[tuple[tuple[str, float], ...]] = (("white", 0.42), ("grey", 0.25), ("clear", 0.33))
"""Backgrounds with probabilities; "clear" is a transparent PNG."""
WEBP_RATE: Final = 0.1
_FILL: Final = (0.84, 0.96)  # part of the picture that the product takes, along its longer side
_ASPECTS: Final = (0.6, 1.6)  # width to height: pictures of trousers are tall, those of shoes wide
_GREYS: Final[tuple[Colour, ...]] = ((244, 244, 244), (235, 240, 245), (226, 226, 228))
_MODELLED: Final = ("top", "outer", "bottom", "dress")
_MODEL_VIEWS: Final = {"top": (CROWN, 2.5), "outer": (CROWN, 3.6), "bottom": (1.0, FLOOR), "dress": (CROWN, 4.9)}
_BASICS: Final = {
    "top": GarmentStyle("top", "tee", 0, 0, "short", "crew", "plain", 0.3, "none", 0, 0.8, "centre",
                        (232, 232, 230), (0, 0, 0), (232, 232, 230), ()),
    "bottom": GarmentStyle("bottom", "skinny", 1, 0, "", "", "plain", 0.3, "none", 0, 0.8, "centre",
                           (66, 68, 76), (0, 0, 0), (66, 68, 76), ()),
}  # fmt: skip
"""What a model wears beside the product."""


def draw_side(rng: np.random.Generator, small_rate: float) -> int:
    """Shorter side of a thumbnail, px; under 200 for the share `small_rate`."""
    return int(rng.integers(*(SMALL_SIDES if rng.random() < small_rate else SIDES)))


def draw_thumbnail(style: GarmentStyle, side: int, rng: np.random.Generator) -> bytes:
    """Draw the picture of a product, its shorter side `side` px, and encode it as JPEG, PNG or WebP."""
    ground = str(rng.choice([g for g, _ in GROUNDS], p=[p for _, p in GROUNDS]))
    if style.category in _MODELLED and rng.random() < MODEL_RATE:
        return _encode(_on_model(style, (side, round(side * 1.2)), rng), "jpeg", rng)
    cut_out = lay_flat(style, side, rng)
    if ground == "clear":
        return _encode(cut_out, "png", rng)
    colour = (255, 255, 255) if ground == "white" else _GREYS[int(rng.integers(len(_GREYS)))]
    image = Image.new("RGB", cut_out.size, colour)
    _cast_shadow(image, cut_out)
    image.paste(cut_out, (0, 0), cut_out)
    return _encode(image, "webp" if rng.random() < WEBP_RATE else "jpeg", rng)


def _encode(image: Image.Image, kind: str, rng: np.random.Generator) -> bytes:
    buffer = io.BytesIO()
    if kind == "png":
        image.save(buffer, "PNG", compress_level=3)
    else:
        image.save(buffer, kind.upper(), quality=int(rng.integers(78, 95)), method=1)
    return buffer.getvalue()


def _cast_shadow(image: Image.Image, cut_out: Image.Image) -> None:
    shade = cut_out.getchannel("A").filter(ImageFilter.BoxBlur(image.width / 60)).point(lambda a: int(a * 0.22))
    image.paste((60, 60, 66), (image.width // 90, image.width // 60), shade)


def lay_flat(style: GarmentStyle, side: int, rng: np.random.Generator) -> Image.Image:
    """Draw a product by itself: RGBA, the shorter side `side` px, centred, the rest transparent."""
    arm = float(rng.uniform(8, 18))
    pose = replace(MANNEQUIN, arm_l=Limb(arm, -3), arm_r=Limb(arm, -3))
    opening = float(rng.uniform(0.06, 0.2)) if style.category == "outer" else 0.0
    parts = garment(style, round(opening, 2))
    parts = parts[:1] if style.category == "shoes" else parts
    low, high = _extent(parts, _still_life(pose, View(0.0, 0.0, 1.0)))
    wide, tall = (high - low).tolist()
    aspect = min(_ASPECTS[1], max(_ASPECTS[0], wide / tall))
    size = (side, round(side / aspect)) if aspect < 1 else (round(side * aspect), side)
    scale = float(rng.uniform(*_FILL)) * min(size[0] / wide, size[1] / tall)
    middle = (low + high) / 2 * scale
    bones = _still_life(pose, View(size[0] / 2 - middle[0], size[1] / 2 - middle[1], scale))
    image = Image.new("RGBA", size)
    for part in parts:
        bent = bend(part, bones, size)
        if bent:
            image.alpha_composite(*bent)
    return image


def _still_life(pose: Pose, view: View) -> Skeleton:
    """Return a mannequin's bones, with all rigid things at the origin."""
    bones = skeleton(pose, view)
    for name in ("bag", "thing", "head", "foot_l"):
        flip = -1.0 if name == "foot_l" else 1.0
        bones[name] = Frame((view.x, view.y), (flip * view.scale, 0.0), (0.0, view.scale))
    return bones


def _extent(parts: tuple[Part, ...], bones: Skeleton) -> tuple[Array, Array]:
    """Return the corners of what the parts cover when laid on the bones."""
    spots = []
    for part in parts:
        x0, y0, x1, y1 = part.image.getchannel(3).getbbox() or (0, 0, 1, 1)
        xs, ys = np.linspace(x0, x1, 5) / part.unit + part.x0, np.linspace(y0, y1, 9) / part.unit + part.y0
        d, s = np.meshgrid(xs, ys)
        spots.append(bones[part.bone].place(d.ravel(), s.ravel()))
    every = np.concatenate(spots)
    return every.min(axis=0), every.max(axis=0)


def _on_model(style: GarmentStyle, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Draw a product on a model in plain clothes, before a studio wall."""
    wall = _GREYS[int(rng.integers(len(_GREYS)))]
    scene = Scene(Image.new("RGB", size, wall), rng)
    look: Look = {c: (None, s) for c, s in _BASICS.items() if c != style.category and style.category != "dress"}
    look = {**look, style.category: (None, style)}
    top, low = _MODEL_VIEWS[style.category]
    scale = size[1] / (low - top) * 0.97
    view = View(size[0] / 2, -top * scale + size[1] * 0.015, scale)
    figure = draw_figure(rng, draw_person(rng), view, phone=False, opening=0.2)
    dress_up(scene, look, replace(figure, cup=False, glasses=False, tucked=style.category == "bottom"))
    scene.crease()
    return scene.image
