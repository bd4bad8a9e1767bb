"""Perceptual audit: which pictures of the dataset are also in a benchmark, however they were scaled or re-encoded.

Compared are the photos from which anchors were cut, the anchors themselves, and the thumbnails. A match needs the same
three opinions as a duplicate (`curation.duplicates`), or equal bytes. With `remove`, the next version of the dataset
leaves out every pair that has such a picture (`curation.selection`).
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.duplicates import PHOTO_RULE, PRODUCT_RULE, DuplicateRule, Hashes, confirmed, hash_bits
from curation.engine import map_shards
from curation.errors import CurationError, ImageError
from curation.hamming import hamming_pairs
from curation.hashing import describe
from curation.images import decode
from curation.pair_rows import FACTS
from curation.schemas import HASHES
from curation.tables import Shard, ShardedTable, rows_to_batch, write_json

SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif"})
RULES: Final[Mapping[str, DuplicateRule]] = {"photo": PHOTO_RULE, "anchor": PHOTO_RULE, "product": PRODUCT_RULE}


@dataclass(frozen=True, slots=True)
class Overlap:
    """A picture of the dataset that a benchmark holds too."""

    file: str  # of the benchmark, below its folder
    sha256: str  # of ours
    role: str  # photo, anchor or product
    phash_distance: int  # bits, 0-64
    colour_distance: float  # of the colour layouts in the CbCr plane, 0-255


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
        The report: pictures compared and unreadable, overlaps, and how many pairs they touch.

    Raises:
        CurationError: the folder holds no readable picture, or there is no dataset.
    """
    dataset = data / "pair_dataset"
    if not dataset.is_dir():
        raise CurationError(f"{dataset}: there is no dataset to audit")
    faults: Counter[str] = Counter()
    theirs = list(_benchmark(folder, faults))
    if not theirs:
        raise CurationError(f"{folder}: no readable picture; unreadable: {dict(faults)}")
    table = ShardedTable(dataset.resolve())
    anchors = map_shards("curation.audit:HashAnchors", [table], data / "audits" / "anchor_hashes").table
    facts = table.table([name for name in FACTS if name.endswith("sha256")])
    ours = _ours(data, anchors, facts)
    overlaps = [overlap for role, rows in ours.items() for overlap in _overlaps(theirs, rows, role)]
    found = pa.array({overlap.sha256 for overlap in overlaps}, pa.string())
    touched = [pc.is_in(facts[column], found) for column in facts.column_names]
    report = {
        "folder": str(folder.resolve()),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": dataset.resolve().name,
        "pictures": len(theirs),
        "unreadable": dict(faults),
        "compared_with": {role: len(rows) for role, rows in ours.items()},
        "overlaps": [asdict(overlap) for overlap in overlaps],
        "pairs": sum(np.logical_or.reduce([column.to_numpy(zero_copy_only=False) for column in touched]).tolist()),
        "remove": remove,
    }
    write_json(data / "audits" / f"{name or folder.resolve().name}.json", report)
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


def _benchmark(folder: Path, faults: Counter[str]) -> Iterator[dict[str, Any]]:
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES):
        data = path.read_bytes()
        try:
            found = describe(decode(data))
        except ImageError as error:
            faults[error.reason] += 1
        else:
            yield {**found, "file": path.relative_to(folder).as_posix(), "sha256": hashlib.sha256(data).hexdigest()}


def _ours(data: Path, anchors: ShardedTable, facts: pa.Table) -> dict[str, list[dict[str, Any]]]:
    """Hashes of the dataset's pictures by role, each picture once."""
    columns = ["sha256", "role", "phash", "dhash", "colour", "blank"]
    ours: dict[str, dict[str, dict[str, Any]]] = {role: {} for role in RULES}
    wanted = {"photo": facts["anchor_sha256"], "product": facts["positive_sha256"], "anchor": facts["crop_sha256"]}
    sets = {role: set(column.to_pylist()) for role, column in wanted.items()}
    for table in (ShardedTable(data / "dedup" / "image_hashes"), anchors):
        for batch in table.batches(columns):
            for row in batch.to_pylist():
                role = "product" if row["role"] == "catalog" else row["role"]
                if row["sha256"] in sets[role]:
                    ours[role][row["sha256"]] = row
    return {role: list(rows.values()) for role, rows in ours.items()}


def _overlaps(theirs: list[dict[str, Any]], ours: list[dict[str, Any]], role: str) -> Iterator[Overlap]:
    same = {row["sha256"] for row in ours}
    yield from (Overlap(row["file"], row["sha256"], role, 0, 0.0) for row in theirs if row["sha256"] in same)
    rule = RULES[role]
    a = [row for row in theirs if not row["blank"] and row["sha256"] not in same]
    b = [row for row in ours if not row["blank"]]
    rows = [*a, *b]
    phash, dhash = _column(rows, "phash"), _column(rows, "dhash")
    for i, j, _ in hamming_pairs(phash[: len(a)], rule.phash_bits, phash[len(a) :]):
        near = hash_bits(dhash[i], dhash[len(a) + j]) <= rule.dhash_bits
        involved, place = np.unique(np.concatenate([i[near], len(a) + j[near]]), return_inverse=True)
        if len(involved):
            layouts = np.array([rows[row]["colour"] for row in involved], np.uint8)
            first, second = np.split(place, 2)
            found = confirmed(rule, first, second, phash[involved], dhash[involved], layouts).of(involved)
            for x, y, bits, levels in zip(found.i, found.j, found.phash, found.colour, strict=True):
                yield Overlap(rows[x]["file"], rows[y]["sha256"], role, int(bits), float(levels))


def _column(rows: list[dict[str, Any]], name: str) -> Hashes:
    return np.array([row[name] for row in rows], np.uint64)
