"""Encoders that do not learn: a colour histogram and a perceptual hash. What a trained one must clearly beat."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

EmbedImages = Callable[[Sequence[Image.Image]], NDArray[np.float32]]
"""What every encoder does, trained or not: RGB pictures → unit vectors (n, d)."""

_BINS: Final = (12, 4, 4)  # hue, saturation, value
_SIDE: Final = 64  # px; colours do not need more


def histogram(images: Sequence[Image.Image]) -> NDArray[np.float32]:
    """Root of the HSV histogram of the middle of each picture, unit length; (n, 192).

    The root makes the inner product the Bhattacharyya coefficient. The outer eighth on each side is left out: it shows
    the background.
    """
    return np.stack([_histogram(image) for image in images])


def perceptual_hash(images: Sequence[Image.Image]) -> NDArray[np.float32]:
    """The 64 bits of imagehash's pHash as ±1/8: inner products order as Hamming distances do; (n, 64)."""
    import imagehash

    bits = [imagehash.phash(image).hash.reshape(-1) for image in images]
    return np.where(np.stack(bits), np.float32(0.125), np.float32(-0.125))


def _histogram(image: Image.Image) -> NDArray[np.float32]:
    width, height = image.size
    middle = image.crop((width // 8, height // 8, width - width // 8, height - height // 8))
    hsv = np.asarray(middle.resize((_SIDE, _SIDE)).convert("HSV"), np.float32).reshape(-1, 3)
    counts, _ = np.histogramdd(hsv, _BINS, [(0, 256)] * 3)
    vector = np.sqrt(counts.reshape(-1))
    result: NDArray[np.float32] = (vector / np.linalg.norm(vector)).astype(np.float32)
    return result
