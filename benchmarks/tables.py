"""What listing and reading a table of many small shards costs, on this machine and at a URL.

`python -m benchmarks.tables --shards 1000 [--url s3://bucket/prefix]`. A URL needs its object store's own variables
(`AWS_ENDPOINT_URL`, keys). Times are the least of three. What is written is removed, here and there.
"""

import argparse
import json
import shutil
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from curation.engine import map_shards
from curation.places import Place, place
from curation.tables import Shard, ShardedTable, write_shard

_ROWS = 50
_SCHEMA = pa.schema([pa.field("n", pa.int64(), nullable=False), pa.field("text", pa.string())])


class Copy:
    """The cheapest step."""

    version: ClassVar[str] = "1"
    schema: ClassVar[pa.Schema] = _SCHEMA

    def __call__(self, *shards: Shard, counts: Counter[str]) -> Iterator[pa.RecordBatch]:
        """The same rows."""
        counts["kept"] += shards[0].rows
        yield from shards[0].batches()


def main() -> None:
    """Measure one or two places and print a table and a line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description=__doc__)
    parser.add_argument("--shards", type=int, default=1000)
    parser.add_argument("--url", default="")
    options = parser.parse_args()
    figures = {"this machine": _measured_below(Path(tempfile.gettempdir()), options.shards)}
    if options.url:
        figures[options.url] = _measured_below(place(options.url), options.shards)
    print(f"{'seconds':<34}" + "".join(f"{name:>26}" for name in figures))
    for row in next(iter(figures.values())):
        print(f"{row:<34}" + "".join(f"{figures[name][row]:>26.3f}" for name in figures))
    print(json.dumps({"shards": options.shards, "rows": _ROWS, "seconds": figures}))


def _measured_below(parent: Place, shards: int) -> dict[str, float]:
    """In a folder that nothing was ever written to: where shards are left from before, none has to be made."""
    root = parent / f"fashion-tables-{uuid.uuid4().hex}"
    try:
        return _measure(root, shards)
    finally:
        shutil.rmtree(root, ignore_errors=True) if isinstance(root, Path) else root.fs.rm(root.path, recursive=True)


def _measure(root: Place, shards: int) -> dict[str, float]:
    batch = pa.RecordBatch.from_pydict({"n": list(range(_ROWS)), "text": ["text"] * _ROWS}, schema=_SCHEMA)

    def write() -> None:
        for number in range(shards):
            write_shard(root / "in", f"kream/{number:06d}", _SCHEMA, [batch], fingerprint=str(number))

    def copy() -> None:
        map_shards("benchmarks.tables:Copy", [ShardedTable(root / "in")], root / "out")

    return {
        "write": _least(write, 1),
        "list with footers, first time": _least(lambda: ShardedTable(root / "in").rows, 1),
        "list with footers, again": _least(lambda: ShardedTable(root / "in").rows),
        "list and read a column": _least(lambda: ShardedTable(root / "in").table(["n"])),
        "map_shards, all to make": _least(copy, 1),
        "map_shards, all up to date": _least(copy),
    }


def _least(work: Callable[[], object], times: int = 3) -> float:
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    main()
