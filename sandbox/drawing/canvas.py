"""The canvas of a photo: a picture, and for each pixel the garment that it shows, from which the true boxes follow."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops

from sandbox.drawing import camera
from sandbox.drawing.body import UPPER_ARM
from sandbox.drawing.pieces import Part
from sandbox.drawing.style import GarmentStyle
from sandbox.drawing.warp import Frame, Skeleton, bend

MIN_VISIBLE: Final = 0.3
"""Part of a garment that must show for it to have a box."""
MIN_SIDE: Final = 16
"""Shortest side of a box, px."""
_SOLID: Final = 110  # alpha from which a pixel belongs to a garment
_ELBOW: Final = 0.14  # overlap of the halves of a bent arm, head heights


@dataclass(frozen=True)
class DrawnBox:
    """A garment that a photo shows. `box` is xyxy in pixels; `product_id` is None on bystanders."""

    category: str
    cut: str
    product_id: int | None
    box: tuple[float, float, float, float]
    visible: float


@dataclass(frozen=True)
class DrawnPhoto:
    """An upright RGB photo and its true boxes."""

    image: Image.Image
    boxes: tuple[DrawnBox, ...]


@dataclass
class _Worn:
    """What the scene knows of one garment (one shoe) while it draws."""

    category: str
    cut: str
    product_id: int | None
    area: float = 0.0  # px that it would cover, were nothing in front and the photo large enough


class Scene:
    """A canvas, and for each pixel the number of the garment that it shows (0: none)."""

    def __init__(self, image: Image.Image, rng: np.random.Generator) -> None:
        self.image = image
        self.owner: npt.NDArray[np.uint8] = np.zeros((image.height, image.width), dtype=np.uint8)
        self.worn: list[_Worn] = []
        x, y = (int(v) for v in rng.integers(0, camera.FOLD_TILE, size=2))
        creases = ImageChops.offset(camera.fold_tile(), x, y).crop((0, 0, *image.size))
        self._creases = Image.merge("RGB", (creases, creases, creases))

    def put(self, part: Part, bones: Skeleton, number: int = 0) -> None:
        """Draw a part; `number` says which garment it belongs to (0: none, it only hides)."""
        if f"{part.bone}_fore" in bones:  # a sharply bent arm: its halves overlap, so each is drawn alone
            self.put(part.between(-1.0, UPPER_ARM + _ELBOW, f"{part.bone}_upper"), bones, number)
            self.put(part.between(UPPER_ARM - _ELBOW, 9.0, f"{part.bone}_fore"), bones, number)
            return
        bent = bend(part, bones, self.image.size)
        if bent is None:
            return
        picture, (x, y) = bent
        self.image.paste(picture, (x, y), picture)
        solid = np.asarray(picture.getchannel(3)) > _SOLID
        self.owner[y : y + picture.height, x : x + picture.width][solid] = number

    def crease(self) -> None:
        """Lay creases over all garments."""
        mask = Image.fromarray((self.owner > 0).astype(np.uint8) * 255)
        self.image.paste(ImageChops.multiply(self.image, self._creases), mask=mask)

    def add(self, style: GarmentStyle, product_id: int | None) -> int:
        """Register a garment and return its number."""
        self.worn.append(_Worn(style.category, style.cut, product_id))
        return len(self.worn)

    def boxes(self) -> tuple[DrawnBox, ...]:
        """Return the boxes of everything that shows enough of itself."""
        found = []
        for number, worn in enumerate(self.worn, 1):
            mine = self.owner == number
            count = int(mine.sum())
            if not count:
                continue
            rows, columns = np.flatnonzero(mine.any(axis=1)), np.flatnonzero(mine.any(axis=0))
            box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
            visible = min(1.0, count / worn.area)
            if visible >= MIN_VISIBLE and min(box[2] - box[0], box[3] - box[1]) >= MIN_SIDE:
                found.append(DrawnBox(worn.category, worn.cut, worn.product_id, box, round(visible, 3)))
        return tuple(found)


def area(part: Part, bones: Skeleton) -> float:
    """Return about how many pixels a part covers on its bone."""
    bone = bones[part.bone]
    flat = float(np.count_nonzero(np.asarray(part.image.getchannel(3)) > _SOLID)) / part.unit**2
    if isinstance(bone, Frame):
        return flat * abs(bone.right[0] * bone.down[1] - bone.right[1] * bone.down[0])
    along = float(np.linalg.norm(np.diff(bone.points, axis=0), axis=1).sum() / (bone.lengths[-1] - bone.lengths[0]))
    return flat * along * bone.across
