"""Retrieval measures in plain numpy: recall@k, MRR, mAP, nDCG, by product, with intervals and paired comparisons.

A query is a crop with the product that it shows; the gallery is the catalog. With a category filter a query competes
only with its own category, as search does.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.errors import MetricError
from models.statistics import FEWEST_CLUSTERS, ROUNDS, bootstrap_means, compare, interval

RANKS: Final = (1, 5, 10, 20)
MEASURES: Final = ("rank", "mrr", "map", "ndcg", *(f"r@{k}" for k in RANKS))
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


def with_misses(queries: Embedded, gallery: Embedded) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.bool_]]:
    """`per_query` with the category filter, where a product may be filed under another category than its query's.

    Such a product cannot be found: it gets zeros and the last rank. The mask tells which queries they are.
    """
    filed = set(zip(gallery.labels.tolist(), gallery.categories.tolist(), strict=True))
    pairs = zip(queries.labels.tolist(), queries.categories.tolist(), strict=True)
    outside = np.array([pair not in filed for pair in pairs], bool)
    result = {name: np.zeros(len(outside)) for name in MEASURES}
    result["rank"] += len(gallery.labels)
    for name, values in (per_query(queries.take(~outside), gallery) if not outside.all() else {}).items():
        result[name][~outside] = values
    return result, outside


def summarise(
    measures: Mapping[str, NDArray[np.float64]],
    categories: NDArray[Any],
    clusters: NDArray[Any],
    *,
    rounds: int = ROUNDS,
) -> dict[str, Any]:
    """Means over all queries and per category, each with a 95 % interval (see `models.statistics`).

    Args:
        measures: of each query, from `per_query`.
        categories: (n,) of each query.
        clusters: (n,) product of each query: queries of one product are not independent.
        rounds: of the bootstrap.

    Returns:
        `overall` and `by_category`, each with `queries`, `clusters`, and per measure `mean`, `low`, `high`. A single
        cluster says nothing of others: its interval is all of 0 to 1.
    """
    groups = {str(name): categories == name for name in np.unique(categories)}
    everything = np.ones(len(categories), bool)
    overall, *parts = (_summary(measures, mask, clusters, rounds) for mask in (everything, *groups.values()))
    return {"overall": overall, "by_category": dict(zip(groups, parts, strict=True))}


def compare_measures(
    candidate: Mapping[str, NDArray[np.float64]],
    reference: Mapping[str, NDArray[np.float64]],
    clusters: NDArray[Any],
) -> dict[str, dict[str, float]]:
    """`models.statistics.compare` of every measure but the rank, as plain numbers."""
    names = [name for name in candidate if name != "rank"]
    return {name: asdict(compare(candidate[name], reference[name], clusters)) for name in names}


def mean_of(summary: Mapping[str, Any], measure: str) -> float:
    """The mean over all queries out of what `summarise` returns."""
    return float(summary["overall"][measure]["mean"])


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
) -> dict[str, Any]:
    own = clusters[mask]
    count = len(np.unique(own))
    names = [name for name in measures if name != "rank"]
    values = np.stack([measures[name][mask] for name in names], axis=1)
    low, high = np.zeros(len(names)), np.ones(len(names))
    if count >= FEWEST_CLUSTERS:
        low, high = interval(bootstrap_means(values, own, rounds=rounds), count)
    bounds = zip(values.mean(0).tolist(), low.tolist(), high.tolist(), strict=True)
    shown = {
        name: dict(zip(("mean", "low", "high"), row, strict=True)) for name, row in zip(names, bounds, strict=True)
    }
    return {"queries": int(mask.sum()), "clusters": count, **shown}
