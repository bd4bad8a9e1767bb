"""Catalog → embeddings: the encoder applied to every product that can be searched."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar, Final

import pyarrow as pa
from PIL import Image

from curation.engine import KEPT
from curation.errors import ImageError
from curation.images import decode, encode_jpeg
from curation.reasons import ThumbnailDrop
from curation.schemas import CATALOG, EMBEDDINGS
from curation.tables import Shard, rows_to_batch
from curation.taxonomy import CATEGORIES

_ROWS_PER_BATCH: Final = 64  # decoded thumbnails held at once
_PREVIEW_SIDE: Final = 256  # px, longest side
_COPIED: Final = tuple(name for name in EMBEDDINGS.names if name in CATALOG.names)


class EmbedCatalog:
    """Step over the catalog. Rows of `etc` are not searchable and are left out, as are broken pictures.

    Args of the constructor:
        encoder: checkpoint directory.
        encoder_version: version that the checkpoint must have.
    """

    on_gpu: ClassVar[bool] = True
    version: ClassVar[str] = "1"
    schema: ClassVar[pa.Schema] = EMBEDDINGS

    def __init__(self, encoder: str, encoder_version: str, threads: int = 1) -> None:
        from models.device import set_threads
        from models.encoder.infer import Encoder
        from models.errors import CheckpointError

        set_threads(threads)
        self._encoder = Encoder.load(encoder)
        if self._encoder.version != encoder_version:
            raise CheckpointError(f"{encoder} has version {self._encoder.version}, asked for {encoder_version}")

    def __call__(self, *shards: Shard, counts: Counter[str]) -> Iterator[pa.RecordBatch]:
        """One batch of rows for each few products."""
        for batch in shards[0].batches([*_COPIED, "bytes"], rows=_ROWS_PER_BATCH):
            rows = [(row, image) for row in batch.to_pylist() if (image := _usable(row, counts)) is not None]
            vectors = self._encoder.embed([image for _, image in rows])
            made = [self._row(row, image, vector) for (row, image), vector in zip(rows, vectors, strict=True)]
            counts[KEPT] += len(made)
            if made:
                yield rows_to_batch(made, EMBEDDINGS)

    def _row(self, row: dict[str, Any], image: Image.Image, vector: Any) -> dict[str, Any]:
        image.thumbnail((_PREVIEW_SIDE, _PREVIEW_SIDE))
        return {
            **{name: row[name] for name in _COPIED},
            "thumbnail": encode_jpeg(image),
            "vector": vector,
            "encoder_version": self._encoder.version,
        }


def _usable(row: dict[str, Any], counts: Counter[str]) -> Image.Image | None:
    if row["category"] not in CATEGORIES:
        counts[ThumbnailDrop.REJECTED] += 1
        return None
    try:
        if row["bytes"] is not None:
            return decode(row["bytes"])
    except ImageError:
        pass  # counted below, with the rows that have no bytes
    counts[ThumbnailDrop.BAD_IMAGE] += 1
    return None
