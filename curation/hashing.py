"""Perceptual hash, second opinions and quality flags of every picture.

pHash is `imagehash.phash` (8×8 DCT signs of the 32×32 luma; Zauner 2010), so that values can be compared with other
tools. It collides on plain and white pictures, hence the difference hash, the colour layout and the `blank` flag.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar, Final

import imagehash
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from curation.errors import ImageError
from curation.images import decode
from curation.schemas import COLOUR_GRID, HASHES
from curation.tables import Shard, rows_to_batch

MIN_CONTRAST: Final = 4.0
"""Standard deviation of luma (0-128) under which a picture is blank: JPEG noise on a plain ground stays below 3."""
_SHARPNESS_SIDE: Final = 256


def pack_bits(bits: npt.NDArray[np.bool_]) -> int:
    """64 booleans, row by row, to an integer whose most significant bit is the first."""
    return int.from_bytes(np.packbits(bits.ravel()).tobytes(), "big")


def perceptual_hash(image: Image.Image) -> int:
    """64-bit `imagehash.phash` of an upright RGB picture."""
    return pack_bits(imagehash.phash(image).hash)


def difference_hash(image: Image.Image) -> int:
    """64-bit `imagehash.dhash` of an upright RGB picture."""
    return pack_bits(imagehash.dhash(image).hash)


def colour_layout(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Mean RGB of each cell of a `COLOUR_GRID`² grid; shape (COLOUR_GRID² · 3,)."""
    return np.asarray(image.resize((COLOUR_GRID, COLOUR_GRID), Image.Resampling.BOX), dtype=np.uint8).ravel()


def sharpness(luma: Image.Image) -> float:
    """Variance of the Laplacian of luma at a fixed scale (Pech-Pacheco et al. 2000); low means blurred."""
    scaled = luma.copy()
    scaled.thumbnail((_SHARPNESS_SIDE, _SHARPNESS_SIDE))
    y = np.asarray(scaled, dtype=np.float32)
    if min(y.shape) < 3:
        return 0.0
    laplacian = y[:-2, 1:-1] + y[2:, 1:-1] + y[1:-1, :-2] + y[1:-1, 2:] - 4 * y[1:-1, 1:-1]
    return float(laplacian.var())


def describe(image: Image.Image) -> dict[str, Any]:
    """Hashes and quality of one upright RGB picture, as columns of `curation.schemas.HASHES`."""
    luma = image.convert("L")
    contrast = float(np.asarray(luma, dtype=np.float32).std())
    return {
        "phash": perceptual_hash(image),
        "dhash": difference_hash(image),
        "colour": colour_layout(image).tolist(),
        "contrast": contrast,
        "sharpness": sharpness(luma),
        "blank": contrast < MIN_CONTRAST,
        "width": image.width,
        "height": image.height,
    }


class HashImages:
    """Step: POSTS or CATALOG shard → HASHES shard; pictures without usable bytes are counted by their error."""

    version: ClassVar[str] = "1"
    schema: ClassVar[pa.Schema] = HASHES

    def __call__(self, *shards: Shard, counts: Counter[str]) -> Iterator[pa.RecordBatch]:
        """Hash the pictures of one shard, decoding each distinct picture once."""
        (shard,) = shards
        known: dict[str, dict[str, Any]] = {}
        for batch in shard.batches():
            yield rows_to_batch(list(_hash_rows(batch, known, counts)), HASHES)


def _hash_rows(
    batch: pa.RecordBatch, known: dict[str, dict[str, Any]], counts: Counter[str]
) -> Iterator[dict[str, Any]]:
    for row in batch.to_pylist():
        if row["bytes"] is None:
            counts[row["error"]] += 1
            continue
        if row["sha256"] not in known:
            try:
                known[row["sha256"]] = describe(decode(row["bytes"]))
            except ImageError as error:
                counts[error.reason] += 1
                continue
        counts["kept"] += 1
        yield {
            **known[row["sha256"]],
            "sha256": row["sha256"],
            "role": row.get("role", "catalog"),
            "site": row["site"],
            "post_id": row.get("post_id"),
            "position": row.get("position"),
            "product_id": row["product_id"],
        }
