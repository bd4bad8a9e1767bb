"""The published dataset: opens with `datasets`, replaces the old one whole, refuses to be empty."""

import io
from pathlib import Path

import pytest
from PIL import Image

from curation.dataset import write_pair_dataset
from curation.errors import CurationError
from curation.images import encode_jpeg
from curation.schemas import CANDIDATES
from curation.splits import SplitShares
from curation.tables import ShardedTable, rows_to_batch, write_shard
from tests.curation.builders import NOW, scene


def _candidates(root: Path, count: int) -> ShardedTable:
    rows = []
    for i in range(count):
        row = dict.fromkeys(CANDIDATES.names)
        kept = i % 5 != 0
        row |= {
            "site": "kream", "post_id": i, "post_url": "u", "product_id": str(i), "product_cluster_id": f"c{i}",
            "photo_cluster_id": f"f{i}", "category": "hat", "photo_position": 0, "product_position": 0,
            "box": [1.0, 2.0, 30.0, 40.0], "detector_score": 0.9, "anchor_phash": 2**64 - 1,
            "detector_version": "d", "classifier_version": "c",
            "crawled_at": NOW, "kept": kept, "reason": None if kept else "repost",
            "anchor_bytes": encode_jpeg(scene(i)) if kept else None,
            "positive_bytes": encode_jpeg(scene(1000 + i)) if kept else None,
        }  # fmt: skip
        rows.append(row)
    write_shard(root, "kream/000000", CANDIDATES, [rows_to_batch(rows, CANDIDATES)], fingerprint="x")
    return ShardedTable(root)


def test_write_pair_dataset__opens_with_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    from datasets import load_dataset

    out = tmp_path / "pair_dataset"
    manifest = write_pair_dataset(_candidates(tmp_path / "in", 100), out, SplitShares(), "abc")
    assert sum(manifest["rows"].values()) == 80
    files = {name: str(out / f"{name}-*.parquet") for name in manifest["rows"]}
    dataset = load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "cache"))
    assert {name: len(part) for name, part in dataset.items()} == manifest["rows"]
    row = dataset["train"][0]
    assert isinstance(row["anchor"], Image.Image)
    assert (row["box"], row["anchor_phash"], row["crawled_at"]) == ([1.0, 2.0, 30.0, 40.0], 2**64 - 1, NOW)


def test_write_pair_dataset__pictures_stay_with_their_rows(tmp_path: Path) -> None:
    out = tmp_path / "pairs"
    write_pair_dataset(_candidates(tmp_path / "in", 60), out, SplitShares(), "abc")
    for row in ShardedTable(out).table().to_pylist():
        anchor = Image.open(io.BytesIO(row["anchor"]["bytes"]))
        assert encode_jpeg(scene(row["post_id"])) == row["anchor"]["bytes"]
        assert anchor.size == (240, 300)


def test_write_pair_dataset__empty_is_refused_and_keeps_the_old(tmp_path: Path) -> None:
    out = tmp_path / "pairs"
    write_pair_dataset(_candidates(tmp_path / "in", 20), out, SplitShares(), "old")
    with pytest.raises(CurationError, match="none of 1 candidate"):
        write_pair_dataset(_candidates(tmp_path / "none", 1), out, SplitShares(), "new")
    assert '"made_from": "old"' in (out / "manifest.json").read_text()
