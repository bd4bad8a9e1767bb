"""How soon a review can begin on a dataset of 290,000 pairs: in rough order, and in the order that is kept on disk.

The pairs are made up, with one small picture for all. What looking at pictures costs, and what a later
version costs of which every pair is known, is timed too, and what a verdict waits for. Seconds of the processor.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import numpy as np
import pyarrow as pa
from PIL import Image

from curation.doubts import make_doubts
from curation.images import encode_jpeg
from curation.places import MANIFEST
from curation.review import Decision
from curation.schemas import PAIRS
from curation.tables import ShardedTable, write_json, write_shard
from curation.taxonomy import CATEGORIES
from curation.versions import Versions
from search.review import ReviewQueue
from search.review.pairs import in_order, in_rough_order

_PER_SHARD: Final = 10_000
_PER_PRODUCT: Final = 5  # pairs
_LOOKED_AT: Final = 2000  # pairs whose pictures are looked at


def main() -> None:
    """Print a table and its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=290_000)
    options = parser.parse_args()
    found: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = work()
        found[name] = round(time.process_time() - start, 3)
        print(f"{name:<46}{found[name]:>10.3f} s", flush=True)
        return result

    with tempfile.TemporaryDirectory(prefix="fashion-review-") as folder:
        few, many = Path(folder) / "few", Path(folder) / "many"
        version = _publish(few, _LOOKED_AT)
        timed(f"look at {_LOOKED_AT} pairs", lambda: make_doubts(few, version))
        version = _publish(many, options.pairs)
        timed("rough order", lambda: in_rough_order(version))
        colours = np.full(320, 320**-0.5, np.float16)
        with patch("curation.doubts._look", return_value=(colours, colours)):
            timed("the table, but for looking at pictures", lambda: make_doubts(many, version))
        timed("order from disk", lambda: in_order(many, version))
        later = _publish(many, options.pairs - 1)
        timed("the table of a version without new pairs", lambda: make_doubts(many, later))
        queue = ReviewQueue(many)
        timed("a service is started: the first pairs", lambda: _first(queue))
        timed("a verdict and the progress", lambda: _judge(queue))
        timed("the next pairs", lambda: queue.next("ann", 10))
    print(json.dumps(found))


def _publish(data: Path, count: int) -> Path:
    """A version of made-up pairs, in use."""
    picture = encode_jpeg(Image.new("RGB", (16, 16), (180, 60, 60)))
    with Versions(data / "pair_dataset").stage() as (name, folder):
        for start in range(0, count, _PER_SHARD):
            rows = np.arange(start, min(start + _PER_SHARD, count))
            write_shard(folder, f"train-{start:07d}", PAIRS, [_rows(rows, picture)], fingerprint=f"{start}-{len(rows)}")
        write_json(folder / MANIFEST, {"fingerprint": ShardedTable(folder).fingerprint})
    return Versions(data / "pair_dataset").folder / name


def _rows(rows: Any, picture: bytes) -> pa.Table:
    count = len(rows)
    shown = pa.array([{"bytes": picture, "path": None}] * count, PAIRS.field("anchor").type)
    digests = [f"{row:064x}" for row in rows.tolist()]
    products = [str(row // _PER_PRODUCT) for row in rows.tolist()]
    columns = {
        "anchor": shown,
        "positive": shown,
        "box": pa.array([[1.0, 2.0, 30.0, 40.0]] * count, PAIRS.field("box").type),
        "category": pa.array([CATEGORIES[int(product) % len(CATEGORIES)] for product in products]),
        "anchor_sha256": pa.array(digests),
        "positive_sha256": pa.array([f"{int(product):064x}" for product in products]),
        "product_id": pa.array(products),
        "detector_score": pa.array(np.random.default_rng(0).random(count, np.float32)),
    }
    constant = {"split": "train", "site": "kream", "post_url": "https://shop.test/1", "detector_version": "d"}
    for field in PAIRS:
        if field.name not in columns:
            value = constant.get(field.name, None if field.nullable else _least(field.type))
            columns[field.name] = pa.array([value] * count, field.type)
    return pa.table({name: columns[name] for name in PAIRS.names}, schema=PAIRS)


def _least(kind: pa.DataType) -> Any:
    return "" if pa.types.is_string(kind) else 0


def _first(queue: ReviewQueue) -> None:
    while not queue.ready():
        time.sleep(0.01)
    queue.next("ann", 10)


def _judge(queue: ReviewQueue) -> None:
    (pair,) = queue.next("ann", 1)
    queue.say(pair.id, Decision.ACCEPT, "ann")
    queue.progress()


if __name__ == "__main__":
    main()
