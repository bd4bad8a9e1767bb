"""Perceptual hash, second opinions and quality flags of every picture.

pHash is `imagehash.phash` (8×8 DCT signs of the 32×32 luma; Zauner 2010), so that values can be compared with other
tools. It collides on plain and white pictures, hence the difference hash, the colour layout and the `blank` flag.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any, ClassVar, Final

import imagehash
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from curation.errors import ImageError
from curation.images import decode, decode_reduced
from curation.schemas import COLOUR_GRID, HASHES, LAYOUT_BYTES
from curation.tables import Shard, rows_to_batch

MIN_CONTRAST: Final = 4.0
"""Standard deviation of luma (0-128) under which a picture is blank: JPEG noise on a plain ground stays below 3."""
_HASH_SIDE: Final = 32  # px: what `imagehash.phash` scales a picture to
_FAST_SIDE: Final = 128  # px: the least that a reduced JPEG keeps on its shorter side
_SHARPNESS_SIDE: Final = 128


class Mode(StrEnum):
    """How pictures are decoded for hashing."""

    EXACT = "exact"  # in full: pHash is bit for bit that of `imagehash.phash`
    FAST = "fast"  # a JPEG at 1/2, 1/4 or 1/8 scale, the least that leaves `_FAST_SIDE` px: a few bits may differ


def pack_bits(bits: npt.NDArray[np.bool_]) -> int:
    """64 booleans, row by row, to an integer whose most significant bit is the first."""
    return int.from_bytes(np.packbits(bits.ravel()).tobytes(), "big")


def perceptual_hash(image: Image.Image) -> int:
    """64-bit `imagehash.phash` of an upright picture, RGB or luma."""
    return pack_bits(imagehash.phash(image).hash)


def difference_hash(image: Image.Image) -> int:
    """64-bit difference hash (Krawetz 2013) of an upright luma picture: `imagehash.dhash`, now and then a bit off.

    It is an opinion of ours, not an interface: scaling down in two steps takes a quarter of the time.
    """
    cells = image.resize((9, 8), Image.Resampling.LANCZOS, reducing_gap=3.0)
    y = np.asarray(cells)
    return pack_bits(y[:, 1:] > y[:, :-1])


def colour_layout(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Y, Cb and Cr of each cell of a `COLOUR_GRID`² grid; shape (COLOUR_GRID² · 3,).

    Cells fade into each other: with sharp borders, a resized copy differs by what the rounding of borders moves.
    """
    cells = image.resize((COLOUR_GRID, COLOUR_GRID), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(cells.convert("YCbCr"), dtype=np.uint8).ravel()


def as_layouts(colours: Sequence[bytes]) -> npt.NDArray[np.uint8]:
    """`colour` of HASHES rows as numbers, (n, cells · 3)."""
    return np.frombuffer(b"".join(colours), np.uint8).reshape(len(colours), LAYOUT_BYTES)


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
    small = luma.resize((_HASH_SIDE, _HASH_SIDE), Image.Resampling.LANCZOS)  # as imagehash does, which then need not
    contrast = float(np.asarray(small, dtype=np.float32).std())
    return {
        "mode": Mode.EXACT,
        "phash": perceptual_hash(small),
        "dhash": difference_hash(luma),
        "colour": colour_layout(image).tobytes(),
        "contrast": contrast,
        "sharpness": sharpness(luma),
        "blank": contrast < MIN_CONTRAST,
        "width": image.width,
        "height": image.height,
    }


def describe_bytes(data: bytes, mode: Mode = Mode.EXACT) -> dict[str, Any]:
    """As `describe`, of an encoded picture. Raises `ImageError` as `curation.images.decode` does."""
    if mode is Mode.EXACT:
        return describe(decode(data))
    image, (width, height) = decode_reduced(data, _FAST_SIDE)
    return describe(image) | {"mode": mode, "width": width, "height": height}


class HashImages:
    """Step: POSTS or CATALOG shard → HASHES shard; pictures without usable bytes are counted by their error.

    Args:
        mode: a `Mode`.
    """

    version: ClassVar[str] = "4"
    schema: ClassVar[pa.Schema] = HASHES

    def __init__(self, mode: str = Mode.EXACT) -> None:
        self._mode = Mode(mode)

    def __call__(self, *shards: Shard, counts: Counter[str]) -> Iterator[pa.RecordBatch]:
        """Hash the pictures of one shard, decoding each distinct picture once."""
        (shard,) = shards
        known: dict[str, dict[str, Any]] = {}
        for batch in shard.batches():
            yield rows_to_batch(list(self._rows(batch, known, counts)), HASHES)

    def _rows(
        self, batch: pa.RecordBatch, known: dict[str, dict[str, Any]], counts: Counter[str]
    ) -> Iterator[dict[str, Any]]:
        for row in batch.to_pylist():
            if row["bytes"] is None:
                counts[row["error"]] += 1
                continue
            if row["sha256"] not in known:
                try:
                    known[row["sha256"]] = describe_bytes(row["bytes"], self._mode)
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
                "posted_at": row.get("posted_at"),
            }
