"""Boxes on pictures: what a detector returns, overlap, suppression, cutting out. Plain numpy, no torch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Box = tuple[float, float, float, float]
"""xyxy, px of the upright picture."""


@dataclass(frozen=True, slots=True)
class Detection:
    """One garment that a detector found."""

    category: str  # one of `models.detector.categories.CLASSES`
    score: float  # 0-1
    box: Box


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
    alive: set[int] = set()  # places, as two detections can be equal
    for category in {item.category for item in detections}:
        same = [place for place, item in enumerate(detections) if item.category == category]
        alive.update(compress(same, suppress([detections[place] for place in same], iou)))
    return [item for place, item in enumerate(detections) if place in alive]


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
