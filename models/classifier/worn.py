"""Garments that people wear in annotated photos, as further pictures for the classifier.

A shop's catalog may have few products of a kind. Annotated photos have thousands, though on people and in part hidden.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Final

import numpy as np

from curation.taxonomy import LABELS
from models.boxes import Box, cut
from models.classifier.data import Thumbnails, place_of
from models.detector.data import DetectionPictures
from models.detector.dataset import DATASET_FILE
from models.errors import DataError
from models.pixels import resize

_LEAST_SIDE: Final = 20  # px of a box
_OF_A_CLASS: Final = 2_000  # boxes; those of all classes take 3 GB at 224 px


def read_worn(root: Path, size: tuple[int, int]) -> tuple[Thumbnails, str]:
    """Garments in the training boxes of a detection dataset, cut out at (height, width) px, and its fingerprint.

    A box has sides of at least 20 px. When a class has more than 2,000, some photos' are taken: whose, depends on the
    photos' names alone.

    Raises:
        DataError: `root` is no detection dataset, or no box is large enough.
    """
    photos = DetectionPictures(root, "train")
    truths = photos.truths
    counts: Counter[str] = Counter()
    pixels, labels, products = [], [], []
    for number in sorted(range(len(photos)), key=lambda number: place_of(photos.files[number])):
        large = [item for item in truths[number] if counts[item[0]] < _OF_A_CLASS and _is_large(item[1])]
        if not large:
            continue
        image = photos[number][0].image
        pixels += [resize(cut(image, box), *size) for _, box in large]
        labels += [LABELS.index(category) for category, _ in large]
        products += [photos.files[number]] * len(large)
        counts.update(category for category, _ in large)
    if not pixels:
        raise DataError(f"{root}: no box has sides of {_LEAST_SIDE} px or more")
    summary = json.loads((root / DATASET_FILE).read_text())
    garments = Thumbnails(np.stack(pixels), np.array(labels), products, np.zeros(len(labels), np.int64))
    return garments, summary["fingerprint"]


def _is_large(box: Box) -> bool:
    return min(box[2] - box[0], box[3] - box[1]) >= _LEAST_SIDE
