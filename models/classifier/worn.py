"""Garments that people wear in annotated photos, as further pictures for the classifier.

A shop's catalog may have few products of a kind. Annotated photos have thousands, though on people and in part hidden.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from curation.taxonomy import CATEGORIES, LABELS
from models.boxes import Box, cut
from models.classifier.data import Thumbnails, stored
from models.detector.data import DetectionPictures
from models.detector.dataset import DATASET_FILE
from models.errors import DataError
from models.labelled import place_of
from models.pixels import resize

_LEAST_SIDE: Final = 20  # px of a box
_OF_A_CLASS: Final = 2_000  # boxes


def read_worn(root: Path, size: tuple[int, int], folder: Path | None = None) -> tuple[Thumbnails, str]:
    """Garments in the training boxes of a detection dataset, cut out at (height, width) px, and its fingerprint.

    The pictures are kept in `folder`, as `models.classifier.data.stored` does.

    A box has sides of at least 20 px. When a class has more than 2,000, some photos' are taken: whose, depends on the
    photos' names alone.

    Raises:
        DataError: `root` is no detection dataset, or no box is large enough.
    """
    photos = DetectionPictures(root, "train")
    truths = photos.truths
    counts: Counter[str] = Counter()
    labels: list[int] = []
    products: list[str] = []

    def pictures() -> Iterator[NDArray[np.uint8]]:
        for number in sorted(range(len(photos)), key=lambda number: place_of(photos.files[number])):
            known = (item for item in truths[number] if item[0] in CATEGORIES)  # a dataset of twelve classes has more
            large = [item for item in known if counts[item[0]] < _OF_A_CLASS and _is_large(item[1])]
            if not large:
                continue
            image = photos[number][0].image
            labels.extend(LABELS.index(category) for category, _ in large)
            products.extend([photos.files[number]] * len(large))
            counts.update(category for category, _ in large)
            yield from (resize(cut(image, box), *size) for _, box in large)

    pixels = stored(pictures(), size, folder)
    if not len(pixels):
        raise DataError(f"{root}: no box has sides of {_LEAST_SIDE} px or more")
    summary = json.loads((root / DATASET_FILE).read_text())
    one_source = np.zeros(len(labels), np.int64)
    garments = Thumbnails(pixels, np.arange(len(labels)), np.array(labels), products, one_source)
    return garments, summary["fingerprint"]


def _is_large(box: Box) -> bool:
    return min(box[2] - box[0], box[3] - box[1]) >= _LEAST_SIDE
