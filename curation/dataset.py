"""The published pair dataset: split, sharded, described, and swapped in whole.

`datasets.load_dataset("parquet", data_files={"train": "…/train-*.parquet", …})` opens it with `Image` features.
"""

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from curation.errors import CurationError
from curation.schemas import PAIRS
from curation.splits import SplitShares, assign_splits, crossing_keys
from curation.tables import ShardedTable, conform, fingerprint, write_json, write_shard
from curation.taxonomy import SPLITS

_KEYS: Final = ("site", "post_id", "product_id", "product_cluster_id", "photo_cluster_id")
_SHARD_ROWS: Final = 4096


class SplitLeakError(CurationError):
    """Raised by `write_pair_dataset` when a post, product or cluster would be in two splits."""


def leak_keys(row: Mapping[str, Any]) -> list[str]:
    """What a pair must not share with a pair of another split."""
    return [
        f"post:{row['site']}/{row['post_id']}",
        f"product:{row['site']}/{row['product_id']}",
        f"product-cluster:{row['product_cluster_id']}",
        f"photo-cluster:{row['photo_cluster_id']}",
    ]


def write_pair_dataset(candidates: ShardedTable, out: Path, shares: SplitShares, made_from: str) -> dict[str, Any]:
    """Split the kept candidates and write them as `<split>-00000.parquet`, …, with a card and a manifest.

    Two passes: keys only, to split; then the pictures, streamed. The old dataset is replaced only by a complete one.

    Args:
        candidates: CANDIDATES shards.
        out: folder of the dataset.
        shares: how much is held out.
        made_from: fingerprint of the inputs, kept in the manifest.

    Returns:
        The manifest: rows per split and category, fingerprint, shares.

    Raises:
        CurationError: no candidate was kept.
        SplitLeakError: the split leaks; nothing is written.
    """
    kept = candidates.table([*_KEYS, "category", "kept"]).to_pylist()
    keys = [leak_keys(row) for row in kept if row["kept"]]
    if not keys:
        raise CurationError(f"{candidates.root}: none of {len(kept)} candidate pairs was kept")
    splits = assign_splits(keys, shares)
    if leaks := crossing_keys(keys, splits):
        raise SplitLeakError(f"{len(leaks)} keys in two splits, among them {sorted(leaks)[:3]}")
    staging = out.with_name(f".{out.name}.new")
    shutil.rmtree(staging, ignore_errors=True)
    _write_shards(candidates, splits, staging, made_from)
    categories = [row["category"] for row in kept if row["kept"]]
    manifest = {
        "fingerprint": fingerprint([made_from, shares.test, shares.validation]),
        "made_from": made_from,
        "rows": {split: splits.count(split) for split in SPLITS},
        "rows_per_category": dict(sorted(Counter(categories).items())),
        "shares_of_small_groups": {"validation": shares.validation, "test": shares.test},
    }
    write_json(staging / "manifest.json", manifest)
    (staging / "README.md").write_text(_card(manifest))
    _swap(staging, out)
    return manifest


def hub_schema(schema: pa.Schema) -> pa.Schema:
    """The schema with the feature types that the `datasets` library reads from Parquet metadata."""
    features = {field.name: _feature(field) for field in schema}
    return schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def _feature(field: pa.Field) -> dict[str, Any]:
    if pa.types.is_struct(field.type):
        return {"_type": "Image"}
    if pa.types.is_fixed_size_list(field.type):
        value = {"dtype": str(field.type.value_type).replace("float", "float32", 1), "_type": "Value"}
        return {"feature": value, "length": field.type.list_size, "_type": "List"}
    return {"dtype": str(field.type).replace("float", "float32", 1), "_type": "Value"}


def _write_shards(candidates: ShardedTable, splits: list[Any], out: Path, made_from: str) -> None:
    for split in SPLITS:
        for number, part in enumerate(_parts(_pairs_of(candidates, splits, split))):
            name = f"{split}-{number:05d}"
            write_shard(out, name, hub_schema(PAIRS), [part], fingerprint=fingerprint([made_from, name]))


def _pairs_of(candidates: ShardedTable, splits: list[Any], split: str) -> Iterator[pa.Table]:
    row_splits = iter(splits)
    for batch in candidates.batches():
        table = pa.Table.from_batches([batch])
        table = table.filter(table["kept"])
        table = table.append_column("split", pa.array([next(row_splits) for _ in range(len(table))], pa.string()))
        table = table.filter(pc.equal(table["split"], split))
        if len(table):
            yield _as_pairs(table)


def _as_pairs(table: pa.Table) -> pa.Table:
    no_path = pa.nulls(len(table), pa.string())
    for name in ("anchor", "positive"):
        data = table[f"{name}_bytes"].combine_chunks().cast(pa.binary())
        table = table.append_column(name, pa.StructArray.from_arrays([data, no_path], names=["bytes", "path"]))
    return conform(table.select(PAIRS.names), PAIRS, "pairs")


def _parts(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Regroup a stream of small tables into tables of `_SHARD_ROWS` rows."""
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        if sum(map(len, held)) >= _SHARD_ROWS:
            whole = pa.concat_tables(held)
            yield whole.slice(0, _SHARD_ROWS)
            held = [whole.slice(_SHARD_ROWS)]
    if sum(map(len, held)):
        yield pa.concat_tables(held)


def _card(manifest: Mapping[str, Any]) -> str:
    files = "\n".join(
        f"  - split: {name}\n    path: {name}-*.parquet" for name, rows in manifest["rows"].items() if rows
    )
    rows = "\n".join(f"| {name} | {count} |" for name, count in manifest["rows"].items())
    categories = "\n".join(f"| {name} | {count} |" for name, count in manifest["rows_per_category"].items())
    return f"""---
configs:
- config_name: default
  data_files:
{files}
task_categories: [image-feature-extraction]
tags: [fashion, image-retrieval, contrastive]
---
# Anchor-positive pairs of worn garments and shop thumbnails

`anchor` is a garment cut out of a user's outfit photo by a detector, `positive` the shop's own thumbnail of a product
that the user tagged in it. Pairs are labelled automatically; wrong tags of users are among them.

| split | pairs |
|---|---|
{rows}

| category | pairs |
|---|---|
{categories}

Rows that share a post, a product or a near-duplicate cluster are in one split. Every row carries its provenance (post,
product, box, scores, hashes, model versions), so that it can be traced, masked or removed. It holds no user name,
avatar or text. Photos belong to those who posted them: use the data within the terms of the site it came from.

Fingerprint `{manifest["fingerprint"]}`.
"""


def _swap(staging: Path, out: Path) -> None:
    old = out.with_name(f".{out.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        out.rename(old)
    staging.rename(out)
    shutil.rmtree(old, ignore_errors=True)
