"""Pairs as the encoder reads them: a pair dataset's Parquet shards → arrays in memory, or a stream from disk."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch  # noqa: TID253
from numpy.typing import NDArray
from torch import Tensor  # noqa: TID253

from curation.groups import Groups
from curation.images import decode
from curation.pair_rows import product_of
from curation.tables import file_fingerprint, fingerprint
from models.errors import DataError
from models.pixels import prepare, resize

_ROWS_DECODED: Final = 64  # rows whose original bytes are held at once
_KEYS: Final = ("site", "post_id", "product_id", "product_cluster_id", "category", "anchor_sha256", "positive_sha256")

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class PairKeys:
    """What is known of each pair of a split without its pictures."""

    files: list[Path]
    labels: NDArray[np.int64]  # product, numbered: what shares a near-duplicate cluster or a shop's id is one
    products: list[str]  # names of those numbers
    categories: NDArray[np.str_]
    rows: Rows  # positions in the files, after the choice of categories
    posts: NDArray[np.str_]  # site/post of each row

    def __len__(self) -> int:
        return len(self.rows)


def read_keys(data: Path, split: str, categories: Sequence[str] = ()) -> PairKeys:
    """Read the keys of a split. Raises `DataError` when it has no pair (of these categories)."""
    files = sorted(data.glob(f"{split}-*.parquet"))
    if not files:
        raise DataError(f"{data} has no file {split}-*.parquet: it is no pair dataset, or the split is empty")
    table = pa.concat_tables([pq.read_table(file, columns=list(_KEYS)) for file in files])
    every = np.array(table["category"].to_pylist(), dtype=np.str_)
    rows = np.flatnonzero(np.isin(every, list(categories))) if categories else np.arange(len(every))
    if not len(rows):
        raise DataError(f"{data}: split {split} has no pair of {', '.join(categories) or 'any category'}")
    chosen = table.take(pa.array(rows)).to_pylist()
    products, labels = np.unique(np.array(_products(chosen)), return_inverse=True)
    posts = [f"{row['site']}/{row['post_id']}" for row in chosen]
    return PairKeys(files, labels.astype(np.int64), products.tolist(), every[rows], rows, np.array(posts))


def first_of_each_product(keys: PairKeys, most: int) -> PairKeys:
    """The first row of each product, of at most `most` products evenly chosen."""
    _, first = np.unique(keys.labels, return_index=True)
    chosen = np.sort(first[np.linspace(0, len(first) - 1, min(most, len(first))).astype(np.int64)])
    return replace(
        keys,
        labels=keys.labels[chosen],
        categories=keys.categories[chosen],
        rows=keys.rows[chosen],
        posts=keys.posts[chosen],
    )


def data_fingerprint(data: Path) -> str:
    """Identity of a pair dataset: digest of its shards' bytes."""
    return fingerprint([[path.name, file_fingerprint(path)] for path in sorted(data.glob("*.parquet"))])


class PairPictures:
    """The pictures of each pair, uint8, (height, width, 3), and its product."""

    def __init__(self, keys: PairKeys, size: tuple[int, int], *, processor: Any = None) -> None:
        """Decode every picture once, at (height, width) px. 10,000 pairs at 72 px take 310 MB."""
        self.keys = keys
        self.anchors = np.empty((len(keys), *size, 3), np.uint8)
        self.positives = np.empty((len(keys), *size, 3), np.uint8)
        known: dict[bytes, int] = {}  # digest of a thumbnail → the first row that has it: most come again and again
        for place, (anchor, positive) in enumerate(_stream(keys)):
            self.anchors[place] = resize(prepare(decode(anchor), processor), *size)
            first = known.setdefault(hashlib.blake2b(positive).digest(), place)
            if first < place:
                self.positives[place] = self.positives[first]
            else:
                self.positives[place] = resize(prepare(decode(positive), processor), *size)

    def __len__(self) -> int:
        return len(self.keys)

    def thumbnails(self, rows: Rows) -> NDArray[np.uint8]:
        """Positives of some rows, (n, height, width, 3)."""
        return self.positives[rows]

    def batch(self, rows: list[int]) -> list[Tensor]:
        """Anchors, positives (n, height, width, 3) and labels (n,) of some rows."""
        return [torch.from_numpy(of[rows]) for of in (self.anchors, self.positives, self.keys.labels)]


class StreamedPairs:
    """The same from disk, through `datasets`: memory-mapped, decoded when asked for, for sets that do not fit."""

    def __init__(self, keys: PairKeys, size: tuple[int, int], *, processor: Any = None, cache_dir: str = "") -> None:
        from datasets import load_dataset

        files = [str(path) for path in keys.files]
        self.keys = keys
        self._size = size
        self._processor = processor
        self._rows = load_dataset("parquet", data_files=files, split="train", cache_dir=cache_dir or None)
        self._rows = self._rows.select_columns(["anchor", "positive"]).with_format("arrow")

    def __len__(self) -> int:
        return len(self.keys)

    def thumbnails(self, rows: Rows) -> NDArray[np.uint8]:
        """Positives of some rows, (n, height, width, 3); the anchors are not decoded."""
        return self._side("positive", rows.tolist())

    def batch(self, rows: list[int]) -> list[Tensor]:
        """As `PairPictures.batch`."""
        sides = (self._side(side, rows) for side in ("anchor", "positive"))
        return [torch.from_numpy(of) for of in (*sides, self.keys.labels[rows])]

    def _side(self, side: str, rows: list[int]) -> NDArray[np.uint8]:
        pictures = (self._rows[int(row)][side][0]["bytes"].as_py() for row in self.keys.rows[rows])
        return np.stack([resize(prepare(decode(data), self._processor), *self._size) for data in pictures])


def _stream(keys: PairKeys) -> Iterator[tuple[bytes, bytes]]:
    """Bytes of each chosen pair in row order, a few rows in memory at a time; groups without one are not read."""
    first, last = 0, keys.rows.max(initial=-1)
    for path in keys.files:
        if first > last:
            return
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                count = file.metadata.row_group(group).num_rows
                chosen = _among(keys.rows, first, count)
                if len(chosen):
                    yield from _pictures(file, group, chosen)
                first += count


def _pictures(file: pq.ParquetFile, group: int, chosen: Rows) -> Iterator[tuple[bytes, bytes]]:
    first = 0
    for batch in file.iter_batches(_ROWS_DECODED, row_groups=[group], columns=["anchor", "positive"]):
        for row in batch.take(pa.array(_among(chosen, first, len(batch)))).to_pylist():
            yield row["anchor"]["bytes"], row["positive"]["bytes"]
        first += len(batch)


def _among(rows: Rows, first: int, count: int) -> Rows:
    """Those of the rows that are among `count` from `first` on, counted from there."""
    return rows[(rows >= first) & (rows < first + count)] - first


def _products(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Name of each row's product. A thumbnail that was taken anew is of another cluster, and of the same product."""
    names, groups = [_product(row) for row in rows], Groups[str]()
    for row, name in zip(rows, names, strict=True):
        if row["product_id"] is not None:
            groups.union(name, f"{row['site']}/{row['product_id']}")
    first: dict[str, str] = {}
    return [first.setdefault(groups.find(name), name) for name in names]


def _product(row: dict[str, Any]) -> str:
    if (name := product_of(row)) is None:
        raise DataError(f"pair of post {row['site']}/{row['post_id']} has neither product_cluster_id nor product_id")
    return name
