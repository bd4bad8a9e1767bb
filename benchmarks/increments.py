"""What a new block of pictures costs when many are known already: the index of near-duplicates as it grows.

Blocks of synthetic hashes, each with copies of pictures of all blocks; posts come in the order of their times, as a
crawl meets them, so that of two copies the one of the earlier block is kept. Measured: everything at once, nothing new,
one new block and how many shards of verdicts it changed, and one picture looked up. Times are the processor's.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from benchmarks.hashes import synthetic_hashes
from curation.dedup import DuplicateIndex
from curation.images import encode_jpeg
from curation.lookup import find_picture
from curation.schemas import HASHES, LAYOUT_BYTES
from curation.tables import write_shard
from sandbox.world import World

_FIRST: Final = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> None:
    """Print a table, and the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.increments", description=__doc__)
    parser.add_argument("--blocks", type=int, default=30)
    parser.add_argument("--pictures", type=int, default=10_000, help="of a block")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fashion-increments-") as folder:
        index = DuplicateIndex(Path(folder))
        hashes = synthetic_hashes((options.blocks + 1) * options.pictures)
        for number in range(options.blocks):
            _write_block(Path(folder), number, hashes, options.pictures)
        figures = {"all_at_once": _timed("all at once", index.update)}
        figures["nothing_new"] = _timed("nothing new", index.update)
        _write_block(Path(folder), options.blocks, hashes, options.pictures)
        made: list[int] = []
        figures["one_block"] = _timed("one new block", lambda: made.append(index.update().made))
        figures["shards_made"] = made[0]
        photo = encode_jpeg(World(1, 3).draw("kream", 1, 0).image)
        figures["find"] = _timed("one picture looked up", lambda: find_picture(index, photo))
        print(f"{index.clusters.rows} rows; {dict(index.matches.counts)}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({**figures, "one_block_share": figures["one_block"] / figures["all_at_once"], "peak_gib": peak}))


def _timed(name: str, work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    seconds = time.process_time() - start
    print(f"{name:<24}{seconds:>10.2f} s", flush=True)
    return round(seconds, 2)


def _write_block(folder: Path, number: int, hashes: np.ndarray, size: int) -> None:
    """A HASHES shard; the difference hash and the layout follow from the hash, so that copies look alike."""
    phash = hashes[number * size : (number + 1) * size]
    rng = np.random.default_rng(number)
    dhash = phash ^ np.uint64(0x5555555555555555)
    cells = ((phash[:, None] >> np.arange(0, 64, dtype=np.uint64)) & np.uint64(1)).astype(np.uint8) * 96 + 80
    colour = np.repeat(cells, LAYOUT_BYTES // 64, axis=1) + rng.integers(0, 4, (size, 1), np.uint8)
    columns = {
        "sha256": [f"{number:032x}{row:032x}" for row in range(size)],
        "role": ["photo"] * size,
        "mode": ["exact"] * size,
        "phash": phash,
        "dhash": dhash,
        "colour": pa.array(map(bytes, colour), pa.binary(LAYOUT_BYTES)),
        "contrast": [50.0] * size,
        "sharpness": [50.0] * size,
        "blank": [False] * size,
        "width": np.full(size, 1080),
        "height": np.full(size, 1350),
        "site": ["kream"] * size,
        "post_id": np.arange(number * size, (number + 1) * size),
        "position": [0] * size,
        "product_id": pa.nulls(size, pa.string()),
        "posted_at": pa.array([_FIRST + timedelta(days=number)] * size, HASHES.field("posted_at").type),
    }
    write_shard(folder / "image_hashes", f"kream/{number:06d}", HASHES, [pa.table(columns)], fingerprint=str(number))


if __name__ == "__main__":
    main()
