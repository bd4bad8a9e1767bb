"""A small data folder: hashes, clusters and candidates of drawn pictures, and a dataset made from them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from curation.dataset import write_pair_dataset
from curation.dataset_plan import DatasetRules
from curation.hashing import describe
from curation.schemas import CLUSTERS, HASHES
from curation.tables import ShardedTable, rows_to_batch, write_shard
from tests.curation.builders import candidate_row, candidates, picture, scene, sha


def photo(number: int) -> bytes:
    """The photo from which the anchor of `candidate_row(number)` is taken to be cut."""
    return picture(5000 + number)


def make_data(root: Path, numbers: Iterable[int]) -> Path:
    """Candidates of these numbers whose photos and thumbnails were hashed, published as version 0001."""
    rows = [candidate_row(number, anchor_sha256=sha(photo(number))) for number in numbers]
    hashed = [_hash(row, "photo", 5000 + row["post_id"], row["anchor_sha256"]) for row in rows]
    hashed += [_hash(row, "product", 1000 + row["post_id"], row["positive_sha256"]) for row in rows]
    _write(root / "dedup" / "image_hashes", HASHES, hashed)
    _write(root / "dedup" / "duplicate_clusters", CLUSTERS, [_cluster(row) for row in hashed])
    table = candidates(root / "pairs" / "candidate_pairs", {"000000": rows})
    write_pair_dataset(table, root / "pair_dataset", DatasetRules())
    return root


def _write(root: Path, schema: Any, rows: list[dict[str, Any]]) -> ShardedTable:
    write_shard(root, "kream/000000", schema, [rows_to_batch(rows, schema)], fingerprint=str(len(rows)))
    return ShardedTable(root)


def _hash(row: dict[str, Any], role: str, seed: int, digest: str) -> dict[str, Any]:
    known = {"sha256": digest, "role": role, "site": row["site"], "post_id": row["post_id"], "position": 0}
    return {**describe(scene(seed)), **known, "product_id": row["product_id"] if role == "product" else None}


def _cluster(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "sha256": row["sha256"],
        "role": row["role"],
        "phash": row["phash"],
        "cluster_id": row["sha256"],
        "is_representative": True,
        "phash_distance": 0,
        "colour_distance": 0.0,
        "evidence": "single",
    }
