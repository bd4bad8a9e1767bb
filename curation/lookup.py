"""Is this picture already here? One look through the hashes; no picture's bytes are read."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.dedup import DuplicateIndex
from curation.duplicates import DuplicateRule, hash_bits
from curation.hashing import Mode, as_layouts, describe_bytes
from curation.leaders import Evidence
from curation.pictures import layouts_of
from curation.tables import Shard

_SHOWN: Final = ("sha256", "role", "evidence", "cluster_id", "site", "post_id", "position", "product_id")
_DISTANCES: Final = ("phash_distance", "dhash_distance", "colour_distance", "luma_distance")
_HASHES: Final = ("role", "mode", "phash", "dhash")
_READ: Final = (*_SHOWN, "phash", "dhash")


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
        hashes = shard.table(_HASHES)
        for role, rule in index.rules.items():
            of_role = hashes.filter(pc.equal(hashes["role"], role))
            if not len(of_role):
                continue
            picture = pictures[Mode(of_role["mode"][0].as_py())]  # of the whole shard: one step made it
            if _hashes_near(of_role, picture, rule).any():  # else the other columns need not be read
                rows = _near(shard, role, picture, rule)
                for hit in _found(rows, picture, rule, sources[shard.name]):
                    found.setdefault((hit.role, hit.sha256), hit)
    return sorted(found.values(), key=lambda hit: (not hit.identical, hit.phash_distance, hit.dhash_distance))


def _hashes_near(rows: pa.Table, picture: dict[str, Any], rule: DuplicateRule) -> npt.NDArray[np.bool_]:
    near = np.ones(len(rows), bool)
    for name, most in (("phash", rule.phash_bits), ("dhash", rule.dhash_bits)):
        near &= hash_bits(rows[name].to_numpy(), np.uint64(picture[name])) <= most
    return near


def _near(shard: Shard, role: str, picture: dict[str, Any], rule: DuplicateRule) -> pa.Table:
    """Rows of a CLUSTERS shard whose hashes are near; of blank and crowded ones those with the same bytes."""
    rows = shard.table(_READ)
    rows = rows.filter(pc.equal(rows["role"], role))
    rows = rows.filter(pa.array(_hashes_near(rows, picture, rule)))
    mute = np.isin(np.asarray(rows["evidence"]), [Evidence.BLANK, Evidence.CROWDED]) | picture["blank"]
    return rows.filter(pa.array(~mute | np.asarray(pc.equal(rows["sha256"], picture["sha256"]))))


def _found(rows: pa.Table, picture: dict[str, Any], rule: DuplicateRule, source: Shard) -> Iterator[Found]:
    """Those rows of `_near` whose colour layouts agree too, or whose bytes are the same."""
    if not len(rows):
        return
    layouts = layouts_of(source, rows["sha256"].combine_chunks())
    phash, dhash = (hash_bits(rows[name].to_numpy(), np.uint64(picture[name])) for name in ("phash", "dhash"))
    colour, luma = rule.levels(layouts, as_layouts([picture["colour"]]))
    agrees = rule.agrees(phash, dhash, colour, luma)
    for number, row in enumerate(rows.select(_SHOWN).to_pylist()):
        identical = row["sha256"] == picture["sha256"]
        if identical or agrees[number]:
            distances = [values[number].item() for values in (phash, dhash, colour, luma)]
            measured: dict[str, Any] = dict(zip(_DISTANCES, distances, strict=True))
            yield Found(**row, **measured, identical=identical)
