"""The clustered bootstrap: intervals that cover, and tests that reject as often as they should."""

import numpy as np
import pytest

from models.errors import MetricError
from models.statistics import bootstrap_means, compare, interval


def width(values, clusters):
    low, high = interval(bootstrap_means(values[:, None], clusters), len(np.unique(clusters)))
    return float(high[0] - low[0])


def test_bootstrap_means__clusters_widen_the_interval():
    values = np.repeat([0.0, 1.0], 50)
    assert width(values, np.repeat(np.arange(10), 10)) > 2 * width(values, np.arange(100))


def test_bootstrap_means__hand_computed():
    """Two clusters of 1 and 3 rows: a draw is the first twice, the second twice, or both."""
    means = bootstrap_means(np.array([[1.0], [0.0], [0.0], [0.0]]), np.array(["a", "b", "b", "b"]))
    assert set(np.unique(means)) == {0.0, 0.25, 1.0}
    assert (means == 0.25).mean() == pytest.approx(0.5, abs=0.05)


def test_bootstrap_means__measures_are_drawn_together():
    values = np.random.default_rng(0).random(50)
    means = bootstrap_means(np.stack([values, 1 - values], axis=1), np.arange(50))
    np.testing.assert_allclose(means.sum(1), 1)


def plain(means, clusters):
    """Percentiles as they are."""
    return np.quantile(means, [0.025, 0.975], axis=0)


def covered(clusters, draw, truth, trials, of=interval):
    """How often the interval of so many clusters holds the truth."""
    source, hits = np.random.default_rng(0), 0
    for trial in range(trials):
        means = bootstrap_means(draw(source, clusters), np.arange(clusters), rounds=300, seed=trial)
        (low,), (high,) = of(means, clusters)
        hits += low <= truth <= high
    return hits


def test_interval__covers_the_true_mean_about_as_often_as_promised():
    assert 51 <= covered(200, lambda draw, n: (draw.random((n, 1)) < 0.7).astype(float), 0.7, 60) <= 60


def test_interval__of_few_clusters_holds_more_often_than_plain_percentiles():
    ours, theirs = (covered(5, lambda draw, n: draw.normal(size=(n, 1)), 0, 300, of) for of in (interval, plain))
    assert (ours, theirs) == (pytest.approx(272, abs=7), pytest.approx(248, abs=7))  # of 300; 285 are promised


@pytest.mark.parametrize(("values", "names"), [(np.zeros((0, 1)), np.array([])), (np.zeros((2, 1)), np.array([1]))])
def test_bootstrap_means__nothing_or_unequal(values, names):
    with pytest.raises(MetricError):
        bootstrap_means(values, names)


def test_compare__equal_models():
    values = np.array([1.0, 0.0, 1.0])
    result = compare(values, values, np.arange(3))
    assert (result.mean, result.low, result.high, result.p, result.effect) == (0, 0, 0, 1, 0)


@pytest.mark.parametrize(("clusters", "missed"), [(3, 0.63), (59, 0.05), (299, 0.01)])
def test_compare__a_loss_that_was_not_seen_is_not_ruled_out(clusters, missed):
    """None of 59 products is lost: that is as likely as 1 in 20 where one in twenty is (0.95 to the 59th)."""
    values = np.ones(clusters)
    assert compare(values, values, np.arange(clusters)).lower == pytest.approx(-missed, abs=0.002)


def test_compare__clearly_better():
    reference = np.tile([0.0, 0.0, 1.0, 1.0], 30)
    result = compare(np.ones(120), reference, np.arange(120))
    assert (result.mean, result.effect, result.better, result.worse) == (0.5, 1.0, 60, 0)
    assert 1 / 1001 < result.p < 1.5 / 1001  # none of 1000 resampled means, widened a little
    assert 0 < result.low < result.lower < 0.5 < result.high


def test_compare__what_was_gained_is_no_surer_for_nothing_being_lost():
    gained = (np.random.default_rng(0).random(400) < 0.5).astype(float)
    result = compare(gained, np.zeros(400), np.arange(400))
    assert result.worse == 0
    assert result.low <= result.lower < result.mean - 0.03  # by the bound of lost clusters alone: 0.007 below the mean


@pytest.mark.parametrize("clusters", [8, 60])
def test_compare__rejects_a_true_null_about_as_often_as_promised(clusters):
    draw, names = np.random.default_rng(1), np.repeat(np.arange(clusters), 3)
    pairs = (tuple(np.repeat(draw.normal(size=clusters), 3) for _ in range(2)) for _ in range(200))
    found = [compare(*pair, names, rounds=200, seed=seed) for seed, pair in enumerate(pairs)]
    rejected = [result.p < 0.05 for result in found]
    assert sum(rejected) <= 0.1 * len(found)  # 0.05 plus three standard deviations; as independent rows: a quarter
    assert sum(p == (it.low > 0 or it.high < 0) for p, it in zip(rejected, found, strict=True)) > 0.97 * len(found)


def test_compare__one_cluster_says_nothing_of_others():
    with pytest.raises(MetricError, match="single cluster"):
        compare(np.ones(3), np.zeros(3), np.zeros(3))
    with pytest.raises(MetricError, match="3 values of the candidate"):
        compare(np.ones(3), np.zeros(2), np.arange(3))
