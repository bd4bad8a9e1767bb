"""Is this picture already here? One look through the hashes; no picture's bytes are read."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.dedup import DuplicateIndex
from curation.duplicates import DuplicateRule, hash_bits, layout_distances
from curation.hashing import Mode, describe_bytes
from curation.leaders import Evidence
from curation.pictures import layouts_of
from curation.tables import Shard

_ROWS: Final = 1 << 16  # read at once
_SHOWN: Final = ("sha256", "role", "evidence", "cluster_id", "site", "post_id", "position", "product_id")
_DISTANCES: Final = ("phash_distance", "dhash_distance", "colour_distance", "luma_distance")
_READ: Final = [*_SHOWN, "mode", "phash", "dhash"]


@dataclass(frozen=True, slots=True)
class Found:
    """A picture of the collection that is the one asked for, and how near every opinion found it."""

    sha256: str
    role: str
    evidence: str  # of its own verdict
    cluster_id: str  # sha256 of the picture that is kept of its cluster
    site: str | None
    post_id: int | None
    position: int | None
    product_id: str | None
    identical: bool  # the very bytes; else a near-duplicate
    phash_distance: int  # bits
    dhash_distance: int  # bits
    colour_distance: float  # levels
    luma_distance: float  # levels


def find_picture(index: DuplicateIndex, data: bytes) -> list[Found]:
    """Pictures of the collection that are this one: the same bytes first, then the nearest.

    A blank picture, or one whose hash is crowded, is only found by its bytes.

    Args:
        index: the collection, as of its last `update`.
        data: an encoded picture.

    Raises:
        ImageError: `data` is no usable picture.
    """
    pictures = {mode: describe_bytes(data, mode) | {"sha256": hashlib.sha256(data).hexdigest()} for mode in Mode}
    sources = {shard.name: shard for shard in index.hashes.shards}
    found: dict[tuple[str, str], Found] = {}
    for shard in index.clusters.shards:
        for batch in shard.batches(_READ, rows=_ROWS):
            picture = pictures[Mode(batch["mode"][0].as_py())]  # of the whole shard: one step made it
            for role, rule in index.rules.items():
                here = _near(batch.filter(pc.equal(batch["role"], role)), picture, rule)
                for hit in _found(here, picture, rule, sources[shard.name]):
                    found.setdefault((hit.role, hit.sha256), hit)
    return sorted(found.values(), key=lambda hit: (not hit.identical, hit.phash_distance, hit.dhash_distance))


def _near(rows: pa.RecordBatch, picture: dict[str, Any], rule: DuplicateRule) -> pa.RecordBatch:
    """Rows whose hashes are near, or whose bytes are the same."""
    compared = ~np.isin(np.asarray(rows["evidence"]), [Evidence.BLANK, Evidence.CROWDED])
    for name, most in (("phash", rule.phash_bits), ("dhash", rule.dhash_bits)):
        compared &= hash_bits(rows[name].to_numpy(), np.uint64(picture[name])) <= most
    same = np.asarray(pc.equal(rows["sha256"], picture["sha256"]))
    return rows.filter(pa.array(same | (compared & (not picture["blank"]))))


def _found(rows: pa.RecordBatch, picture: dict[str, Any], rule: DuplicateRule, source: Shard) -> Iterator[Found]:
    """Those rows of `_near` whose colour layouts agree too, or whose bytes are the same."""
    if not len(rows):
        return
    layouts = layouts_of(source, rows["sha256"])
    colour, luma = layout_distances(layouts, np.array([picture["colour"]], np.uint8), rule.odd_cells)
    bits = [hash_bits(rows[name].to_numpy(), np.uint64(picture[name])) for name in ("phash", "dhash")]
    for number, row in enumerate(rows.select(_SHOWN).to_pylist()):
        identical = row["sha256"] == picture["sha256"]
        if identical or (colour[number] <= rule.colour_levels and luma[number] <= rule.luma_levels):
            distances = [*(int(values[number]) for values in bits), float(colour[number]), float(luma[number])]
            measured: dict[str, Any] = dict(zip(_DISTANCES, distances, strict=True))
            yield Found(**row, **measured, identical=identical)
