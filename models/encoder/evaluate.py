"""Retrieval measures in plain numpy: recall@k, MRR, mAP, nDCG, by product, with clustered bootstrap intervals.

A query is a crop with the product that it shows; the gallery is the catalog. With a category filter a query competes
only with its own category, as search does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.errors import MetricError

RANKS: Final = (1, 5, 10, 20)
_SCORES_AT_ONCE: Final = 4_000_000  # similarities held in memory, 16 MB


@dataclass(frozen=True)
class Embedded:
    """Vectors and what they show."""

    vectors: NDArray[np.float32]  # (n, d), unit length
    labels: NDArray[Any]  # (n,) product of each
    categories: NDArray[Any]  # (n,)

    def __post_init__(self) -> None:
        if not len(self.vectors) == len(self.labels) == len(self.categories):
            lengths = len(self.vectors), len(self.labels), len(self.categories)
            raise MetricError(f"vectors, labels and categories differ in length: {lengths}")

    def take(self, rows: NDArray[Any]) -> "Embedded":
        """Some rows, by mask or by position."""
        return Embedded(self.vectors[rows], self.labels[rows], self.categories[rows])


def per_query(queries: Embedded, gallery: Embedded, *, by_category: bool = True) -> dict[str, NDArray[np.float64]]:
    """Measures of each query, in query order: `rank` (of the first right picture, from 1), `r@k`, `mrr`, `map`, `ndcg`.

    Ties are counted against the encoder: a wrong picture as similar as the right one ranks before it.

    Raises:
        MetricError: there is no query, or the product of one is not in the gallery (of its category).
    """
    if not len(queries.vectors):
        raise MetricError("no query")
    result = {name: np.zeros(len(queries.vectors)) for name in ("rank", "mrr", "map", "ndcg")}
    for category in np.unique(queries.categories) if by_category else [None]:
        own = np.flatnonzero(queries.categories == category) if by_category else np.arange(len(queries.vectors))
        pool = gallery.take(gallery.categories == category) if by_category else gallery
        step = max(1, _SCORES_AT_ONCE // max(1, len(pool.vectors)))
        for start in range(0, len(own), step):
            rows = own[start : start + step]
            relevant = queries.labels[rows][:, None] == pool.labels[None, :]
            if not relevant.any(1).all():
                lost = str(queries.labels[rows][~relevant.any(1)][0])
                raise MetricError(f"product {lost!r} is not in the gallery of {category or 'all categories'}")
            measured = _ranked(queries.vectors[rows] @ pool.vectors.T, relevant)
            for name, values in measured.items():
                result[name][rows] = values
    for k in RANKS:
        result[f"r@{k}"] = (result["rank"] <= k).astype(np.float64)
    return result


def summarise(
    measures: Mapping[str, NDArray[np.float64]],
    categories: NDArray[Any],
    clusters: NDArray[Any],
    *,
    rounds: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Means over all queries and per category, each with a 95 % interval.

    The interval is the percentile bootstrap over clusters of queries (product or post): queries of one product are not
    independent.

    Returns:
        `overall` and `by_category`, each with `queries`, and per measure `mean`, `low`, `high`.
    """
    groups = {name: categories == name for name in np.unique(categories)}
    return {
        "overall": _summary(measures, np.ones(len(categories), bool), clusters, rounds, seed),
        "by_category": {str(name): _summary(measures, mask, clusters, rounds, seed) for name, mask in groups.items()},
    }


def bootstrap(
    values: NDArray[np.float64], clusters: NDArray[Any], *, rounds: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile interval of the mean when whole clusters are drawn with replacement."""
    if not len(values):
        raise MetricError("no value to bootstrap")
    _, index = np.unique(clusters, return_inverse=True)
    sums, counts = np.bincount(index, values), np.bincount(index)
    draws = np.random.default_rng(seed).integers(0, len(sums), (rounds, len(sums)))
    means = sums[draws].sum(1) / counts[draws].sum(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def mean_of(summary: Mapping[str, Any], measure: str, category: str = "") -> float:
    """One mean out of what `summarise` returns."""
    part = summary["by_category"][category] if category else summary["overall"]
    return float(part[measure]["mean"])


def _ranked(scores: NDArray[np.float32], relevant: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
    """Measures from similarities (queries, gallery) and which of them are right."""
    order = np.lexsort((relevant, -scores), axis=1)  # by similarity; among equals the wrong ones first
    hits = np.take_along_axis(relevant, order, 1)
    positions = np.arange(1, hits.shape[1] + 1)
    rank = hits.argmax(1) + 1
    found = hits.cumsum(1)
    total = hits.sum(1)
    gains = hits / np.log2(positions + 1)
    ideal = np.cumsum(1 / np.log2(positions + 1))[total - 1]
    return {
        "rank": rank.astype(np.float64),
        "mrr": 1 / rank,
        "map": (hits * found / positions).sum(1) / total,
        "ndcg": gains.sum(1) / ideal,
    }


def _summary(
    measures: Mapping[str, NDArray[np.float64]],
    mask: NDArray[np.bool_],
    clusters: NDArray[Any],
    rounds: int,
    seed: int,
) -> dict[str, Any]:
    result: dict[str, Any] = {"queries": int(mask.sum())}
    names: Sequence[str] = [name for name in measures if name != "rank"]
    for name in names:
        low, high = bootstrap(measures[name][mask], clusters[mask], rounds=rounds, seed=seed)
        result[name] = {"mean": float(measures[name][mask].mean()), "low": low, "high": high}
    return result
