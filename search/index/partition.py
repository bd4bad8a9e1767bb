"""The products of one category in one segment: searched exactly while they are few, by inverted lists beyond."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import faiss
import numpy as np
import numpy.typing as npt

from search.index.config import IndexConfig
from search.index.lists import InvertedLists

Vectors = npt.NDArray[np.float32]
Found = tuple[Vectors, npt.NDArray[np.int64]]
"""Scores and rows, best first, both of shape (k,)."""

_NO_BITS: Final = np.zeros(0, np.uint8)
_DEEP: Final = 200  # hits; nobody promised recall beyond ten, and so deep a list is wanted whole


@dataclass(frozen=True, slots=True)
class Selection:
    """Which products of a partition may be found."""

    positions: npt.NDArray[np.int64] | None  # few enough to be scored one by one
    bits: npt.NDArray[np.uint8]  # else one for each product of the partition, the least significant first


class Partition:
    """Vectors and row numbers of one category, and inverted lists over them when there are many."""

    def __init__(
        self, vectors: Vectors, rows: npt.NDArray[np.int64], lists: InvertedLists | None, config: IndexConfig
    ) -> None:
        """Take what belongs together.

        Args:
            vectors: shape (n, d), unit length.
            rows: their numbers in the segment, ascending, shape (n,).
            lists: of the same vectors in the same order, or None.
            config: thresholds.
        """
        self.vectors = vectors
        self.rows = rows
        self._lists = lists
        self._config = config

    def select(self, mask: npt.NDArray[np.bool_] | None) -> Selection | None:
        """What a mask over the segment's rows leaves of this partition; None leaves all of it."""
        if mask is None:
            return None
        allowed = mask[self.rows]
        count = int(np.count_nonzero(allowed))
        if count == len(allowed):
            return None
        if self._lists is None or count <= self._config.exact_limit:
            return Selection(np.flatnonzero(allowed), _NO_BITS)
        return Selection(None, np.packbits(allowed, bitorder="little"))

    def search(self, query: Vectors, top: int, selection: Selection | None = None) -> Found:
        """Nearest products of a vector of shape (d,), best first; fewer than `top` where there are fewer."""
        if selection is not None and selection.positions is not None:
            return self._score(query, selection.positions, top)
        if self._lists is not None and top <= _DEEP:
            bits = _NO_BITS if selection is None else selection.bits
            scores, found = self._lists.search(query, top, bits)
            return scores, self.rows[found]
        if selection is not None:
            allowed = np.unpackbits(selection.bits, count=len(self.rows), bitorder="little")
            return self._score(query, np.flatnonzero(allowed), top)
        nearest = min(top, len(self.rows))
        scores, found = faiss.knn(query[None], self.vectors, nearest, metric=faiss.METRIC_INNER_PRODUCT)
        return scores[0], self.rows[found[0]]

    def _score(self, query: Vectors, positions: npt.NDArray[np.int64], top: int) -> Found:
        scores = self.vectors[positions] @ query
        if len(scores) > 4 * top:
            best = np.argpartition(-scores, top)[:top]
            scores, positions = scores[best], positions[best]
        order = np.argsort(-scores, kind="stable")[:top]
        return scores[order], self.rows[positions[order]]


def write_partition(
    folder: Path, name: str, vectors: Vectors, rows: npt.NDArray[np.int64], others: Vectors, config: IndexConfig
) -> None:
    """Write one category of a segment, with inverted lists where it is large.

    Args:
        folder: where its files go.
        name: of the category.
        vectors: shape (n, d).
        rows: shape (n,).
        others: some vectors of other categories, which will be asked for here too.
        config: thresholds.
    """
    np.save(folder / f"{name}.vectors.npy", vectors)
    np.save(folder / f"{name}.rows.npy", rows)
    if len(rows) > config.exact_limit:
        lists = InvertedLists.build(vectors, config)
        places = np.arange(len(rows))
        lists.tune(Partition(vectors, places, lists, config), vectors, others, config.promised_recall)
        lists.write(folder / f"{name}.lists.npz")


def read_partition(folder: Path, name: str, config: IndexConfig) -> Partition:
    """Open one category of a segment; vectors stay on disk until they are looked at.

    Raises:
        OSError, ValueError, KeyError: a file is damaged.
    """
    vectors = np.asarray(np.load(folder / f"{name}.vectors.npy", mmap_mode="r"))
    rows = np.load(folder / f"{name}.rows.npy")
    path = folder / f"{name}.lists.npz"
    lists = InvertedLists.read(path, vectors, config) if path.exists() else None
    if len(vectors) != len(rows) or (lists is not None and len(lists) != len(rows)):
        raise ValueError(f"{name}: its files differ in length")
    return Partition(vectors, rows, lists, config)
