"""Perceptual audit: which pictures of the dataset are also in a benchmark, however they were scaled or re-encoded.

Compared are the photos from which anchors were cut, the anchors themselves, and the thumbnails. A match needs the same
three opinions as a duplicate (`curation.duplicates`), or equal bytes. With `remove`, the next version of the dataset
and all later ones leave out every pair that has such a picture (`curation.selection`), however its anchor is cut later.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.duplicates import PHOTO_RULE, PRODUCT_RULE, DuplicateRule, hash_bits
from curation.engine import map_shards
from curation.errors import CurationError, ImageError
from curation.hamming import hamming_pairs
from curation.hashing import as_layouts, describe
from curation.images import decode
from curation.pair_rows import FACTS
from curation.places import tables_of
from curation.schemas import HASHES
from curation.selection import left_out
from curation.tables import Shard, ShardedTable, rows_to_batch, write_json

SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif"})
RULES: Final[Mapping[str, DuplicateRule]] = {"photo": PHOTO_RULE, "anchor": PHOTO_RULE, "product": PRODUCT_RULE}
_COMPARED: Final = ["sha256", "phash", "dhash", "colour", "blank"]
_COMPARED_SCHEMA: Final = pa.schema([HASHES.field(name) for name in _COMPARED])


@dataclass(frozen=True, slots=True)
class Overlap:
    """A picture of the dataset that a benchmark holds too."""

    file: str  # of the benchmark, below its folder
    sha256: str  # of ours
    role: str  # photo, anchor or product
    phash_distance: int  # bits, 0-64
    colour_distance: float  # of the colour layouts in the CbCr plane, 0-255


@dataclass(frozen=True)
class _Pictures:
    """What is known of n pictures."""

    sha256: list[str]
    files: list[str]  # of a benchmark
    phash: npt.NDArray[np.uint64]
    dhash: npt.NDArray[np.uint64]
    blank: npt.NDArray[np.bool_]
    colour: npt.NDArray[np.uint8]  # (n, cells · 3)


class HashAnchors:
    """Step: PAIRS shard → HASHES shard of its anchors."""

    version: ClassVar[str] = "1"
    schema: ClassVar[pa.Schema] = HASHES

    def __call__(self, *shards: Shard, counts: Counter[str]) -> Iterator[pa.RecordBatch]:
        """Decode and hash every anchor; broken ones are counted."""
        for batch in shards[0].batches(["anchor", "site", "post_id", "photo_position", "product_id"]):
            yield rows_to_batch(list(_hash_anchors(batch, counts)), HASHES)


def audit(folder: Path, data: Path, *, remove: bool, name: str = "") -> dict[str, Any]:
    """Compare a folder of pictures with the dataset in use, and write the report to `audits/<name>.json`.

    Args:
        folder: benchmark; all pictures below it.
        data: data folder.
        remove: whether the next version leaves the overlaps out.
        name: of the report, by default the folder's.

    Returns:
        The report: pictures compared and unreadable, overlaps, how many pairs they touch, and what is left out from
        now on: these overlaps with `remove`, and always those of an earlier report of that name.

    Raises:
        CurationError: there is no such folder, or no readable picture in it, or no dataset; or a shard of that cannot
            be read.
    """
    dataset = data / "pair_dataset"
    if not dataset.is_dir():
        raise CurationError(f"{dataset}: there is no dataset to audit")
    if not folder.is_dir():
        raise CurationError(f"{folder}: there is no such folder")
    faults: Counter[str] = Counter()
    theirs = _benchmark(folder, faults)
    if not theirs.files:
        raise CurationError(f"{folder}: no readable picture; unreadable: {dict(faults)}")
    table = ShardedTable(dataset.resolve())
    hashed = map_shards("curation.audit:HashAnchors", [table], data / "audits" / "anchor_hashes")
    if hashed.failed:
        raise CurationError(f"{dataset}: anchors that cannot be read cannot be compared: {dict(hashed.failed)}")
    facts = table.table([name for name in FACTS if name.endswith("sha256")])
    ours = _ours(data, hashed.table, facts)
    overlaps = [_named(overlap, facts) for role, known in ours.items() for overlap in _overlaps(theirs, known, role)]
    found = pa.array({overlap["sha256"] for overlap in overlaps}, pa.string())
    touched = [pc.is_in(facts[column], found) for column in facts.column_names]
    path = data / "audits" / f"{name or folder.resolve().name}.json"
    # What was left out is no longer among ours, and so not found again.
    earlier = left_out(json.loads(path.read_text())) if path.exists() else []
    report = {
        "folder": str(folder.resolve()),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": dataset.resolve().name,
        "pictures": len(theirs.files),
        "unreadable": dict(faults),
        "compared_with": {role: len(known.sha256) for role, known in ours.items()},
        "overlaps": overlaps,
        "pairs": sum(np.logical_or.reduce([column.to_numpy(zero_copy_only=False) for column in touched]).tolist()),
        "remove": remove,
        "left_out": earlier + [overlap for overlap in overlaps if remove and overlap not in earlier],
    }
    write_json(path, report)
    return report


def _hash_anchors(batch: pa.RecordBatch, counts: Counter[str]) -> Iterator[dict[str, Any]]:
    for row in batch.to_pylist():
        data = row.pop("anchor")["bytes"]
        try:
            found = describe(decode(data))
        except ImageError as error:
            counts[error.reason] += 1
            continue
        counts["kept"] += 1
        position = row.pop("photo_position")
        yield {**row, **found, "position": position, "role": "anchor", "sha256": hashlib.sha256(data).hexdigest()}


def _benchmark(folder: Path, faults: Counter[str]) -> _Pictures:
    rows, files = [], []
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()):
        data = path.read_bytes()
        try:
            found = describe(decode(data))
        except ImageError as error:
            faults[error.reason] += 1
        else:
            rows.append({**{name: found[name] for name in _COMPARED[1:]}, "sha256": hashlib.sha256(data).hexdigest()})
            files.append(path.relative_to(folder).as_posix())
    return _pictures(pa.Table.from_batches([rows_to_batch(rows, _COMPARED_SCHEMA)]), files)


def _ours(data: Path, anchors: ShardedTable, facts: pa.Table) -> dict[str, _Pictures]:
    """Hashes of the dataset's pictures by role, each picture once."""
    hashes = ShardedTable(tables_of(data) / "dedup" / "image_hashes")
    return {
        "photo": _of_role(hashes, "photo", facts["anchor_sha256"]),
        "product": _of_role(hashes, "product", facts["positive_sha256"]),
        "anchor": _of_role(anchors, "anchor", facts["crop_sha256"]),
    }


def _of_role(table: ShardedTable, role: str, digests: pa.ChunkedArray) -> _Pictures:
    wanted = digests.unique()
    roles = pa.array([role, "catalog"] if role == "product" else [role])
    parts = [
        batch.filter(pc.and_(pc.is_in(batch["sha256"], wanted), pc.is_in(batch["role"], roles)))
        for batch in table.batches(["role", *_COMPARED])
    ]
    return _pictures(pa.Table.from_batches(parts, parts[0].schema if parts else HASHES).select(_COMPARED))


def _pictures(table: pa.Table, files: Sequence[str] = ()) -> _Pictures:
    whole = table.combine_chunks()
    names = whole["sha256"].to_pylist()
    _, once = np.unique(names, return_index=True)
    once = np.arange(len(names)) if files else once  # a benchmark may hold a picture twice
    layouts = as_layouts(whole["colour"].to_pylist())
    phash, dhash, blank = (whole[name].to_numpy()[once] for name in ("phash", "dhash", "blank"))
    return _Pictures([names[row] for row in once], list(files), phash, dhash, blank, layouts[once])


def _named(overlap: Overlap, facts: pa.Table) -> dict[str, Any]:
    """As in a report. The next detector cuts an anchor to other bytes: photo and thumbnail of its pairs stay."""
    if overlap.role != "anchor":
        return asdict(overlap)
    rows = facts.filter(pc.equal(facts["crop_sha256"], overlap.sha256)).to_pylist()
    pairs = sorted({(row["anchor_sha256"], row["positive_sha256"]) for row in rows})
    return {**asdict(overlap), "pairs": [list(pair) for pair in pairs]}


def _overlaps(theirs: _Pictures, ours: _Pictures, role: str) -> Iterator[Overlap]:
    rule = RULES[role]
    for i, j, bits in hamming_pairs(theirs.phash, rule.phash_bits, ours.phash):
        same = np.array([theirs.sha256[x] == ours.sha256[y] for x, y in zip(i, j, strict=True)], bool)
        finer = hash_bits(theirs.dhash[i], ours.dhash[j])
        rows = np.flatnonzero(same | ((finer <= rule.dhash_bits) & ~theirs.blank[i] & ~ours.blank[j]))
        colour, luma = rule.levels(theirs.colour[i[rows]], ours.colour[j[rows]])
        found = same[rows] | rule.agrees(bits[rows].astype(np.int64), finer[rows], colour, luma)
        for row, levels in zip(rows[found], colour[found], strict=True):
            yield Overlap(theirs.files[i[row]], ours.sha256[j[row]], role, int(bits[row]), float(levels))
