"""Near-duplicate clusters that do not chain.

Connected components of "within r bits" join most of a large collection into one cluster. Here each picture is
compared with *representatives* only (leader clustering): it joins the nearest one that a second opinion confirms, else
it becomes a representative itself. Two pictures are never in one cluster because of a third that lies between them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation.schemas import CLUSTERS
from curation.tables import ShardedTable

_BLOCK: Final = 2048  # rows per distance block: 2048 × 2048 × 8 B = 32 MiB


@dataclass(frozen=True, slots=True)
class DuplicateRule:
    """When two pictures are one: all three must hold."""

    phash_bits: int  # Hamming distance of perceptual hashes, 0-64
    dhash_bits: int  # Hamming distance of difference hashes, 0-64
    colour_levels: float  # mean absolute difference of the worst cell of the colour layouts, 0-255


PHOTO_RULE: Final = DuplicateRule(phash_bits=12, dhash_bits=14, colour_levels=40.0)
"""Reposts are cropped a little, resized, watermarked and re-encoded."""
PRODUCT_RULE: Final = DuplicateRule(phash_bits=8, dhash_bits=8, colour_levels=14.0)
"""The same thumbnail on another site is resized and re-encoded, no more; colourways and prints must stay apart."""


def hamming_pairs(
    hashes: npt.NDArray[np.uint64], radius: int
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint8]]]:
    """All pairs i < j within `radius` bits, exactly, block by block: arrays (i, j, distance). Memory is O(block²)."""
    for start in range(0, len(hashes), _BLOCK):
        rows = hashes[start : start + _BLOCK]
        for other in range(start, len(hashes), _BLOCK):
            distance = np.bitwise_count(rows[:, None] ^ hashes[None, other : other + _BLOCK])
            i, j = np.nonzero(distance <= radius)
            ordered = (i + start) < (j + other)
            i, j = i[ordered], j[ordered]
            yield i + start, j + other, distance[i, j]


def colour_distance(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Mean absolute RGB difference of the worst cell; `a`, `b` of shape (n, cells · 3) → (n,) in 0-255."""
    difference = np.abs(a.astype(np.float32) - b.astype(np.float32)).reshape(len(a), a.shape[1] // 3, 3)
    worst: npt.NDArray[np.float32] = difference.mean(axis=2).max(axis=1)
    return worst


def cluster(
    hashes: pa.Table, photo_rule: DuplicateRule = PHOTO_RULE, product_rule: DuplicateRule = PRODUCT_RULE
) -> pa.Table:
    """Cluster every distinct picture of HASHES rows; photos and thumbnails are never compared with each other.

    Rows come first seen first: the earlier picture (site, post, position) represents, as the likelier original.

    Returns:
        Table of schema `CLUSTERS`, one row per (sha256, role).
    """
    groups = {"photo": photo_rule, "product": product_rule}
    frame = hashes.to_pandas()
    frame["role"] = frame["role"].replace("catalog", "product")
    frame = frame.sort_values(["post_id", "site", "position", "product_id"], na_position="last", kind="stable")
    tables = [_cluster_role(frame[frame["role"] == role], role, rule) for role, rule in groups.items()]
    return pa.concat_tables(tables)


def product_clusters(clusters: ShardedTable) -> dict[str, str]:
    """sha256 of a thumbnail → its cluster: the product's name across sites."""
    rows = clusters.table(["sha256", "role", "cluster_id"]).to_pylist()
    return {row["sha256"]: row["cluster_id"] for row in rows if row["role"] == "product"}


def _cluster_role(frame: Any, role: str, rule: DuplicateRule) -> pa.Table:
    distinct = frame.drop_duplicates("sha256")
    keys = distinct["sha256"].tolist()
    phash = distinct["phash"].to_numpy(np.uint64)
    dhash = distinct["dhash"].to_numpy(np.uint64)
    colour = np.stack(distinct["colour"].tolist()).astype(np.uint8) if keys else np.empty((0, 3), np.uint8)
    blank = distinct["blank"].to_numpy(bool)
    matches = _confirmed_matches(phash, dhash, colour, blank, rule)
    leader = list(range(len(keys)))
    evidence = ["blank" if plain else "single" for plain in blank]
    distance = [(0, 0.0)] * len(keys)
    for index in range(len(keys)):
        earlier = [(bits, levels, other) for other, bits, levels in matches.get(index, []) if leader[other] == other]
        if earlier:
            bits, levels, leader[index] = min(earlier)
            distance[index], evidence[index] = (bits, levels), "near_duplicate"
            evidence[leader[index]] = "representative"
    return pa.table(
        {
            "sha256": keys,
            "role": [role] * len(keys),
            "phash": phash,
            "cluster_id": [keys[index] for index in leader],
            "is_representative": [index == own for own, index in enumerate(leader)],
            "phash_distance": [bits for bits, _ in distance],
            "colour_distance": [levels for _, levels in distance],
            "evidence": evidence,
        },
        schema=CLUSTERS,
    )


def _confirmed_matches(
    phash: npt.NDArray[np.uint64],
    dhash: npt.NDArray[np.uint64],
    colour: npt.NDArray[np.uint8],
    blank: npt.NDArray[np.bool_],
    rule: DuplicateRule,
) -> dict[int, list[tuple[int, int, float]]]:
    """For each picture the earlier ones that all three tests call the same: (earlier index, bits, colour levels)."""
    matches: dict[int, list[tuple[int, int, float]]] = {}
    for i, j, bits in hamming_pairs(phash, rule.phash_bits):
        levels = colour_distance(colour[i], colour[j])
        same = ~blank[i] & ~blank[j] & (levels <= rule.colour_levels)
        same &= np.bitwise_count(dhash[i] ^ dhash[j]) <= rule.dhash_bits
        for first, second, distance, level in zip(i[same], j[same], bits[same], levels[same], strict=True):
            matches.setdefault(int(second), []).append((int(first), int(distance), float(level)))
    return matches
