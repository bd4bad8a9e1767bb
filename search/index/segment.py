"""A segment: products, thumbnails and vectors that came in together, written once and never changed."""

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from search.errors import IndexBuildError, IndexMissingError
from search.index.config import IndexConfig
from search.index.partition import Partition, Vectors, read_partition, write_partition
from search.index.products import PRODUCTS, Rows

TABLE: Final = "products.parquet"
_THUMBNAILS: Final = "thumbnails.arrow"
_PARTITIONS: Final = "partitions"
_SCHEMA: Final = pa.schema([pa.field("thumbnail", pa.large_binary(), nullable=False)])
_OTHERS: Final = 128  # vectors of each other category that a category is tuned with
_BATCH: Final = 1024  # rows held at once while a segment is read out


@dataclass
class _Gathered:
    """Vectors and row numbers per category, while the rows stream by."""

    total: int = 0
    chunks: dict[str, list[Vectors]] = field(default_factory=lambda: defaultdict(list))
    rows: dict[str, list[npt.NDArray[np.int64]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, rows: Rows) -> None:
        categories = np.asarray(rows.products.column("category").to_pylist())
        for category in np.unique(categories).tolist():
            inside = np.flatnonzero(categories == category)
            self.chunks[category].append(rows.vectors[inside])
            self.rows[category].append(inside + self.total)
        self.total += len(rows.vectors)


@dataclass(frozen=True)
class Segment:
    """An opened segment: products in memory, thumbnails and vectors mapped from disk."""

    products: pa.Table
    thumbnails: pa.Table
    partitions: dict[str, Partition]

    def read(self, alive: npt.NDArray[np.bool_]) -> Iterator[Rows]:
        """Stream the rows where `alive`, shape (n,), is true."""
        places = {}
        for category, partition in self.partitions.items():
            places[category] = np.full(len(alive), -1, np.int64)
            places[category][partition.rows] = np.arange(len(partition.rows))
        for start in range(0, len(alive), _BATCH):
            rows = start + np.flatnonzero(alive[start : start + _BATCH])
            if len(rows):
                products = self.products.take(rows).combine_chunks().to_batches()[0]
                pairs = zip(products.column("category").to_pylist(), rows.tolist(), strict=True)
                vectors = np.stack([self.partitions[name].vectors[places[name][row]] for name, row in pairs])
                yield Rows(products, self.thumbnails.take(rows).column(0).combine_chunks(), vectors)


def write_segment(folder: Path, rows: Iterable[Rows], config: IndexConfig) -> None:
    """Write rows into a folder that does not exist yet.

    Raises:
        IndexBuildError: there is no row, or what `rows` itself refuses.
    """
    (folder / _PARTITIONS).mkdir(parents=True)
    gathered = _Gathered()
    with ExitStack() as stack:
        products = stack.enter_context(pq.ParquetWriter(folder / TABLE, PRODUCTS, compression="zstd"))
        thumbnails = stack.enter_context(pa.ipc.new_file(folder / _THUMBNAILS, _SCHEMA))
        for part in rows:
            gathered.add(part)
            products.write_batch(part.products)
            thumbnails.write_batch(pa.RecordBatch.from_arrays([part.thumbnails], schema=_SCHEMA))
    if not gathered.total:
        raise IndexBuildError("no rows: there is nothing to search")
    _write_partitions(folder / _PARTITIONS, gathered, config)


def read_segment(folder: Path, config: IndexConfig) -> Segment:
    """Open a segment. Raises `IndexMissingError` when it is damaged."""
    try:
        products = pq.read_table(folder / TABLE)
        thumbnails = pa.ipc.open_file(pa.memory_map(str(folder / _THUMBNAILS))).read_all()
        names = sorted(path.name.removesuffix(".rows.npy") for path in (folder / _PARTITIONS).glob("*.rows.npy"))
        partitions = {name: read_partition(folder / _PARTITIONS, name, config) for name in names}
    except (
        OSError,
        ValueError,
        KeyError,
    ) as error:  # the third: an array is missing
        raise IndexMissingError(f"index segment {folder.name} is damaged: {error}") from error
    if not len(products) == len(thumbnails) == sum(len(part.rows) for part in partitions.values()):
        raise IndexMissingError(f"index segment {folder.name} is damaged: its parts differ in length")
    return Segment(products, thumbnails, partitions)


def holds(folder: Path, products: Collection[str], pictures: Collection[str]) -> npt.NDArray[np.bool_]:
    """Which rows of a segment are of these product ids or thumbnails (sha256), dead rows too."""
    rows = pq.read_table(folder / TABLE, columns=["id", "sha256"]).to_pylist()
    return np.array([row["id"] in products or row["sha256"] in pictures for row in rows], bool)


def flush(folder: Path) -> None:
    """Wait until everything in a folder is on the disk: a rename must not outlive what it names."""
    for path in [*folder.rglob("*"), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _write_partitions(folder: Path, gathered: _Gathered, config: IndexConfig) -> None:
    matrices = {name: np.concatenate(gathered.chunks.pop(name)) for name in sorted(gathered.rows)}
    for name, matrix in matrices.items():
        others = [other[:: max(1, len(other) // _OTHERS)] for key, other in matrices.items() if key != name]
        queries = np.concatenate([matrix[:0], *others])
        write_partition(folder, name, matrix, np.concatenate(gathered.rows[name]), queries, config)
