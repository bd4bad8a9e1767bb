"""Boxes on pictures: what a detector returns, overlap, suppression, cutting out. Plain numpy, no torch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Box = tuple[float, float, float, float]
"""xyxy, px of the upright picture."""
_SAME_THING: Final = 0.2  # IoU above which two boxes of a class are opinions on one garment


@dataclass(frozen=True, slots=True)
class Detection:
    """One garment that a detector found."""

    category: str  # one of the seven
    score: float  # 0-1
    box: Box
    agreement: float | None = None  # 0-1, of other looks at the same thing; see `box_agreement`. None: not looked again


def overlap(first: Sequence[Box], second: Sequence[Box]) -> NDArray[np.float64]:
    """Intersection over union of every box with every other, shape (len(first), len(second))."""
    a = np.asarray(first, np.float64).reshape(-1, 4)
    b = np.asarray(second, np.float64).reshape(-1, 4)
    sides = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    shared = np.clip(sides, 0, None).prod(axis=2)
    total = _area(a)[:, None] + _area(b)[None, :] - shared
    result: NDArray[np.float64] = np.divide(shared, total, out=np.zeros_like(shared), where=total > 0)
    return result


def suppress(detections: Sequence[Detection], iou: float) -> list[bool]:
    """Which detections survive greedy class-agnostic non-maximum suppression, best score first.

    A detection falls when it overlaps a better surviving one, of whatever class, by more than `iou`.
    """
    overlaps = overlap([d.box for d in detections], [d.box for d in detections])
    alive: list[int] = []
    for index in sorted(range(len(detections)), key=lambda i: -detections[i].score):
        if all(overlaps[index, other] <= iou for other in alive):
            alive.append(index)
    return [index in alive for index in range(len(detections))]


def without_doubles(detections: Sequence[Detection], iou: float) -> list[Detection]:
    """Drop a detection that overlaps a better one *of its own class* by more than `iou`; order is kept.

    A detection transformer is meant to need none of this; one that was trained for minutes still finds things twice.
    """
    alive: set[Detection] = set()
    for category in {item.category for item in detections}:
        same = [item for item in detections if item.category == category]
        alive.update(item for item, keep in zip(same, suppress(same, iou), strict=True) if keep)
    return [item for item in detections if item in alive]


def box_agreement(item: Detection, looks: Sequence[Detection]) -> float:
    """How far everything that was found near a detection agrees with its box: the mean overlap, 0-1.

    A detector that cannot decide where a garment ends has several boxes for it, and is sure of each. (The weighted
    boxes of Solovyev, Wang and Gabruseva 2021, asked for their spread instead of their mean.)

    Args:
        item: the detection.
        looks: all that the detector found, whatever its score, the detection and its doubles included; also in further
            looks at the picture, such as its mirror image. Each counts by the square of its score.
    """
    same = [other for other in looks if other.category == item.category]
    shared = overlap([item.box], [other.box for other in same])[0]
    weights = np.array([other.score for other in same]) ** 2 * (shared > _SAME_THING)
    return float(weights @ shared / weights.sum())


def clip_box(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """Whole pixels of a box inside a picture; empty (x0 = x1 or y0 = y1) when it lies outside."""
    x0, y0 = max(0, math.floor(box[0])), max(0, math.floor(box[1]))
    return x0, y0, max(x0, min(width, math.ceil(box[2]))), max(y0, min(height, math.ceil(box[3])))


def cut(image: Image.Image, box: Box) -> Image.Image:
    """The part of a picture inside a box. Raises `ValueError` when they do not meet."""
    x0, y0, x1, y1 = clip_box(box, image.width, image.height)
    if x0 >= x1 or y0 >= y1:
        raise ValueError(f"box {box} lies outside the picture of {image.width}×{image.height} px")
    return image.crop((x0, y0, x1, y1))


def _area(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return result
