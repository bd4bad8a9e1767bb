"""Inverted lists over the vectors of a large category, and how many of them a query looks into.

They came out ahead of graphs (HNSW), which take longer to build and find less when a query looks like another
category: see `docs/EXPERIMENTS.md`. The number of lists is tuned apart for queries near the centre of some list,
and for those far from all, as such a query is.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self
from zipfile import BadZipFile

import faiss
import numpy as np
import numpy.typing as npt

from search.index.config import IndexConfig
from search.index.kernels import search_lists
from search.index.recall import Searchable, Truth

Vectors = npt.NDArray[np.float32]

_ALL: Final = np.zeros(0, np.uint8)
_LISTS: Final = 2.5  # times the square root of the number of vectors
_TRAINING: Final = 40  # vectors per list from which the centres are learnt
_MARGIN: Final = 0.5  # of the misses that the promise allows: sampled recall is that unsure
_QUERIES: Final = 512  # of either kind, and a quarter of what is searched at most
_BETWEEN: Final = 1.0  # share of another product in a query that is near: photos are never the thumbnail itself
_TAIL: Final = 0.01  # of either kind of query that may lie on the wrong side of the bound


@dataclass(frozen=True, slots=True)
class Depth:
    """How many lists are looked into."""

    bound: float = -2.0  # score at the best list's centre from which a query is near; cosines are above -2
    near: int = 8
    far: int = 8


class InvertedLists:
    """Lists of a partition's vectors, answering with positions among them."""

    def __init__(self, vectors: Vectors, stored: Mapping[str, npt.NDArray[Any]], rerank: int) -> None:
        """Take what `build` made.

        Args:
            vectors: what is in the lists, shape (n, d).
            stored: arrays as in the file: depth, scale of the codes, and what `kernels.search_lists` takes.
            rerank: of int8 codes, how many beyond those asked for are scored again.
        """
        self._vectors = vectors
        self._stored = dict(stored)
        self._centres, self._starts, self._order = (stored[name] for name in ("centres", "starts", "order"))
        self._codes, self._scale = stored["codes"], stored["scale"]
        self._rerank = rerank
        bound, near, far = stored["depth"].tolist()
        self.depth = Depth(bound, int(near), int(far))

    @classmethod
    def build(cls, vectors: Vectors, config: IndexConfig) -> Self:
        """Learn centres from vectors of shape (n, d), and put each vector into the list of its nearest."""
        count, dim = vectors.shape
        nlist = round(_LISTS * math.sqrt(count))
        means = faiss.Kmeans(
            dim, nlist, niter=10, spherical=True, max_points_per_centroid=_TRAINING, min_points_per_centroid=1
        )
        means.train(vectors)
        centres: Any = means.centroids
        nearest = faiss.knn(vectors, centres, 1, metric=faiss.METRIC_INNER_PRODUCT)[1][:, 0]
        order = np.argsort(nearest, kind="stable")
        codes, scale = vectors[order], np.ones(dim, np.float32)
        if count >= config.int8_from:
            scale = np.maximum(np.abs(vectors).max(axis=0), np.finfo(np.float32).tiny) / np.float32(127)
            codes = np.round(codes / scale).astype(np.int8)
        stored: dict[str, Any] = {
            "centres": centres,
            "starts": np.searchsorted(nearest[order], np.arange(nlist + 1)),
            "order": order,
            "codes": codes,
            "scale": scale,
            "depth": np.array([-2.0, 8, 8]),
        }
        return cls(vectors, stored, config.rerank)

    @classmethod
    def read(cls, path: Path, vectors: Vectors, config: IndexConfig) -> Self:
        """Open what `write` wrote. Raises OSError, ValueError, KeyError."""
        try:
            with np.load(path) as stored:
                return cls(vectors, dict(stored), config.rerank)
        except BadZipFile as error:
            raise ValueError(f"{path.name}: {error}") from error

    def write(self, path: Path) -> None:
        """Write everything but the vectors."""
        depth = np.array([self.depth.bound, self.depth.near, self.depth.far])
        stored: dict[str, Any] = {**self._stored, "depth": depth}
        np.savez(path, **stored)

    def __len__(self) -> int:
        return len(self._order)

    def search(
        self, query: Vectors, top: int, bits: npt.NDArray[np.uint8] = _ALL
    ) -> tuple[Vectors, npt.NDArray[np.int64]]:
        """Scores and positions of the best of a query of shape (d,), best first.

        Args:
            query: shape (d,).
            top: how many at most.
            bits: one for each vector, set where it may be found; empty allows all.
        """
        coded = self._codes.dtype != np.float32
        return search_lists(
            self._centres,
            self._starts,
            self._order,
            self._codes,
            self._vectors,
            query,
            query * self._scale if coded else query,
            bits,
            (self.depth.bound, self.depth.near, self.depth.far),
            top + self._rerank if coded else 0,
            top,
        )

    def tune(self, index: Searchable, vectors: Vectors, others: Vectors, promised: float) -> None:
        """Look into as many lists as it takes to keep the promise, for queries of either kind.

        Args:
            index: searches by way of these lists.
            vectors: what is in them, shape (n, d).
            others: vectors of other categories.
            promised: recall@10, 0-1.
        """
        rng = np.random.default_rng(1)
        count = min(_QUERIES, len(vectors) // 4)
        picked = rng.permutation(len(vectors))[:count]
        near = vectors[picked] + _BETWEEN * vectors[rng.permutation(len(vectors))[:count]]
        near /= np.linalg.norm(near, axis=1, keepdims=True)
        far = others[rng.permutation(len(others))[:count]]
        wanted = 1 - (1 - _MARGIN) * (1 - promised)
        depths = [self._least(index, Truth(queries, vectors), wanted) for queries in (near, far)]
        self.depth = Depth(self._bound(near, far), depths[0], max(depths))

    def _least(self, index: Searchable, truth: Truth, wanted: float) -> int:
        probes = 8
        while probes < len(self._centres):
            self.depth = Depth(near=probes)
            if truth.recall(index) >= wanted:
                return probes
            probes = math.ceil(probes * 1.25)
        return len(self._centres)

    def _bound(self, near: Vectors, far: Vectors) -> float:
        """Between the two kinds of queries, as far as they can be told apart."""
        bounds = [float(np.quantile((near @ self._centres.T).max(axis=1), _TAIL))]
        if len(far):
            bounds.append(float(np.quantile((far @ self._centres.T).max(axis=1), 1 - _TAIL)))
        return float(np.mean(bounds))
