"""COCO metrics of a detector by pycocotools, and the mean-box baseline that shows they mean something."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from models.boxes import Box, Detection
from models.detector.categories import CLASSES
from models.errors import MetricError

Truth = Sequence[tuple[str, Box]]
"""Category and box of each garment in one picture."""

RECORD_THRESHOLD: Final = 0.05
"""Least score of a detection that is measured: lower ones hardly move average precision."""
_IOU_50, _IOU_75 = 0, 5  # positions in COCO's thresholds 0.50, 0.55, …, 0.95
_ALL_AREAS, _MOST_BOXES = 0, 2  # positions in COCO's area ranges and in its (1, 10, 100) boxes a picture
_NOT_COMPUTED: Final = -1  # pycocotools' mark for "no such box"


def coco_metrics(truth: Sequence[Truth], found: Sequence[Sequence[Detection]]) -> dict[str, Any]:
    """Average precision over classes that occur in the truth (COCO's definition, 101 recall points).

    Args:
        truth: one entry per picture.
        found: detections of the same pictures in the same order, low scores included.

    Returns:
        `map` (IoU 0.50:0.95), `ap50`, `ap75`, `ar100`, and `ap50_by_class`.

    Raises:
        MetricError: the lengths differ or there is no box in the truth.
    """
    if len(truth) != len(found):
        raise MetricError(f"{len(truth)} pictures of truth, {len(found)} of detections")
    if not any(truth):
        raise MetricError(f"no box in the truth of {len(truth)} pictures")
    if not any(found):
        return {"map": 0.0, "ap50": 0.0, "ap75": 0.0, "ar100": 0.0, "ap50_by_class": _zeros(truth)}
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        reference = COCO()
        reference.dataset = _dataset(truth)
        reference.createIndex()
        evaluation = COCOeval(reference, reference.loadRes(_results(found)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, _ALL_AREAS, _MOST_BOXES]  # IoU, recall, class
    recall = evaluation.eval["recall"][:, :, _ALL_AREAS, _MOST_BOXES]
    by_class = {
        name: float(precision[_IOU_50, :, index].mean())
        for index, name in enumerate(CLASSES)
        if (precision[_IOU_50, :, index] > _NOT_COMPUTED).all()
    }
    return {
        "map": _mean(precision),
        "ap50": _mean(precision[_IOU_50]),
        "ap75": _mean(precision[_IOU_75]),
        "ar100": _mean(recall),
        "ap50_by_class": by_class,
    }


class MeanBox:
    """A detector that does not look: for every picture, each class's mean box, scored by how often the class occurs."""

    def __init__(self, truth: Sequence[Truth], sizes: Sequence[tuple[int, int]]) -> None:
        self._boxes: dict[str, tuple[float, Any]] = {}
        if not any(truth):
            raise MetricError("no box to take the mean of")
        for name in CLASSES:
            boxes = [
                np.array(box) / (width, height, width, height)
                for picture, (width, height) in zip(truth, sizes, strict=True)
                for category, box in picture
                if category == name
            ]
            if boxes:
                self._boxes[name] = (min(1.0, len(boxes) / len(truth)), np.mean(boxes, axis=0))

    def detect(self, sizes: Sequence[tuple[int, int]]) -> list[list[Detection]]:
        """The same relative boxes for pictures of any (width, height) in px."""
        return [
            [
                Detection(name, score, (box[0] * width, box[1] * height, box[2] * width, box[3] * height))
                for name, (score, box) in self._boxes.items()
            ]
            for width, height in sizes
        ]


def _dataset(truth: Sequence[Truth]) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    for image_id, picture in enumerate(truth):
        for category, box in picture:
            x0, y0, x1, y1 = map(float, box)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": CLASSES.index(category),
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": (x1 - x0) * (y1 - y0),
                    "iscrowd": 0,
                }
            )
    return {
        "info": {},
        "images": [{"id": image_id} for image_id in range(len(truth))],
        "annotations": annotations,
        "categories": [{"id": index, "name": name} for index, name in enumerate(CLASSES)],
    }


def _results(found: Sequence[Sequence[Detection]]) -> list[dict[str, Any]]:
    return [
        {
            "image_id": image_id,
            "category_id": CLASSES.index(item.category),
            "bbox": [item.box[0], item.box[1], item.box[2] - item.box[0], item.box[3] - item.box[1]],
            "score": float(item.score),
        }
        for image_id, picture in enumerate(found)
        for item in picture
    ]


def _mean(values: Any) -> float:
    computed = values[values > _NOT_COMPUTED]
    return float(computed.mean())


def _zeros(truth: Sequence[Truth]) -> dict[str, float]:
    present = {category for picture in truth for category, _ in picture}
    return {name: 0.0 for name in CLASSES if name in present}
