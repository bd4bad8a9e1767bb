"""What a version of the pair dataset costs: the first, one with nothing new, one new block, one verdict, a take-down.

The alternative beside it is what datasets without versions do: write everything again. Candidates are made up (posts,
products with a heavy tail, pictures of noise), so the seconds are those of the bookkeeping and of `--picture` bytes.
"""

import argparse
import hashlib
import io
import json
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from curation.dataset import write_pair_dataset
from curation.dataset_plan import DatasetRules
from curation.purge import purge_tables, purge_versions
from curation.review import Decision, Rulings, Verdict
from curation.schemas import CANDIDATES
from curation.selection import Selection
from curation.tables import ShardedTable, rows_to_batch, write_shard
from curation.takedown import Removal
from curation.taxonomy import CATEGORIES
from curation.versions import Versions

_PER_BLOCK: Final = 2000  # pairs
_PER_POST: Final = 2
_PRODUCTS: Final = 90_000
_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> None:
    """Run every case once in a temporary folder and print a table and its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=290_000)
    parser.add_argument("--picture", type=int, default=2000, help="bytes per picture (default 2000)")
    options = parser.parse_args()
    blocks = max(1, options.pairs // _PER_BLOCK)
    with tempfile.TemporaryDirectory(prefix="fashion-dataset-") as folder:
        figures = _run(Path(folder), blocks, options.picture)
    print(json.dumps({"pairs": blocks * _PER_BLOCK, **figures}))


def _run(data: Path, blocks: int, picture: int) -> dict[str, Any]:
    root, link = data / "pairs" / "candidate_pairs", data / "pair_dataset"
    for block in range(blocks):
        _write_block(root, block, picture)
    seconds: dict[str, float] = {}
    mib: dict[str, float] = {}

    def publish(name: str, rules: DatasetRules, out: Path = link) -> None:
        before = len(Versions(out).names)
        seconds[name] = _timed(lambda: write_pair_dataset(ShardedTable(root), out, rules))
        fresh, size = _bytes(Versions(out))
        written = fresh if len(Versions(out).names) > before else 0
        mib[name] = round(written / 2**20, 1)
        print(f"{name:<30}{seconds[name]:>8.1f} s  wrote {mib[name]:>8.1f} of {size / 2**20:.1f} MiB", flush=True)

    publish("first version", DatasetRules())
    publish("nothing new", DatasetRules())
    _write_block(root, blocks, picture)
    publish("one new block", DatasetRules())
    publish("the same, everything again", DatasetRules(), data / "again" / "pair_dataset")
    publish("one verdict", DatasetRules(selection=Selection(Rulings([_verdict(7)]), fingerprint="one verdict")))
    shutil.rmtree(data / "again")
    gone = Removal(posts=frozenset(["kream/11"]))
    seconds["take-down"] = _timed(lambda: (purge_tables(data, gone), purge_versions(Versions(link), gone)))
    print(f"{'take-down of a post':<30}{seconds['take-down']:>8.1f} s  from {len(Versions(link).names)} versions")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    took = {name: round(value, 1) for name, value in seconds.items()}
    return {"seconds": took, "written_mib": mib, "peak_rss_gib": round(peak, 2)}


def _timed(work: Callable[[], Any]) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start


def _bytes(versions: Versions) -> tuple[int, int]:
    """Bytes of the newest version that no other version has, and of all of it."""
    stats = [path.stat() for path in (versions.folder / versions.names[-1]).glob("*.parquet")]
    return sum(stat.st_size for stat in stats if stat.st_nlink == 1), sum(stat.st_size for stat in stats)


def _write_block(root: Path, block: int, size: int) -> None:
    draw = np.random.default_rng(block)
    products = np.minimum(draw.pareto(0.8, _PER_BLOCK) * 40, _PRODUCTS - 1).astype(np.int64)
    rows = [_row(block * _PER_BLOCK + place, int(product), size) for place, product in enumerate(products)]
    write_shard(root, f"kream/{block:06d}", CANDIDATES, [rows_to_batch(rows, CANDIDATES)], fingerprint=str(block))


def _row(number: int, product: int, size: int) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(CANDIDATES.names)
    post = number // _PER_POST
    return row | {
        "site": "kream", "post_id": post, "post_url": f"https://kream.test/{post}", "product_id": str(product),
        "product_url": f"https://kream.test/products/{product}", "product_cluster_id": _sha(f"product {product}"),
        "photo_cluster_id": _sha(f"photo {post}"), "category": CATEGORIES[product % 7], "photo_position": 0,
        "product_position": number % _PER_POST, "box": [1.0, 2.0, 30.0, 40.0], "detector_score": 0.9,
        "classifier_probability": 0.9, "verification_score": 0.6, "anchor_sha256": _sha(f"photo {post}"),
        "crop_sha256": _sha(f"crop {number}"), "positive_sha256": _sha(f"product {product}"), "anchor_phash": post,
        "positive_phash": product, "detector_version": "d", "classifier_version": "c", "crawled_at": _NOW,
        "kept": True, "anchor_bytes": _PICTURE + os.urandom(size), "positive_bytes": _PICTURE + os.urandom(size),
    }  # fmt: skip


def _verdict(number: int) -> Verdict:
    row = _row(number, int(np.minimum(np.random.default_rng(0).pareto(0.8, _PER_BLOCK) * 40, _PRODUCTS - 1)[number]), 1)
    return Verdict(row["anchor_sha256"], tuple(row["box"]), row["positive_sha256"], Decision.REJECT, "nobody")


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (180, 60, 60)).save(buffer, "JPEG")
    return buffer.getvalue()


_PICTURE: Final = _jpeg()

if __name__ == "__main__":
    main()
