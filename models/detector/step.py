"""Posts → crops: the detector applied to every photo of a shard, with a row for whatever was not used and why."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, Final

import pyarrow as pa
from PIL import Image

from curation.engine import KEPT
from curation.images import encode_jpeg, try_decode
from curation.reasons import CropDrop
from curation.schemas import CROPS
from curation.tables import Shard, rows_to_batch
from models.boxes import Detection, clip_box, cut, suppress
from models.detector.evaluate import RECORD_THRESHOLD
from models.steps import opened

CROP_THRESHOLD: Final = 0.5
"""Least score of a box that a crop is made of."""
_COLUMNS: Final = ("site", "post_id", "role", "position", "bytes", "sha256")
_PHOTOS_PER_BATCH: Final = 32  # decoded photos handed on at once; about three times as many are held
_NO_BOX: Final = (0.0, 0.0, 0.0, 0.0)

Row = dict[str, Any]
_Photo = tuple[Row, Image.Image | None]
"""A row and its picture, unless that is broken."""


class CropPosts:
    """Step over posts: detect, suppress overlaps of any class, cut out what is sure and large enough.

    Args of the constructor:
        detector: checkpoint directory.
        detector_version: version that the checkpoint must have; it is also what tells the engine of a new model.
        crop_threshold: smallest score of a crop that pairing may use.
        record_threshold: smallest score that is recorded at all (needed to compute average precision).
        nms: largest overlap (IoU) of two crops of one photo.
        min_side: smallest side of a crop, px.
        threads: see `Step`.
    """

    on_gpu: ClassVar[bool] = True
    version: ClassVar[str] = "2"
    schema: ClassVar[pa.Schema] = CROPS

    def __init__(
        self,
        detector: str,
        detector_version: str,
        crop_threshold: float = CROP_THRESHOLD,
        record_threshold: float = RECORD_THRESHOLD,
        nms: float = 0.75,
        min_side: int = 16,
        threads: int = 1,
    ) -> None:
        from models.detector.infer import Detector

        self._detector = opened(Detector.load, detector, detector_version, threads)
        self._crop_threshold = crop_threshold
        self._record_threshold = record_threshold
        self._nms = nms
        self._min_side = min_side

    def __call__(self, *shards: Shard, counts: Counter[str]) -> Iterator[pa.RecordBatch]:
        """One batch of crop rows for each few photos."""
        batches = shards[0].batches(_COLUMNS, rows=_PHOTOS_PER_BATCH)
        photos = ([row for row in batch.to_pylist() if row["role"] == "photo"] for batch in batches)
        for decoded, found in self._detector.detect_each(filter(None, photos), _decoded, self._record_threshold):
            yield rows_to_batch(self._rows(decoded, found, counts), CROPS)

    def _rows(self, photos: Sequence[_Photo], found: Iterable[Sequence[Detection]], counts: Counter[str]) -> list[Row]:
        rows = []
        results = iter(found)
        for photo, image in photos:
            if image is None:
                rows.append(self._row(photo, None, CropDrop.BAD_IMAGE, None))
                continue
            detections = next(results)
            if not detections:
                rows.append(self._row(photo, None, CropDrop.NO_DETECTION, None))
            rows += self._photo_rows(photo, image, detections)
        for row in rows:
            counts[KEPT if row["kept"] else row["reason"]] += 1
        return rows

    def _photo_rows(self, photo: Row, image: Image.Image, detections: Sequence[Detection]) -> Iterator[Row]:
        sure = [place for place, item in enumerate(detections) if item.score >= self._crop_threshold]
        alive = dict(zip(sure, suppress([detections[place] for place in sure], self._nms), strict=True))
        for place, item in enumerate(detections):
            reason = self._drop(item, image, alive.get(place))
            yield self._row(photo, item, reason, None if reason else encode_jpeg(cut(image, item.box)))

    def _drop(self, item: Detection, image: Image.Image, alive: bool | None) -> CropDrop | None:
        if alive is None:
            return CropDrop.LOW_SCORE
        if not alive:
            return CropDrop.SUPPRESSED
        x0, y0, x1, y1 = clip_box(item.box, image.width, image.height)
        return CropDrop.TOO_SMALL if min(x1 - x0, y1 - y0) < self._min_side else None

    def _row(self, photo: Row, item: Detection | None, reason: CropDrop | None, crop: bytes | None) -> Row:
        return {
            "site": photo["site"],
            "post_id": photo["post_id"],
            "position": photo["position"],
            "image_sha256": photo["sha256"] or "",
            "category": item.category if item else "",
            "score": item.score if item else 0.0,
            "box": item.box if item else _NO_BOX,
            "kept": reason is None,
            "reason": reason,
            "bytes": crop,
            "detector_version": self._detector.version,
        }


def _decoded(rows: Sequence[Row]) -> tuple[list[_Photo], list[Image.Image]]:
    photos = [(row, try_decode(row["bytes"])) for row in rows]
    return photos, [image for _, image in photos if image is not None]
