"""Dressing a person: clothes, skin and hair go onto the canvas layer by layer, from the back to the front."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from PIL import ImageDraw

from sandbox.drawing import skin
from sandbox.drawing.body import Person, Pose, View, draw_pose, skeleton
from sandbox.drawing.canvas import Scene, area
from sandbox.drawing.garment import garment
from sandbox.drawing.palette import darker
from sandbox.drawing.pieces import Part
from sandbox.drawing.style import GarmentStyle
from sandbox.drawing.uppers import ARMS
from sandbox.drawing.warp import Frame, Skeleton

Look = Mapping[str, tuple[int | None, GarmentStyle]]
"""Class → product id (None: nobody's) and style."""
_NARROW: Final = ("skinny", "straight", "jogger")


@dataclass(frozen=True)
class Figure:
    """A person about to be drawn."""

    person: Person
    pose: Pose
    view: View
    opening: float  # of the outerwear, head heights
    tucked: bool
    glasses: bool
    carry: str  # "hand", "crook", "shoulder" or "cross"
    phone: bool
    cup: bool


def draw_figure(rng: np.random.Generator, person: Person, view: View, *, phone: bool, opening: float) -> Figure:
    """Draw how a person stands and carries things in one photo."""
    pose = draw_pose(rng, phone=phone)
    return Figure(
        person=person,
        pose=pose,
        view=View(view.x, view.y, view.scale, pose.lean),
        opening=opening,
        tucked=bool(rng.random() < 0.45),
        glasses=bool(rng.random() < 0.15),
        carry=str(rng.choice(["hand", "crook", "shoulder", "cross"], p=[0.8, 0.08, 0.08, 0.04])),
        phone=phone,
        cup=bool(rng.random() < 0.12),
    )


def _bag_frame(figure: Figure, bones: Skeleton) -> Frame:
    """Return where the bag hangs: always at the viewer's left, away from a phone."""
    if figure.carry in ("hand", "crook"):
        held = bones[f"{figure.carry}_l"]
        if isinstance(held, Frame):
            return held
    place = {"shoulder": np.array([[-0.98, 1.0]])}.get(figure.carry, np.array([[-0.55, 1.25]]))
    x, y = figure.view.pixels(place * (figure.person.girth, 1.0))[0].tolist()
    return Frame((x, y), figure.view.vector(np.array([1.0, 0.0])), figure.view.vector(np.array([0.0, 1.0])))


class _Dresser:
    """Puts one person into a scene, layer by layer from the back."""

    def __init__(self, scene: Scene, look: Look, figure: Figure) -> None:
        if "hat" in look and look["hat"][1].print_ != "none":  # letters must not read backwards
            figure = replace(figure, pose=replace(figure.pose, hat_side=1.0))
        self.scene, self.look, self.figure = scene, look, figure
        self.bones = skeleton(figure.pose, figure.view, figure.person.girth, figure.person.limbs)
        self.bones["bag"] = _bag_frame(figure, self.bones)
        self.parts: dict[str, list[tuple[Part, int]]] = {category: self._register(category) for category in look}

    def _register(self, category: str) -> list[tuple[Part, int]]:
        product_id, style = self.look[category]
        parts = garment(style, self.figure.opening if category == "outer" else 0.0)
        if category == "top" and "outer" in self.look and self.look["outer"][1].sleeve != "none":
            parts = tuple(part for part in parts if part.bone not in ARMS)
        numbered = []
        number = 0
        for part in parts:
            if not number or category == "shoes":
                number = self.scene.add(style, product_id)
            self.scene.worn[number - 1].area += area(part, self.bones)
            numbered.append((part, number))
        return numbered

    def _put(self, category: str, keep: slice = slice(None), bones: tuple[str, ...] | None = None) -> None:
        for part, number in self.parts.get(category, [])[keep]:
            if bones is None or part.bone in bones:
                self.scene.put(part, self.bones, number)

    def draw(self) -> None:
        """Draw everything."""
        body = skin.limbs(self.figure.person.skin)
        back, face = skin.head(self.figure.person, glasses=self.figure.glasses)
        self.scene.put(back, self.bones)
        for category in ("top", "outer", "dress"):
            self._put(category, slice(1))
        for leg in ("leg_l", "leg_r"):
            self.scene.put(body[leg], self.bones)
        over = self._boots_over_trousers()
        if not over:
            self._put("shoes")
        self.scene.put(body["spine"], self.bones)
        for category in ("bottom", "top") if not self.figure.tucked else ("top", "bottom"):
            self._put(
                category, slice(1 if category == "top" else 0, None), None if category == "bottom" else ("spine",)
            )
        if over:
            self._put("shoes")
        self._put("dress", slice(1, None), ("spine",))
        if self.figure.carry == "shoulder":
            self._bag()
        self._put("outer", slice(1, None), ("spine",))
        if self.figure.carry == "cross":
            self._bag()
        self._arms(body)
        self.scene.put(face, self.bones)
        self._put("hat")
        if self.figure.phone:
            self.scene.put(skin.phone(darker(self.figure.person.hair, 0.2)), self.bones)

    def _boots_over_trousers(self) -> bool:
        """Say whether narrow trousers go into tall boots; elsewhere legs and hems fall over the shoes."""
        boots = "shoes" in self.look and self.look["shoes"][1].cut == "tall_boot"
        return boots and "bottom" in self.look and self.look["bottom"][1].cut in _NARROW

    def _arms(self, body: dict[str, Part]) -> None:
        for arm in ARMS:
            if arm == "arm_l" and self.figure.carry == "hand":
                self._bag()
            self.scene.put(body[arm], self.bones)
            for category in ("top", "dress", "outer"):
                self._put(category, slice(1, None), (arm,))
        if self.figure.carry == "crook":
            self._bag()
        if self.figure.cup and not self.figure.phone:
            self.scene.put(skin.cup("r"), self.bones)

    def _bag(self) -> None:
        if "bag" not in self.look:
            return
        if self.figure.carry in ("shoulder", "cross"):
            self._strap()
        self._put("bag")

    def _strap(self) -> None:
        frame = self.bones["bag"]
        if not isinstance(frame, Frame):
            return
        start = (-0.55, 0.08) if self.figure.carry == "shoulder" else (0.5, 0.06)
        x, y = self.figure.view.pixels(np.array([start]))[0].tolist()
        end = (frame.origin[0] + 0.3 * frame.down[0], frame.origin[1] + 0.3 * frame.down[1])
        colour = darker(self.look["bag"][1].main, 0.3)
        ImageDraw.Draw(self.scene.image).line(
            (x, y, *end), fill=colour, width=max(2, round(self.figure.view.scale * 0.08))
        )


def dress_up(scene: Scene, look: Look, figure: Figure) -> None:
    """Draw a person who wears `look` into the scene, in front of what is there."""
    _Dresser(scene, look, figure).draw()
