"""Catalog → embeddings: the encoder applied to every product that can be searched."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final

import pyarrow as pa
from PIL import Image

from curation.engine import KEPT
from curation.images import encode_jpeg, try_decode
from curation.reasons import ThumbnailDrop
from curation.schemas import CATALOG, EMBEDDINGS
from curation.tables import Shard, rows_to_batch
from curation.taxonomy import CATEGORIES
from models.steps import opened

_ROWS_PER_BATCH: Final = 64  # decoded thumbnails handed on at once; about three times as many are held
_PREVIEW_SIDE: Final = 256  # px, longest side
_COPIED: Final = tuple(name for name in EMBEDDINGS.names if name in CATALOG.names)

Row = dict[str, Any]


class EmbedCatalog:
    """Step over the catalog. Rows of `etc` are not searchable and are left out, as are broken pictures.

    Args of the constructor:
        encoder: checkpoint directory.
        encoder_version: version that the checkpoint must have.
        threads: see `Step`.
    """

    on_gpu: ClassVar[bool] = True
    version: ClassVar[str] = "1"
    schema: ClassVar[pa.Schema] = EMBEDDINGS

    def __init__(self, encoder: str, encoder_version: str, threads: int = 1) -> None:
        from models.encoder.infer import Encoder

        self._encoder = opened(Encoder.load, encoder, encoder_version, threads)

    def __call__(self, *shards: Shard, counts: Counter[str]) -> Iterator[pa.RecordBatch]:
        """One batch of rows for each few products."""
        batches = shards[0].batches([*_COPIED, "bytes"], rows=_ROWS_PER_BATCH)
        rows = (batch.to_pylist() for batch in batches)
        for (usable, dropped), vectors in self._encoder.embed_each(rows, _decoded):
            made = [self._row(row, image, vector) for (row, image), vector in zip(usable, vectors, strict=True)]
            counts.update({KEPT: len(made), **dropped})
            if made:
                yield rows_to_batch(made, EMBEDDINGS)

    def _row(self, row: Row, image: Image.Image, vector: Any) -> Row:
        image.thumbnail((_PREVIEW_SIDE, _PREVIEW_SIDE))
        return {
            **{name: row[name] for name in _COPIED},
            "thumbnail": encode_jpeg(image),
            "vector": vector,
            "encoder_version": self._encoder.version,
        }


def _decoded(rows: Sequence[Row]) -> tuple[tuple[list[tuple[Row, Image.Image]], Counter[str]], list[Image.Image]]:
    """Rows with their pictures and how many were dropped why; and the pictures alone."""
    usable, dropped = [], Counter[str]()
    for row in rows:
        image = _picture(row)
        if isinstance(image, Image.Image):
            usable.append((row, image))
        else:
            dropped[image] += 1
    return (usable, dropped), [image for _, image in usable]


def _picture(row: Row) -> Image.Image | ThumbnailDrop:
    if row["category"] not in CATEGORIES:
        return ThumbnailDrop.REJECTED
    return try_decode(row["bytes"]) or ThumbnailDrop.BAD_IMAGE
