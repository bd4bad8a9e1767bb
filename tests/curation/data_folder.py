"""A small data folder: crawl, hashes, clusters and candidates of drawn pictures, and a dataset made from them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.dataset import write_pair_dataset
from curation.dataset_plan import DatasetRules
from curation.dedup import DuplicateIndex
from curation.hashing import describe
from curation.schemas import HASHES, LEDGER, POSTS
from curation.tables import rows_to_batch, write_shard
from tests.curation.builders import NOW, candidate_row, candidates, picture, picture_row, scene, sha


def photo(number: int) -> bytes:
    """The photo from which the anchor of `candidate_row(number)` is taken to be cut."""
    return picture(5000 + number)


def make_data(root: Path, numbers: Iterable[int]) -> Path:
    """Posts of these numbers, each with a photo and a product: crawled, hashed, paired and published."""
    numbers = list(numbers)
    posts = [_post(number, "photo", photo(number)) for number in numbers]
    posts += [_post(number, "product", picture(1000 + number), product_id=str(number)) for number in numbers]
    posts.sort(key=lambda row: (row["post_id"], row["role"]))
    write_table(root / "crawl" / "posts", "000000", schema=POSTS, rows=posts)
    write_table(root / "crawl" / "ledger", "000000", schema=LEDGER, rows=[_entry(number) for number in numbers])
    rows = [candidate_row(number, anchor_sha256=sha(photo(number))) for number in numbers]
    hashed = [_hash(row, "photo", 5000 + row["post_id"], row["anchor_sha256"]) for row in rows]
    hashed += [_hash(row, "product", 1000 + row["post_id"], row["positive_sha256"]) for row in rows]
    write_table(root / "dedup" / "image_hashes", "000000", schema=HASHES, rows=hashed)
    DuplicateIndex(root / "dedup").update()
    table = candidates(root / "pairs" / "candidate_pairs", {"000000": rows})
    write_pair_dataset(table, root / "pair_dataset", DatasetRules())
    return root


def _post(number: int, role: str, data: bytes, **values: Any) -> dict[str, Any]:
    return picture_row(number, role, 0, data, **values)


def _entry(number: int) -> dict[str, Any]:
    times = {"first_tried_at": NOW, "last_tried_at": NOW}
    counts = {"attempts": 1, "photos": 1, "products": 1}
    return {"site": "kream", "post_id": number, "state": "done", "reason": None, "message": None, **counts, **times}


def write_table(root: Path, block: str, rows: list[dict[str, Any]], schema: pa.Schema = POSTS) -> None:
    """Write one shard `kream/<block>` of a table."""
    write_shard(root, f"kream/{block}", schema, [rows_to_batch(rows, schema)], fingerprint=str(len(rows)))


def _hash(row: dict[str, Any], role: str, seed: int, digest: str) -> dict[str, Any]:
    known = {"sha256": digest, "role": role, "site": row["site"], "post_id": row["post_id"], "position": 0}
    known["posted_at"] = NOW
    return {**describe(scene(seed)), **known, "product_id": row["product_id"] if role == "product" else None}
