"""When two pictures are one: near perceptual hashes, and two further opinions that must agree.

Perceptual hashes see neither colour nor small prints. So two pictures are one only if their difference hashes are near
too, and their colour layouts agree, in luma and in chroma. Of thumbnails every cell must: a colourway differs in chroma
where the cloth is, a print in luma, while a shop's white or grey ground moves luma a little everywhere. Of photos one
may be cut out of the other, so their layouts are laid over each other first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from curation.layouts import Layouts, Levels, laid_over, worst_cell
from curation.tables import ShardedTable

Hashes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]
Bits = npt.NDArray[np.int64]
"""Hamming distances, (n,)."""
_PAIRS: Final = 4096  # pairs whose layouts are gathered at once: 4096 × 768 × 4 B = 12 MiB


@dataclass(frozen=True, slots=True)
class DuplicateRule:
    """When two pictures are one: all must hold."""

    phash_bits: int  # Hamming distance of perceptual hashes, 0-64
    dhash_bits: int  # Hamming distance of difference hashes, 0-64
    colour_levels: float  # distance of the colour layouts in the CbCr plane, 0-255
    luma_levels: float  # difference of the colour layouts in luma, 0-255
    shares: float  # sum of the four as shares of their limits, 0-4: a picture is rarely near every limit
    lays_over: bool  # see `curation.layouts`: whether layouts are laid over each other before cells are compared

    def levels(self, a: Layouts, b: Layouts) -> tuple[Levels, Levels]:
        """Chroma and luma levels between colour layouts, (n, cells · 3)."""
        return laid_over(a, b) if self.lays_over else worst_cell(a, b)

    def agrees(self, phash: Bits, dhash: Bits, colour: Levels, luma: Levels) -> npt.NDArray[np.bool_]:
        """Whether such distances are those of one picture, (n,)."""
        limits = (self.phash_bits, self.dhash_bits, self.colour_levels, self.luma_levels)
        shares = np.stack([phash, dhash, colour, luma]) / np.array(limits)[:, None]
        return np.asarray((shares <= 1).all(0) & (shares.sum(0) <= self.shares))


PHOTO_RULE: Final = DuplicateRule(
    phash_bits=14, dhash_bits=18, colour_levels=20.0, luma_levels=32.0, shares=2.65, lays_over=True
)
"""Reposts are cropped a little, resized, watermarked and re-encoded. Somebody else in the same clothes is none."""
PRODUCT_RULE: Final = DuplicateRule(
    phash_bits=8, dhash_bits=12, colour_levels=6.0, luma_levels=24.0, shares=4.0, lays_over=False
)
"""The same thumbnail on another site is resized and re-encoded, no more; colourways and prints must stay apart."""
RULES: Final = {"photo": PHOTO_RULE, "product": PRODUCT_RULE}
"""By role. Photos and thumbnails are never compared with each other."""


@dataclass(frozen=True, slots=True)
class Matches:
    """Pairs that every opinion calls the same, by index, with what the opinions measured."""

    i: Indices
    j: Indices
    phash: Bits
    dhash: Bits
    colour: Levels
    luma: Levels

    def of(self, indices: Indices) -> "Matches":
        """The same pairs, where pictures are numbered by `indices`."""
        return replace(self, i=indices[self.i], j=indices[self.j])

    def where(self, wanted: npt.NDArray[np.bool_]) -> "Matches":
        """Some of the pairs."""
        return Matches(*(getattr(self, field.name)[wanted] for field in fields(self)))


def concatenated(parts: Sequence[Matches]) -> Matches:
    """All pairs of some matches."""
    return Matches(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Matches)))


def hash_bits(a: Hashes, b: Hashes | np.uint64) -> Bits:
    """Hamming distances."""
    return np.asarray(np.bitwise_count(a ^ b), np.int64)


def confirmed(rule: DuplicateRule, i: Indices, j: Indices, phash: Hashes, dhash: Hashes, layouts: Layouts) -> Matches:
    """Those of the pairs (i, j) whose colour layouts agree too.

    Args:
        rule: for the layouts; the hashes are taken to be near enough.
        i: indices into the next three.
        j: likewise.
        phash: (n,).
        dhash: (n,).
        layouts: (n, cells · 3).
    """
    parts = []
    for at in range(0, max(1, len(i)), _PAIRS):
        a, b = i[at : at + _PAIRS], j[at : at + _PAIRS]
        bits = hash_bits(phash[a], phash[b]), hash_bits(dhash[a], dhash[b])
        every = Matches(a, b, *bits, *rule.levels(layouts[a], layouts[b]))
        parts.append(every.where(rule.agrees(every.phash, every.dhash, every.colour, every.luma)))
    return concatenated(parts)


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
