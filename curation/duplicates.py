"""When two pictures are one: near perceptual hashes, and two further opinions that must agree.

Perceptual hashes see neither colour nor small prints. So two pictures are one only if their difference hashes are near
too, and their colour layouts agree cell by cell, in luma and in chroma: a colourway differs in chroma where the cloth
is, a print in luma, while a shop's white or grey ground moves luma a little everywhere.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from curation.schemas import COLOUR_GRID
from curation.tables import ShardedTable

Hashes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]
_PAIRS: Final = 4096  # pairs whose layouts are compared at once: 4096 × 768 × 4 B = 12 MiB


@dataclass(frozen=True, slots=True)
class DuplicateRule:
    """When two pictures are one: all must hold."""

    phash_bits: int  # Hamming distance of perceptual hashes, 0-64
    dhash_bits: int  # Hamming distance of difference hashes, 0-64
    colour_levels: float  # distance of the colour layouts in the CbCr plane, 0-255
    luma_levels: float  # difference of the colour layouts in luma, 0-255
    odd_cells: int  # cells of the colour layout that may differ more: under a watermark, at a frame that was cut


PHOTO_RULE: Final = DuplicateRule(phash_bits=12, dhash_bits=15, colour_levels=24.0, luma_levels=52.0, odd_cells=13)
"""Reposts are cropped a little, resized, watermarked and re-encoded.

Somebody else in the same clothes and pose differs by little more: 64 levels of luma and 16 bits called such two one.
"""
PRODUCT_RULE: Final = DuplicateRule(phash_bits=8, dhash_bits=12, colour_levels=6.0, luma_levels=24.0, odd_cells=0)
"""The same thumbnail on another site is resized and re-encoded, no more; colourways and prints must stay apart."""
RULES: Final = {"photo": PHOTO_RULE, "product": PRODUCT_RULE}
"""By role. Photos and thumbnails are never compared with each other."""


@dataclass(frozen=True, slots=True)
class Matches:
    """Pairs that every opinion calls the same, by index, with what the opinions measured."""

    i: Indices
    j: Indices
    phash: npt.NDArray[np.int64]
    dhash: npt.NDArray[np.int64]
    colour: npt.NDArray[np.float32]
    luma: npt.NDArray[np.float32]

    def of(self, indices: Indices) -> "Matches":
        """The same pairs, where pictures are numbered by `indices`."""
        return replace(self, i=indices[self.i], j=indices[self.j])


def concatenated(parts: Sequence[Matches]) -> Matches:
    """All pairs of some matches."""
    return Matches(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Matches)))


def hash_bits(a: Hashes, b: Hashes | np.uint64) -> npt.NDArray[np.int64]:
    """Hamming distances."""
    return np.asarray(np.bitwise_count(a ^ b), np.int64)


def layout_distances(
    a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8], odd_cells: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Chroma and luma differences, (n,) each, of colour layouts, (n, cells · 3), in the worst cell but `odd_cells`."""
    difference = (a.astype(np.int16) - b).reshape(-1, COLOUR_GRID**2, 3)
    luma, cb, cr = (difference[..., channel].astype(np.int32) for channel in range(3))
    return np.sqrt(_worst(cb * cb + cr * cr, odd_cells)), _worst(np.abs(luma), odd_cells)


def _worst(cells: npt.NDArray[Any], odd_cells: int) -> npt.NDArray[np.float32]:
    """The largest value of each row, (n, cells), but for some."""
    last = cells.shape[1] - 1 - odd_cells
    return np.partition(cells, last, axis=1)[:, last].astype(np.float32)


def confirmed(
    rule: DuplicateRule, i: Indices, j: Indices, phash: Hashes, dhash: Hashes, layouts: npt.NDArray[np.uint8]
) -> Matches:
    """Those of the pairs (i, j) whose colour layouts agree too.

    Args:
        rule: for the layouts; the hashes are taken to be near enough.
        i: indices into the next three.
        j: likewise.
        phash: (n,).
        dhash: (n,).
        layouts: (n, cells · 3).
    """
    parts = [
        layout_distances(layouts[i[at : at + _PAIRS]], layouts[j[at : at + _PAIRS]], rule.odd_cells)
        for at in range(0, len(i), _PAIRS)
    ]
    colour = np.concatenate([part[0] for part in parts] or [np.empty(0, np.float32)])
    luma = np.concatenate([part[1] for part in parts] or [np.empty(0, np.float32)])
    same = (colour <= rule.colour_levels) & (luma <= rule.luma_levels)
    i, j = i[same], j[same]
    return Matches(i, j, hash_bits(phash[i], phash[j]), hash_bits(dhash[i], dhash[j]), colour[same], luma[same])


def candidates(
    rule: DuplicateRule, phash: Hashes, dhash: Hashes, new: Indices, old: Indices
) -> Iterator[tuple[Indices, Indices]]:
    """Pairs of a new picture and a new or an old one whose hashes are near, in chunks: indices into `phash`."""
    from curation.hamming import hamming_pairs  # numba takes a second to import

    near_new = hamming_pairs(phash[new], rule.phash_bits)
    near_old = hamming_pairs(phash[new], rule.phash_bits, phash[old])
    for others, chunks in ((new, near_new), (old, near_old)):
        for a, b, _ in chunks:
            i, j = new[a], others[b]
            near = hash_bits(dhash[i], dhash[j]) <= rule.dhash_bits
            yield i[near], j[near]


def product_clusters(clusters: ShardedTable) -> dict[str, str]:
    """sha256 of a thumbnail → its cluster: the product's name across sites."""
    found: dict[str, str] = {}
    for batch in clusters.batches(["sha256", "role", "cluster_id"]):
        rows = batch.filter(np.asarray(batch["role"]) == "product")
        found |= dict(zip(rows["sha256"].to_pylist(), rows["cluster_id"].to_pylist(), strict=True))
    return found
