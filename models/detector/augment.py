"""Augmentation of detection pictures: crop around one object, mirror, colour jitter. Applied to training data only."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from PIL import Image, ImageEnhance, ImageOps

from models.boxes import Box
from models.detector.categories import CLASSES
from models.detector.config import DetectorConfig

_KEEP_WIDTH: Final = 0.5  # a box cut by the crop stays when this share of its width …
_KEEP_HEIGHT: Final = 0.4  # … or this share of its height remains (both from the prior work)
_MIN_SIDE: Final = 2.0  # px left of a cut box
_FLIP: Final = 0.5
_CLOSE: Final = 0.15  # largest margin of a close-up, share of the object's size


def objects(labels: Sequence[int], boxes: Sequence[Sequence[float]]) -> list[tuple[str, Box]]:
    """Category name and xyxy box of each object, from class ids and xywh boxes."""
    return [(CLASSES[label], (x, y, x + w, y + h)) for label, (x, y, w, h) in zip(labels, boxes, strict=True)]


@dataclass(frozen=True)
class Sample:
    """A picture with its boxes, xywh in px, and class ids."""

    image: Image.Image
    boxes: list[list[float]]
    labels: list[int]

    def truth(self) -> list[tuple[str, Box]]:
        """Category name and xyxy box of each object."""
        return objects(self.labels, self.boxes)

    def coco(self, image_id: int) -> dict[str, Any]:
        """The annotation format that transformers' image processors take."""
        items = [
            {"bbox": box, "category_id": label, "area": box[2] * box[3], "iscrowd": 0}
            for box, label in zip(self.boxes, self.labels, strict=True)
        ]
        return {"image_id": image_id, "annotations": items}


def augment(sample: Sample, config: DetectorConfig, draw: random.Random) -> Sample:
    """One random variant of a sample."""
    if sample.boxes and draw.random() < config.close_up:
        sample = crop_around(sample, draw, 0.0, _CLOSE)
    elif sample.boxes and draw.random() < config.crop_probability:
        sample = crop_around(sample, draw, config.crop_margin_low, config.crop_margin_high)
    if draw.random() < _FLIP:
        sample = mirror(sample)
    return Sample(jitter(sample.image, draw, config.jitter), sample.boxes, sample.labels)


def crop_around(sample: Sample, draw: random.Random, low: float, high: float) -> Sample:
    """Cut out one random object with a margin, on each side its own, of `low` to `high` times the object's size."""
    x, y, w, h = draw.choice(sample.boxes)
    left, top, right, bottom = (draw.uniform(low, high) for _ in range(4))
    x0, y0 = max(0, int(x - left * w)), max(0, int(y - top * h))
    x1 = max(x0 + 1, min(sample.image.width, round(x + w + right * w)))  # a box may be thinner than a pixel here
    y1 = max(y0 + 1, min(sample.image.height, round(y + h + bottom * h)))
    boxes, labels = [], []
    for box, label in zip(sample.boxes, sample.labels, strict=True):
        inside = _intersect(box, x0, y0, x1, y1)
        if inside is not None:
            boxes.append(inside)
            labels.append(label)
    return Sample(sample.image.crop((x0, y0, x1, y1)), boxes, labels)


def mirror(sample: Sample) -> Sample:
    """Left becomes right."""
    width = sample.image.width
    return Sample(
        ImageOps.mirror(sample.image), [[width - x - w, y, w, h] for x, y, w, h in sample.boxes], sample.labels
    )


def jitter(image: Image.Image, draw: random.Random, strength: float) -> Image.Image:
    """Brightness, contrast and saturation, each by a random factor within 1 ± strength."""
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhance(image).enhance(draw.uniform(1 - strength, 1 + strength))
    return image


def _intersect(box: list[float], x0: int, y0: int, x1: int, y1: int) -> list[float] | None:
    x, y, w, h = box
    left, top, right, bottom = max(x, x0), max(y, y0), min(x + w, x1), min(y + h, y1)
    if right - left < _MIN_SIDE or bottom - top < _MIN_SIDE:
        return None
    if (right - left) < _KEEP_WIDTH * w and (bottom - top) < _KEEP_HEIGHT * h:
        return None
    return [left - x0, top - y0, right - left, bottom - top]
