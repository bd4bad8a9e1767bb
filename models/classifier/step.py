"""Posts → thumbnail categories: the classifier applied to every tagged product of a shard."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from curation.engine import KEPT
from curation.images import try_decode
from curation.reasons import ThumbnailDrop
from curation.schemas import THUMBNAILS
from curation.tables import Shard, rows_to_batch
from curation.taxonomy import ETC, LABELS
from models.steps import opened

_COLUMNS: Final = ("site", "post_id", "role", "position", "product_id", "bytes", "sha256")
_MIN_SIDE: Final = 200  # px
_ROWS_PER_BATCH: Final = 64  # decoded thumbnails handed on at once; about three times as many are held

Row = dict[str, Any]
_Thumbnail = tuple[Row, Image.Image | None]
"""A row and its picture, unless that is broken."""


class ClassifyThumbnails:
    """Step over posts: name each tagged thumbnail, keep those that are large, sure and a garment.

    Args of the constructor:
        classifier: checkpoint directory.
        classifier_version: version that the checkpoint must have.
        min_probability: smallest probability of the named label; by default the classifier's own threshold.
        threads: see `Step`.
    """

    on_gpu: ClassVar[bool] = True
    version: ClassVar[str] = "2"
    schema: ClassVar[pa.Schema] = THUMBNAILS

    def __init__(
        self, classifier: str, classifier_version: str, min_probability: float | None = None, threads: int = 1
    ) -> None:
        from models.classifier.infer import Classifier

        self._classifier = opened(Classifier.load, classifier, classifier_version, threads)
        self._min_probability = self._classifier.threshold if min_probability is None else min_probability

    def __call__(self, *shards: Shard, counts: Counter[str]) -> Iterator[pa.RecordBatch]:
        """One batch of rows for each few tagged products."""
        batches = shards[0].batches(_COLUMNS, rows=_ROWS_PER_BATCH)
        tagged = ([row for row in batch.to_pylist() if row["role"] == "product"] for batch in batches)
        for decoded, probabilities in self._classifier.probabilities_each(filter(None, tagged), _decoded):
            yield rows_to_batch(self._rows(decoded, probabilities, counts), THUMBNAILS)

    def _rows(self, tagged: Sequence[_Thumbnail], found: NDArray[np.float64], counts: Counter[str]) -> list[Row]:
        named = iter(found)
        rows = []
        for row, image in tagged:
            probabilities = None if image is None else next(named)
            label = None if probabilities is None else LABELS[int(probabilities.argmax())]
            probability = None if probabilities is None else float(probabilities.max())
            reason = self._drop(image, label, probability)
            counts[KEPT if reason is None else reason] += 1
            rows.append(
                {
                    **{name: row[name] for name in ("site", "post_id", "position", "product_id")},
                    "image_sha256": row["sha256"],
                    "category": label,
                    "probability": probability,
                    "kept": reason is None,
                    "reason": reason,
                    "classifier_version": self._classifier.version,
                }
            )
        return rows

    def _drop(self, image: Image.Image | None, label: str | None, probability: float | None) -> ThumbnailDrop | None:
        if image is None or probability is None:
            return ThumbnailDrop.BAD_IMAGE
        if min(image.size) < _MIN_SIDE:
            return ThumbnailDrop.TOO_SMALL
        if label == ETC:
            return ThumbnailDrop.REJECTED
        return ThumbnailDrop.LOW_PROBABILITY if probability < self._min_probability else None


def _decoded(rows: Sequence[Row]) -> tuple[list[_Thumbnail], list[Image.Image]]:
    thumbnails = [(row, try_decode(row["bytes"])) for row in rows]
    return thumbnails, [image for _, image in thumbnails if image is not None]
