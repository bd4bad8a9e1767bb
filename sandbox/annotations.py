"""Drawn stand-ins for ModaNet and Fashionpedia: COCO files with each set's own category names.

The people and clothes come from a stream of their own, so that no garment of a `World` is among them. As in the real
sets, some boxes are bad and some pictures show two people.
"""

import json
import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from sandbox import encoding
from sandbox.drawing.canvas import DrawnBox, DrawnPhoto
from sandbox.drawing.dresser import Look
from sandbox.drawing.scene import draw_photo
from sandbox.posts import FRAMINGS, Photo
from sandbox.products import draw_style
from sandbox.seeds import stream

MODANET: Final = (
    "bag", "belt", "boots", "footwear", "outer", "dress", "sunglasses", "pants", "top", "shorts", "skirt", "headwear",
    "scarf/tie",
)  # fmt: skip
"""ModaNet's 13 categories; ids start at 1."""
FASHIONPEDIA: Final = (
    "shirt, blouse", "top, t-shirt, sweatshirt", "sweater", "cardigan", "jacket", "vest", "pants", "shorts", "skirt",
    "coat", "dress", "jumpsuit", "cape", "glasses", "hat", "headband, head covering, hair accessory", "tie", "glove",
    "watch", "belt", "leg warmer", "tights, stockings", "sock", "shoe", "bag, wallet", "scarf", "umbrella", "hood",
    "collar", "lapel", "epaulette", "sleeve", "pocket", "neckline", "buckle", "zipper", "applique", "bead", "bow",
    "flower", "fringe", "ribbon", "rivet", "ruffle", "sequin", "tassel",
)  # fmt: skip
"""Fashionpedia's 46 categories; ids start at 0."""
BAD_BOX_RATE: Final = 0.01
"""Boxes without area, as real annotations have them."""
CROWD_RATE: Final = 0.12
"""Pictures with a second person."""
_CHUNK: Final = 16  # pictures that a worker draws before it asks for more

_WEAR: Final[Mapping[str, float]] = {"dress": 0.3, "outer": 0.3, "shoes": 0.92, "bag": 0.5, "hat": 0.42}
_FRAMING_SHARE: Final = (0.6, 0.23, 0.08, 0.05, 0.04)
_SIZES: Final = ((360, 480), (360, 540), (376, 520))
_PANTS: Final = ("straight", "wide", "skinny", "cargo", "flared", "jogger")
_MODANET_CUT: Final = dict.fromkeys(_PANTS, "pants") | {"shorts": "shorts", "ankle_boot": "boots", "tall_boot": "boots"}
_MODANET_CLASS: Final = {
    "bag": "bag",
    "outer": "outer",
    "dress": "dress",
    "top": "top",
    "bottom": "skirt",
    "hat": "headwear",
    "shoes": "footwear",
}
_FASHIONPEDIA_CUT: Final = dict.fromkeys(_PANTS, "pants") | {
    "shorts": "shorts", "shirt": "shirt, blouse", "blouse": "shirt, blouse", "knit": "sweater", "cardigan": "cardigan",
    "vest": "vest", "coat": "coat", "parka": "coat",
}  # fmt: skip
_FASHIONPEDIA_CLASS: Final = {
    "bag": "bag, wallet", "outer": "jacket", "dress": "dress", "top": "top, t-shirt, sweatshirt", "bottom": "skirt",
    "hat": "hat", "shoes": "shoe",
}  # fmt: skip


@dataclass(frozen=True)
class _Standard:
    """One annotation set: its folder, its category names, the first id, and how garments map to names."""

    folder: str
    names: tuple[str, ...]
    first_id: int
    by_cut: Mapping[str, str]
    by_class: Mapping[str, str]
    licence: str

    def category_id(self, box: DrawnBox) -> int:
        """Return the set's category id of a drawn garment."""
        return self.names.index(self.by_cut.get(box.cut, self.by_class[box.category])) + self.first_id


STANDARDS: Final = (
    _Standard("modanet", MODANET, 1, _MODANET_CUT, _MODANET_CLASS, "CC BY-NC 4.0"),
    _Standard("fashionpedia", FASHIONPEDIA, 0, _FASHIONPEDIA_CUT, _FASHIONPEDIA_CLASS, "CC BY 4.0"),
)


def write_annotations(out: Path, seed: int, images: int, workers: int = 1) -> None:
    """Write `out/modanet` and `out/fashionpedia`: `annotations.json` (COCO) and `images/*.jpg`, half the pictures each.

    The same for any number of `workers` (processes that draw). Raises ValueError when `images` is less than 2.
    """
    if images < len(STANDARDS):
        raise ValueError(f"images: must be at least {len(STANDARDS)}, is {images}")
    context = multiprocessing.get_context("spawn")  # a fork would inherit the threads of whoever called
    with ProcessPoolExecutor(workers, context) if workers > 1 else nullcontext() as pool:
        spread = partial(pool.map, chunksize=_CHUNK) if pool else map
        for number, standard in enumerate(STANDARDS):
            count = images // 2 + (images % 2 if number == 0 else 0)
            (out / standard.folder / "images").mkdir(parents=True, exist_ok=True)
            made = spread(partial(_picture, out, seed, number), range(1, count + 1))
            _write(out / standard.folder, standard, seed, list(made))


def _picture(out: Path, seed: int, number: int, image_id: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Draw one picture of a standard; its rows of `images` and `annotations`, the latter without their ids."""
    standard = STANDARDS[number]
    rng = stream(seed, "annotation", number, image_id)
    photo = _photo(rng)
    drawn = _draw(rng, photo)
    name = f"{image_id:06d}.jpg"
    (out / standard.folder / "images" / name).write_bytes(encoding.jpeg(drawn.image, photo.quality))
    row = {"id": image_id, "file_name": name, "width": photo.width, "height": photo.height, "license": 1}
    return row, [_note(standard, box, image_id, rng) for box in drawn.boxes]


def _write(
    folder: Path, standard: _Standard, seed: int, made: list[tuple[dict[str, Any], list[dict[str, Any]]]]
) -> None:
    notes = [note for _, of_picture in made for note in of_picture]
    data = {
        "info": {"description": f"{standard.folder}, drawn", "version": str(seed)},
        "licenses": [{"id": 1, "name": standard.licence, "url": ""}],
        "images": [picture for picture, _ in made],
        "annotations": [{"id": note_id, **note} for note_id, note in enumerate(notes, 1)],
        "categories": [
            {"id": i, "name": n, "supercategory": "fashion"} for i, n in enumerate(standard.names, standard.first_id)
        ],
    }
    (folder / "annotations.json").write_text(json.dumps(data), encoding="utf-8")


def _note(standard: _Standard, box: DrawnBox, image_id: int, rng: np.random.Generator) -> dict[str, Any]:
    x0, y0, x1, y1 = box.box
    width, height = (0.0, 0.0) if rng.random() < BAD_BOX_RATE else (x1 - x0, y1 - y0)
    return {
        "image_id": image_id,
        "category_id": standard.category_id(box),
        "bbox": [x0, y0, width, height],
        "area": width * height,
        "iscrowd": 0,
        "segmentation": [[x0, y0, x0 + width, y0, x0 + width, y0 + height, x0, y0 + height]],
    }


def _photo(rng: np.random.Generator) -> Photo:
    width, height = _SIZES[int(rng.integers(len(_SIZES)))]
    framing = str(rng.choice(FRAMINGS, p=_FRAMING_SHARE))
    crowd = bool(rng.random() < CROWD_RATE)
    return Photo(0, framing, width, height, int(rng.integers(70, 93)), 1, crowd, None)


def _look(rng: np.random.Generator) -> Look:
    worn = [slot for slot, chance in _WEAR.items() if rng.random() < chance]
    worn += [] if "dress" in worn else ["top", "bottom"]
    return {category: (None, draw_style(rng, category)) for category in worn}


def _draw(rng: np.random.Generator, photo: Photo) -> DrawnPhoto:
    look = _look(rng)
    stranger: Look | None = (
        {c: (None, draw_style(rng, c)) for c in ("top", "bottom", "shoes")} if photo.bystander else None
    )
    return draw_photo(look, photo, rng, rng, stranger=stranger)
