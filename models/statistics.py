"""Intervals and tests for measures of queries that are not independent: the bootstrap by clusters.

Queries of one product share the right answer and what looks like it; queries of one post share the photo. Clusters are
products: on the test crops of two drawn worlds the standard error of R@1 was 0.028 and 0.055 by product, 0.021 and
0.027 by post, 0.019 and 0.026 by row, so that both at once (Cameron et al. 2011) add little: 0.030 and 0.056.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from models.errors import MetricError

ROUNDS: Final = 1000
FEWEST_CLUSTERS: Final = 2
"""One cluster says nothing of others."""


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
    values: NDArray[np.float64], clusters: NDArray[Any], *, rounds: int = ROUNDS, seed: int = 0
) -> NDArray[np.float64]:
    """Means of resampled rows: whole clusters are drawn with replacement.

    Args:
        values: measures of each row, (n, m).
        clusters: (n,) name of the cluster of each row.
        rounds: how often.
        seed: equal seeds draw equal rows.

    Returns:
        (rounds, m).

    Raises:
        MetricError: there is no row, or the lengths differ.
    """
    if not len(values) or len(clusters) != len(values):
        raise MetricError(f"{len(values)} values to bootstrap, of {len(clusters)} clusters' names")
    _, index = np.unique(clusters, return_inverse=True)
    counts = np.bincount(index)
    sums = np.stack([np.bincount(index, column) for column in values.T], axis=1)
    draw = np.random.default_rng(seed)
    even = np.full(len(counts), 1 / len(counts))
    means = np.empty((rounds, values.shape[1]))
    for at in range(rounds):  # one at a time: a catalog may have tens of thousands of products
        weights = draw.multinomial(len(counts), even)
        means[at] = weights @ sums / (weights @ counts)
    return means


def interval(means: NDArray[np.float64], clusters: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95 % interval of each measure, from what `bootstrap_means` returns of so many clusters; (m,) and (m,).

    The expanded percentile interval (Hesterberg 2015): of few clusters the plain one is too narrow. Of five normal
    values it holds the truth 272 times in 300, the plain one 248 times; of fewer clusters both hold less often.
    """
    tail = _tail(0.025, clusters)
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    return low, high


def _tail(share: float, clusters: int) -> float:
    """The share of resampled means to cut off, as wide as Student's t makes an interval of so many clusters."""
    return float(ndtr(np.sqrt(clusters / (clusters - 1)) * stdtrit(clusters - 1, share)))


def _widened(share: float, clusters: int) -> float:
    """The share that Student's t has beyond what a share of resampled means is beyond: the reverse of `_tail`."""
    return float(stdtr(clusters - 1, ndtri(share) * np.sqrt((clusters - 1) / clusters)))


def compare(
    candidate: NDArray[np.float64],
    reference: NDArray[np.float64],
    clusters: NDArray[Any],
    *,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> Difference:
    """Paired test of one measure of two models on the same queries (Efron & Tibshirani 1993, chapter 16).

    The p-value is the share of resampled differences, moved to mean 0, that are as large as the one observed, widened
    for few clusters as the interval is. Where no query is worse there is nothing to resample a loss from: then the
    lower bound allows for as many lost clusters as may well have been missed (0 of n: Clopper & Pearson 1934).

    Raises:
        MetricError: the lengths differ, or the queries are of one cluster only: nothing can be said of others.
    """
    if len(candidate) != len(reference):
        raise MetricError(f"{len(candidate)} values of the candidate, {len(reference)} of the reference")
    count = len(np.unique(clusters))
    if count < FEWEST_CLUSTERS:
        raise MetricError(f"{len(candidate)} queries of a single cluster cannot be compared")
    differences = candidate - reference
    mean, spread = float(differences.mean()), float(differences.std())
    means = bootstrap_means(differences[:, None], clusters, rounds=rounds, seed=seed)
    (low,), (high,) = interval(means, count)
    lower = float(np.quantile(means, _tail(0.05, count)))
    if not (differences < 0).any():
        lower = min(lower, mean - (1 - 0.05 ** (1 / count)))
    as_large = int((np.abs(means - mean) >= abs(mean) - 1e-12).sum())
    return Difference(
        mean=mean,
        low=float(low),
        high=float(high),
        lower=lower,
        p=2 * _widened((1 + as_large) / (1 + len(means)) / 2, count),
        effect=mean / spread if spread else 0.0,
        better=int((differences > 0).sum()),
        worse=int((differences < 0).sum()),
    )
