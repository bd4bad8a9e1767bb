"""Products photographed alone, for a detector that would else see garments on people only.

Two ways to learn from a shop's thumbnails: a thumbnail takes the place of a training picture, with one box around the
product; or products are cut out and pasted onto a training picture (Dwibedi et al. 2017, "Cut, Paste and Learn"). The
class is the shop's; pictures of what is none of the seven classes teach that there is nothing to find.
"""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from heapq import heappush, heapreplace
from pathlib import Path
from typing import Final, Self

import numpy as np
from PIL import Image

from curation.images import decode, encode_jpeg, foreground
from curation.tables import fingerprint
from curation.taxonomy import CATEGORIES, LABELS
from models.detector.augment import Sample
from models.errors import DataError
from models.labelled import labelled_pictures, place_of

_SIDE: Final = 512  # px: longest side of a kept picture, unless the training pictures are kept smaller
_MOST_OF_A_CLASS: Final = 2_500  # pictures kept, encoded: of all eight at most about 1 GiB
_PLAIN: Final = 0.9  # share of a thumbnail's border that must be ground for the product to be cut out
_LEAST: Final = 0.02  # share of a thumbnail that its product covers: less is dust, and the ground not plain
_MARGIN: Final = 0.5  # largest margin that is added on each side of a thumbnail, share of its size
_RECOLOURED: Final = 0.5  # share of the thumbnails that get another ground
_PASTED: Final = (0.25, 0.6)  # longest side of a pasted product, share of the shorter side of the scene
_MOST_PASTED: Final = 2
_HIDDEN: Final = 0.4  # a box of which more is covered by a pasted product is dropped


@dataclass(frozen=True)
class Product:
    """A thumbnail, where its product is, and its class."""

    image: Image.Image
    mask: Image.Image | None  # 255 where the product is; None where the ground is not plain
    box: tuple[int, int, int, int]  # xyxy, px; the whole picture where the ground is not plain
    label: int | None  # position in CATEGORIES; None: it is none of them


class Products:
    """Thumbnails in memory, encoded, of which one is drawn with equal chance for each class.

    `fingerprint` names the pictures and their categories.
    """

    def __init__(self, pictures: Sequence[tuple[str, bytes]]) -> None:
        """Take (category, encoded picture) of each. Raises `DataError` when one is of no known category."""
        strange = sorted({category for category, _ in pictures} - set(LABELS))
        if strange or not pictures:
            raise DataError(f"{len(pictures)} thumbnails, of unknown categories: {', '.join(strange) or 'none'}")
        self._by_class = {name: [data for category, data in pictures if category == name] for name in LABELS}
        self.fingerprint = fingerprint([[category, hashlib.sha256(data).hexdigest()] for category, data in pictures])
        self._names = [name for name, found in self._by_class.items() if found]

    @classmethod
    def read(cls, source: Path, side: int = 0) -> Self:
        """Read a catalog table or a folder with `labels.csv`, at `side` px at most. Raises `DataError`.

        Of a class with very many pictures, those of some products are kept, chosen by a digest of the product's id:
        a shop's first ones are of one brand or season.
        """
        kept: dict[str, list[tuple[float, int, bytes]]] = {}
        for number, (product, category, image, _) in enumerate(labelled_pictures(source)):
            of_class, rank = kept.setdefault(category, []), (-place_of(product), -number)
            full = len(of_class) == _MOST_OF_A_CLASS
            if full and rank < of_class[0][:2]:
                continue
            image.thumbnail((side or _SIDE, side or _SIDE), reducing_gap=2.0)
            (heapreplace if full else heappush)(of_class, (*rank, encode_jpeg(image)))
        in_order = sorted((-number, name, data) for name, found in kept.items() for _, number, data in found)
        return cls([(name, data) for _, name, data in in_order])

    def draw(self, draw: random.Random, names: Sequence[str] = LABELS) -> Product:
        """One product at random, of these categories as far as there are any."""
        name = draw.choice([name for name in self._names if name in names] or self._names)
        return cut_out(decode(draw.choice(self._by_class[name])), name)

    def mixed(self, sample: Sample, alone: float, paste: float, draw: random.Random) -> Sample:
        """A training picture, or with chance `alone` a product instead, or with chance `paste` products on it."""
        if draw.random() < alone:
            return stand_alone(self.draw(draw), draw)
        if draw.random() < paste:
            for _ in range(draw.randint(1, _MOST_PASTED)):
                sample = pasted(sample, self.draw(draw, CATEGORIES), draw)
        return sample


def cut_out(image: Image.Image, category: str) -> Product:
    """Find the product on the plain ground of a thumbnail."""
    label = CATEGORIES.index(category) if category in CATEGORIES else None
    found = foreground(np.asarray(image, np.int16), _PLAIN)
    if found is None or found.mean() < _LEAST:
        return Product(image, None, (0, 0, image.width, image.height), label)
    mask = Image.fromarray(found)  # of mode 1
    return Product(image, mask.convert("L"), mask.getbbox() or (0, 0, image.width, image.height), label)


def stand_alone(product: Product, draw: random.Random) -> Sample:
    """A product's own picture, with more ground around it, at times of another colour, and its one box."""
    image, (x0, y0, x1, y1) = product.image, product.box
    left, top = round(draw.uniform(0, _MARGIN) * image.width), round(draw.uniform(0, _MARGIN) * image.height)
    right, low = round(draw.uniform(0, _MARGIN) * image.width), round(draw.uniform(0, _MARGIN) * image.height)
    if product.mask is None:
        left = top = right = low = 0  # nobody knows how such a ground goes on
    recoloured = product.mask is not None and draw.random() < _RECOLOURED
    ground = _colour(draw) if recoloured else image.getpixel((0, 0))
    canvas = Image.new("RGB", (left + image.width + right, top + image.height + low), ground)
    canvas.paste(image, (left, top), product.mask if recoloured else None)
    if product.label is None:
        return Sample(canvas, [], [])
    return Sample(canvas, [[float(left + x0), float(top + y0), float(x1 - x0), float(y1 - y0)]], [product.label])


def pasted(sample: Sample, product: Product, draw: random.Random) -> Sample:
    """A product on a training picture, at any place; boxes that it hides are dropped. Only what can be cut out is."""
    if product.mask is None or product.label is None:
        return sample
    scene = sample.image
    scale = (
        draw.uniform(*_PASTED) * min(scene.size) / max(product.box[2] - product.box[0], product.box[3] - product.box[1])
    )
    piece, mask = product.image.crop(product.box), product.mask.crop(product.box)
    size = max(2, round(piece.width * scale)), max(2, round(piece.height * scale))
    x, y = draw.randint(0, scene.width - size[0]), draw.randint(0, scene.height - size[1])
    image = scene.copy()
    image.paste(piece.resize(size), (x, y), mask.resize(size))
    box = [float(x), float(y), float(size[0]), float(size[1])]
    seen = [index for index, other in enumerate(sample.boxes) if _covered(other, box) <= _HIDDEN]
    boxes, labels = [sample.boxes[index] for index in seen], [sample.labels[index] for index in seen]
    return replace(sample, image=image, boxes=[*boxes, box], labels=[*labels, product.label])


def _covered(box: Sequence[float], by: Sequence[float]) -> float:
    """Share of an xywh box that another one covers."""
    wide = min(box[0] + box[2], by[0] + by[2]) - max(box[0], by[0])
    high = min(box[1] + box[3], by[1] + by[3]) - max(box[1], by[1])
    return max(0.0, wide) * max(0.0, high) / (box[2] * box[3])


def _colour(draw: random.Random) -> tuple[int, int, int]:
    return draw.randrange(256), draw.randrange(256), draw.randrange(256)
