"""Synthetic perceptual hashes with the distances of real ones: for joins larger than any collection at hand."""

import numpy as np
import numpy.typing as npt

_KINDS = 1000  # of pictures; some are far more frequent than others
_SPREAD = 1.6  # of the kinds' coefficients, in units of the noise within a kind
_FACTORS, _SHARED = 6, 0.5  # what moves many coefficients at once: zoom, light, ground
_COPIES = 0.05  # of the pictures are near-duplicates of another, up to three bits off


def synthetic_hashes(count: int, seed: int = 1) -> npt.NDArray[np.uint64]:
    """Signs of 64 correlated coefficients against their median, as pHash takes them.

    Of random pairs of real single-item photos (1,862 of them), 2e-5 are within 8 bits, 9e-5 within 10 and 3e-4 within
    12, mean 31.2, deviation 4.7; of these (copies left out) 1e-5, 5e-5 and 2e-4, mean 31.4, deviation 4.7.
    """
    rng = np.random.default_rng(seed)
    kinds = rng.normal(0, _SPREAD, (_KINDS, 64)).astype(np.float32)
    factors = rng.normal(0, _SHARED, (_FACTORS, 64)).astype(np.float32)
    shares = 1 / np.arange(1, _KINDS + 1) ** 0.7
    hashes = np.empty(count, np.uint64)
    for start in range(0, count, 100_000):
        size = min(100_000, count - start)
        values = kinds[rng.choice(_KINDS, size, p=shares / shares.sum())]
        values = values + rng.standard_normal((size, _FACTORS), np.float32) @ factors
        values += rng.standard_normal((size, 64), np.float32)
        values[:, 0] = 9  # the mean of luma: above the median of a picture's coefficients, always
        bits = values > np.median(values, axis=1, keepdims=True)
        hashes[start : start + size] = np.packbits(bits, axis=1).view(">u8").ravel()
    copies = round(_COPIES * count)
    originals = hashes[rng.integers(0, count, copies)]
    for _ in range(3):
        flip = np.uint64(1) << rng.integers(0, 64, copies, dtype=np.uint64)
        originals = originals ^ np.where(rng.random(copies) < 0.5, flip, np.uint64(0))
    hashes[rng.choice(count, copies, replace=False)] = originals
    return hashes
