"""Intervals and tests for measures of queries that are not independent: the bootstrap by clusters.

Queries of one product share the right answer, queries of one post the photo. With several clusterings each is drawn
for itself and a query weighs the product of its clusters' counts (the pigeonhole bootstrap, Owen 2007): that covers
both kinds of dependence, if a little too widely.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.errors import MetricError

Clusterings = Sequence[NDArray[Any]]
"""One or more names of the cluster of each row, (n,) each."""

ROUNDS: Final = 1000
_WEIGHTS_AT_ONCE: Final = 4_000_000  # 32 MB


@dataclass(frozen=True, slots=True)
class Difference:
    """Candidate minus reference, of the same queries."""

    mean: float
    low: float  # 95 % interval
    high: float
    lower: float  # one-sided 95 % bound: the candidate is hardly worse than this
    p: float  # two-sided: how often chance alone would differ as much
    effect: float  # mean over standard deviation of the queries' differences (Cohen's d of pairs); 0 when all are equal
    better: int  # queries
    worse: int


def bootstrap_means(
    values: NDArray[np.float64], clusterings: Clusterings, *, rounds: int = ROUNDS, seed: int = 0
) -> NDArray[np.float64]:
    """Means of resampled rows.

    Args:
        values: measures of each row, (n, m).
        clusterings: what is drawn with replacement.
        rounds: how often.
        seed: equal seeds draw equal rows.

    Returns:
        (rounds, m), or fewer when rows of several clusterings are so few that a round drew none.

    Raises:
        MetricError: there is no row, or a clustering has another length.
    """
    if not len(values) or any(len(names) != len(values) for names in clusterings):
        raise MetricError(f"{len(values)} values to bootstrap, clusterings of {[len(names) for names in clusterings]}")
    means = []
    for weights in _weights(clusterings, rounds, seed):
        drawn = weights[weights.any(1)]  # two clusterings may draw no common row
        means.append(drawn @ values / drawn.sum(1, keepdims=True))
    return np.concatenate(means)


def interval(means: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95 % percentile interval of each measure, from what `bootstrap_means` returns; (m,) and (m,)."""
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    return low, high


def compare(
    candidate: NDArray[np.float64],
    reference: NDArray[np.float64],
    clusterings: Clusterings,
    *,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> Difference:
    """Paired test of one measure of two models on the same queries (Efron & Tibshirani 1993, chapter 16).

    The p-value is the share of resampled differences, moved to mean 0, that are as large as the one observed.

    Raises:
        MetricError: the lengths differ, or the queries are of one cluster only: nothing can be said of others.
    """
    if len(candidate) != len(reference):
        raise MetricError(f"{len(candidate)} values of the candidate, {len(reference)} of the reference")
    if any(len(np.unique(names)) < 2 for names in clusterings):
        raise MetricError(f"{len(candidate)} queries of a single cluster cannot be compared")
    differences = candidate - reference
    mean, spread = float(differences.mean()), float(differences.std())
    means = bootstrap_means(differences[:, None], clusterings, rounds=rounds, seed=seed)[:, 0]
    low, lower, high = np.percentile(means, [2.5, 5, 97.5])
    as_large = int((np.abs(means - mean) >= abs(mean) - 1e-12).sum())
    return Difference(
        mean=mean,
        low=float(low),
        high=float(high),
        lower=float(lower),
        p=(1 + as_large) / (1 + len(means)),
        effect=mean / spread if spread else 0.0,
        better=int((differences > 0).sum()),
        worse=int((differences < 0).sum()),
    )


def _weights(clusterings: Clusterings, rounds: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Weight of each row in each round, (some rounds, n): a few rounds at a time, since n may be large."""
    draw = np.random.default_rng(seed)
    numbered = [np.unique(names, return_inverse=True)[1] for names in clusterings]
    step = max(1, _WEIGHTS_AT_ONCE // len(numbered[0]))
    for start in range(0, rounds, step):
        size = min(step, rounds - start)
        weights = np.ones((size, len(numbered[0])))
        for rows in numbered:
            count = int(rows.max()) + 1
            weights *= draw.multinomial(count, np.full(count, 1 / count), size)[:, rows]
        yield weights
