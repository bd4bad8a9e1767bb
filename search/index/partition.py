"""The products of one category in one segment: searched exactly while they are few, by inverted lists beyond.

Inverted lists of int8 codes whose best are scored again in float32 came out ahead of graphs (HNSW), which need far
longer to build and find little when the query looks like another category: see `docs/EXPERIMENTS.md`.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import faiss
import numpy as np
import numpy.typing as npt

from search.index.config import IndexConfig
from search.index.recall import recall

Vectors = npt.NDArray[np.float32]
Found = tuple[Vectors, npt.NDArray[np.int64]]
"""Scores and rows, best first, both of shape (k,)."""

_DEEP: Final = 200  # hits; nobody promised recall beyond ten, and so deep a list is wanted whole
_TRAINING: Final = 40  # vectors per list from which the lists' centres are learnt
_MARGIN: Final = 0.3  # of the misses that the promise allows: sampled recall is that unsure
_TUNING: Final = 128  # queries of either kind


@dataclass(frozen=True, slots=True)
class Selection:
    """Which products of a partition may be found."""

    count: int
    positions: npt.NDArray[np.int64] | None = None  # few enough to be scored one by one
    bits: npt.NDArray[np.uint8] | None = None  # many: one bit each, looked up while lists are scanned


class Partition:
    """Vectors and row numbers of one category, and inverted lists over them when there are many."""

    def __init__(self, vectors: Vectors, rows: npt.NDArray[np.int64], lists: Any, config: IndexConfig) -> None:
        """Take what belongs together.

        Args:
            vectors: shape (n, d), unit length.
            rows: their numbers in the segment, shape (n,).
            lists: faiss IVF index of the same vectors in the same order, or None.
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
            return Selection(count, positions=np.flatnonzero(allowed))
        return Selection(count, bits=np.packbits(allowed, bitorder="little"))

    def search(self, query: Vectors, top: int, selection: Selection | None = None) -> Found:
        """Nearest products of a vector of shape (d,), best first; fewer than `top` where there are fewer."""
        if selection is not None and selection.positions is not None:
            return self._score(query, selection.positions, top)
        if self._lists is not None and top <= _DEEP:
            return self._score(query, self._candidates(query, top, selection), top)
        if selection is not None and selection.bits is not None:
            allowed = np.unpackbits(selection.bits, count=len(self.rows), bitorder="little")
            return self._score(query, np.flatnonzero(allowed), top)
        nearest = min(top, len(self.rows))
        scores, found = faiss.knn(query[None], self.vectors, nearest, metric=faiss.METRIC_INNER_PRODUCT)
        return scores[0], self.rows[found[0]]

    def _candidates(self, query: Vectors, top: int, selection: Selection | None) -> npt.NDArray[np.int64]:
        wanted = top + (self._config.rerank if self._config.codes == "int8" else 0)
        parameters = None
        if selection is not None:  # as many products are looked at as without a filter
            probes = math.ceil(self._lists.nprobe * len(self.rows) / selection.count)
            allowed = faiss.IDSelectorBitmap(selection.bits)
            parameters = faiss.SearchParametersIVF(sel=allowed, nprobe=min(self._lists.nlist, probes))
        _, found = self._lists.search(query[None], wanted, params=parameters)
        positions: npt.NDArray[np.int64] = found[0][found[0] >= 0]
        return positions

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
        others: some vectors of other categories: as queries they decide how many lists are looked into.
        config: thresholds.
    """
    np.save(folder / f"{name}.vectors.npy", vectors)
    np.save(folder / f"{name}.rows.npy", rows)
    if len(rows) > config.exact_limit:
        lists = _train(vectors, config)
        _tune(Partition(vectors, np.arange(len(rows)), lists, config), lists, others, config)
        faiss.write_index(lists, str(folder / f"{name}.lists"))


def read_partition(folder: Path, name: str, config: IndexConfig) -> Partition:
    """Open one category of a segment; vectors stay on disk until they are looked at. Raises OSError, RuntimeError."""
    vectors = np.asarray(np.load(folder / f"{name}.vectors.npy", mmap_mode="r"))
    rows = np.load(folder / f"{name}.rows.npy")
    path = folder / f"{name}.lists"
    lists = faiss.read_index(str(path)) if path.exists() else None
    if len(vectors) != len(rows) or (lists is not None and lists.ntotal != len(rows)):
        raise RuntimeError(f"{name}: its files differ in length")
    return Partition(vectors, rows, lists, config)


def _train(vectors: Vectors, config: IndexConfig) -> Any:
    count, dim = vectors.shape
    lists = round(2.5 * math.sqrt(count))
    coarse, metric = faiss.IndexFlatIP(dim), faiss.METRIC_INNER_PRODUCT
    if config.codes == "int8":
        kind = faiss.ScalarQuantizer.QT_8bit
        index = faiss.IndexIVFScalarQuantizer(coarse, dim, lists, kind, metric)
    else:
        index = faiss.IndexIVFFlat(coarse, dim, lists, metric)
    sample = np.random.default_rng(0).permutation(count)[: _TRAINING * lists]
    index.train(vectors[np.sort(sample)])
    index.add(vectors)
    return index


def _tune(partition: Partition, lists: Any, others: Vectors, config: IndexConfig) -> None:
    """Look into as many lists as the promise takes, for the category's own queries and for those of others."""
    rng = np.random.default_rng(1)
    own = partition.vectors[rng.permutation(len(partition.vectors))[:_TUNING]]
    kinds = [queries for queries in (own, others[rng.permutation(len(others))[:_TUNING]]) if len(queries)]
    wanted = 1 - (1 - _MARGIN) * (1 - config.promised_recall)
    probes = 8
    while probes < lists.nlist:
        lists.nprobe = probes
        if all(recall(partition, queries, partition.vectors) >= wanted for queries in kinds):
            return
        probes = math.ceil(probes * 1.25)
    lists.nprobe = lists.nlist
