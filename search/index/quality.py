"""What is measured of a version before anyone searches it: how many products, and how many of the nearest it finds."""

from collections.abc import Collection, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from search.index.manifest import RECALLS, IndexManifest
from search.index.recall import Truth, Vectors
from search.index.segment import Segment
from search.index.store import Index

_QUERIES: Final = 512  # of either kind: enough for two digits
_FILTERED: Final = 64  # queries for each filter
_SHARES: Final = (0.5, 0.05, 0.005)  # of all rows that a filter lets pass


class _View:
    """One category of an index, answering with positions in `vectors` instead of row numbers."""

    def __init__(self, index: Index, category: str, mask: npt.NDArray[np.bool_] | None = None) -> None:
        vectors, rows = index.vectors(category)
        kept = slice(None) if mask is None else mask[rows]
        self.vectors, self._rows = vectors[kept], rows[kept]
        self._index, self._category, self._mask = index, category, mask

    def search(self, query: Vectors, top: int) -> tuple[Vectors, npt.NDArray[np.int64]]:
        if self._mask is None:
            scores, rows = self._index.nearest(query, self._category, top)
        else:
            scores, rows = self._index.nearest_among(query, self._category, top, self._mask)
        return scores, np.searchsorted(self._rows, rows)  # row numbers are in order


def counted(draft: IndexManifest, segments: Sequence[Segment], dead: npt.NDArray[np.int64]) -> IndexManifest:
    """A manifest with the numbers of products, dead ones left out, and the length of their vectors."""
    names = pa.concat_arrays([segment.products["category"].combine_chunks() for segment in segments])
    alive = np.ones(len(names), bool)
    alive[dead] = False
    found = pc.value_counts(names.filter(pa.array(alive))).to_pylist()
    counts = {item["values"]: item["counts"] for item in sorted(found, key=lambda item: item["values"])}
    dim = next(iter(segments[0].partitions.values())).vectors.shape[1]
    return draft.model_copy(update={"rows": int(alive.sum()), "counts": counts, "dim": dim})


def measured(index: Index, touched: Collection[str] | None = None) -> dict[str, Any]:
    """Recall@10 of every category, as fields of the manifest.

    Args:
        index: the version, opened.
        touched: categories that changed since the numbers in its manifest were measured; None is all.
    """
    names = index.categories if touched is None else [name for name in index.categories if name in touched]
    rng = np.random.default_rng(0)
    samples = {name: _sample(index.vectors(name)[0], _QUERIES, rng) for name in index.categories}
    masks = [rng.random(index.physical) < share for share in _SHARES]
    kinds = {
        kind: {name: value for name, value in known.items() if name in index.categories}
        for kind, known in index.manifest.recalls.items()
    }
    for name in names:
        others = [sample for other, sample in samples.items() if other != name]
        elsewhere = _sample(np.concatenate([samples[name][:0], *others]), _QUERIES, rng)
        queries = np.concatenate([samples[name][:_FILTERED], elsewhere[:_FILTERED]])
        view = _View(index, name)
        found = [Truth(asked, view.vectors).recall(view) for asked in (samples[name], elsewhere)]
        filtered = [_View(index, name, mask) for mask in masks]
        found.append(min(Truth(queries, part.vectors).recall(part) for part in filtered))
        for kind, value in zip(RECALLS, found, strict=True):
            kinds[kind][name] = round(value, 4)
    return kinds


def shortfalls(manifest: IndexManifest, promised: float) -> str:
    """Which recalls are below the promise, for a message."""
    return ", ".join(
        f"{name} {value} ({kind})"
        for kind, values in manifest.recalls.items()
        for name, value in values.items()
        if value < promised
    )


def _sample(vectors: Vectors, count: int, rng: np.random.Generator) -> Vectors:
    return vectors[rng.permutation(len(vectors))[:count]]
